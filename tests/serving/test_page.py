"""The page at `/` in a real browser, on a real service with a champion and a challenger."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from components.core import registry
from tests.support.constant import register_constant
from tests.support.echo_version import register_echo
from tests.support.project import ROOT
from tests.support.server import post, serving, wait
from tests.support.service import own_registry

WAIT = 30_000  # milliseconds, at most
KNOWS_WORDS = """
import pandas

class Model:
    def predict(self, rows, params=None):
        prices = [20.0 + 30.0 * ("gold" in text) - 5.0 * ("broken" in text) for text in rows["description"]]
        answer = pandas.DataFrame({"value": prices, "low": 10.0, "high": 90.0})
        if params and params.get("quantiles"):
            answer["quantiles"] = [[10.0 + q * q / 10 for q in range(params["quantiles"])] for _ in prices]
        return answer

def _load_pyfunc(path):
    return Model()
"""
"""Gold adds 30 dollars, broken takes 5 away."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[tuple[str, Path]]:
    """Address and folder of a service whose champion knows two words, and whose challenger is an echo."""
    folder = tmp_path_factory.mktemp("service")
    with own_registry(folder, empty_store):
        params = (ROOT / "params.yaml").read_text().replace("shadow: null", "shadow: challenger")
        Path("params.yaml").write_text(params)
        options = {"point": "median", "quantiles": 0}
        answer = {"value": 20.0, "low": 10.0, "high": 90.0}
        register_constant("pricer", card="# The card", code=KNOWS_WORDS, answer=answer, options=options)
        registry.set_alias("pricer", "challenger", register_echo("pricer", 33.0))
        with serving("flows.serve", "--version", "1") as (address, _):
            wait(f"{address}/readyz")
            while post(f"{address}/compare", {"description": "a"})["challenger"] is None:
                pass
            yield address, folder


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(folder / "requests.db")) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f"SELECT * FROM {name} ORDER BY id")]


def test_a_person_gets_a_price_its_distribution_its_words_and_says_what_it_cost(
    service: tuple[str, Path], tab: Any
) -> None:
    address, folder = service
    requests: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(address)
    tab.keyboard.press("Tab")  # the tab, the box
    tab.keyboard.press("Tab")
    tab.keyboard.type("a broken gold ring")
    tab.keyboard.press("Control+Enter")
    tab.wait_for_selector("#words li")
    assert tab.inner_text("h1") == tab.title() == "What does it cost?"
    assert tab.inner_text("#value-answered") == "45 crowns"
    assert tab.inner_text("#range") == "Between 10 and 90 crowns."
    assert tab.locator("svg .density").count() == 40
    heights = [float(bar.get_attribute("height")) for bar in tab.locator("svg .density").all()]
    assert heights == sorted(heights, reverse=True), "the closer the quantiles, the higher the density"
    assert tab.get_attribute("svg", "aria-label") == "45 crowns, from 10 to 90"
    assert tab.locator("#words li").all_inner_texts() == ["a", "broken −5", "gold +30", "ring"]
    assert tab.get_attribute("#words li:nth-child(3)", "class") == "up"
    assert tab.inner_text("#version") == "pricer version 1"
    unknown = re.compile("^the training listings of pricer version 1 are not kept here")
    expect(tab.locator("#unknown")).to_have_text(unknown, timeout=WAIT)
    tab.click("#right")
    expect(tab.locator("#note")).to_have_text("Kept. Thank you.", timeout=WAIT)
    tab.fill("#value", "much")
    tab.press("#value", "Enter")
    expect(tab.locator("#note")).to_have_text(re.compile("^That is no number"), timeout=WAIT)
    tab.fill("#value", "$1,049.90")
    tab.press("#value", "Enter")
    expect(tab.locator("#note")).to_have_text("Kept. Thank you.", timeout=WAIT)
    assert all(url.startswith((address, "data:")) for url in requests)
    tab.click("#card")
    assert "# The card" in tab.inner_text("body")
    kept = [row for row in table(folder, "requests") if "gold" in row["input"]]
    assert len(kept) == 1, "what is left out of a text is no request"
    tab.wait_for_timeout(300)
    truths = table(folder, "truths")
    assert [json.loads(row["value"]) for row in truths] == [45, 1049.9]
    assert {(row["key"], row["row"]) for row in truths} == {(kept[0]["key"], 0)}


def test_the_other_tab_compares_champion_and_challenger_on_a_phone(
    service: tuple[str, Path], tab: Any
) -> None:
    address, _ = service
    tab.set_viewport_size({"width": 360, "height": 640})
    tab.goto(address)
    tab.focus("#tab-predict")
    tab.keyboard.press("ArrowRight")
    assert tab.get_attribute("#tab-compare", "aria-selected") == "true"
    assert not tab.is_visible("#panel-predict")
    tab.fill("#text", "a gold ring")
    tab.click("text=Answer")
    tab.wait_for_selector("#both tr")
    cells = [row.locator("td").all_inner_texts() for row in tab.locator("#both tr").all()]
    assert cells == [
        ["champion, version 1", "50", "10", "90"],
        ["challenger, version 2", "33", "1", "11"],
    ]
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not tab.evaluate(wide)


def test_what_is_wrong_stands_on_the_page_in_one_line(service: tuple[str, Path], tab: Any) -> None:
    address, _ = service
    tab.goto(address)
    tab.click("#tab-compare")
    tab.fill("#text", "fail")
    tab.click("text=Answer")
    expect(tab.locator("#note")).not_to_be_empty(timeout=WAIT)
    assert tab.inner_text("#note") == "the version could not answer this"


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/truth", {"key": "", "value": 1}, "key is to be"),
        ("/truth", {"key": "a", "row": -1, "value": 1}, "row is to be"),
        ("/truth", {"key": "a", "value": [1]}, "value is to be"),
        ("/truth", [], "key is to be"),
        ("/words", [], "the body is to be one record"),
        ("/nearest", [], "the body is to be one record"),
        ("/compare", {}, "record 0 has no description"),
    ],
)
def test_a_body_that_the_page_would_not_send_is_refused(
    service: tuple[str, Path], path: str, body: Any, words: str
) -> None:
    import httpx

    answer = httpx.post(f"{service[0]}{path}", json=body, trust_env=False)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(words)
