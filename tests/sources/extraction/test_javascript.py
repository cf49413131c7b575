"""Data in scripts: literals of JavaScript, the state of frameworks, and scripts that nobody can read."""

import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.sources.extraction.javascript import devalued, literals

PRODUCT = {"name": "Pot", "price": Decimal("24.50")}


@pytest.mark.parametrize(
    "script",
    [
        "window.__STATE__ = {\"name\": \"Pot\", \"price\": 24.50};",
        "var p={name:'Pot',price:24.50,};",
        "dataLayer.push({name: `Pot`, /* net */ price: 24.50 // with tax\n});",
        "gtag('event', 'view_item', {'name': 'P\\u006ft', 'price': 24.50});",
        'window.s = JSON.parse("{\\"name\\":\\"Pot\\",\\"price\\":24.50}");',
        "window.__NUXT__=(function(a,b){return {name:b,price:a}}(24.50,\"Pot\"));",
        '{"name": "Pot", "price": 24.50}',
    ],
)  # fmt: skip
def test_data_is_read_however_a_script_writes_it(script: str) -> None:
    assert list(literals(script)) == [PRODUCT]


def test_an_expression_is_none_and_what_follows_is_read() -> None:
    script = "x = {a: new Date(1, 2), b: 'c' + d, e: function () { return {f: 1} }, g: [1, 2,], h: !1};"
    assert list(literals(script)) == [{"a": None, "b": None, "e": None, "g": [1, 2], "h": False}]


def test_nuxt_3_s_indices_are_resolved_and_circles_end() -> None:
    assert devalued([["Reactive", 1], {"product": 2}, {"name": 3, "price": 4}, "Pot", 24]) == {
        "product": {"name": "Pot", "price": 24}
    }
    assert isinstance(devalued([{"a": 0, "b": 0}]), dict)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="{}[]()=:,;'\"`\\/*!ab1. \n", max_size=80))
def test_any_script_gives_objects_and_lists_or_nothing(script: str) -> None:
    assert all(isinstance(value, dict | list) for value in literals(script))


@pytest.mark.parametrize(
    "hostile",
    ['={"\\"', "=[{", "= {a:", "='\\'", 'push("', "',{", "={a(b)", "=(function(a){return {", "/*", "1 "],
)
def test_twice_the_script_takes_about_twice_the_time(hostile: str) -> None:
    def seconds(count: int) -> float:
        script, times = "x = " + hostile * count, []
        for _ in range(3):
            start = time.process_time()
            list(literals(script))
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(40_000) <= 3 * seconds(20_000) + 0.05
