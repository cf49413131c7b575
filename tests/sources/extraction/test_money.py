"""Prices in any text, and a price by itself: its number, its currency, what is not understood."""

from __future__ import annotations

import re
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.currencies import CODES, COUNTRIES, NAMES, SHARED, agreed
from components.sources.extraction.money import (
    CELL_CHARACTERS,
    LINE_CHARACTERS,
    amount,
    currency,
    find_prices,
    parse,
    plain_number,
    readings,
)
from components.sources.extraction.product import extract
from tests.support.product_pages import page


def test_the_country_of_the_page_decides_which_dollar_it_is() -> None:
    text = page("<b class='price'>$30</b>")
    assert extract(text, "/p/1").currency == ""
    assert extract(text.replace("<html>", '<html lang="en-CA">'), "/p/1").currency == "CAD"
    assert extract(text, "https://a.example.com.au/p/1").currency == "AUD"


@pytest.mark.parametrize(
    ("price", "code"),
    [("$5", ""), ("US$ 5", "USD"), ("5 EUR", "EUR"), ("€5", "EUR"), ("£5", "GBP"), ("", "")],
)
def test_a_shared_sign_alone_names_no_currency(price: str, code: str) -> None:
    assert currency(price) == code


@pytest.mark.parametrize(
    ("written", "number", "currencies"),
    [
        ("49 zł", "49", {"PLN"}),
        ("199 kr", "199", {"kr"}),
        ("kr. 12,-", "12", {"kr"}),
        ("R$ 99,90", "99.90", {"BRL"}),
        ("Rs. 899", "899", {"INR"}),
        ("Rs.899", "899", {"INR"}),
        ("C$12", "12", {"CAD"}),
        ("CHF 49.-", "49", {"CHF"}),
        ("1.299,-", "1299", set()),
        ("$1,299.00", "1299", {"$"}),
        ("US $1,299.00", "1299", {"USD"}),
        ("$12 USD", "12", {"$", "USD"}),
        ("1\u202f299,00\u00a0€", "1299", {"EUR"}),
        ("1,29,900", "129900", set()),
        ("$.99", "0.99", {"$"}),
        ("$-12.00", "-12", {"$"}),
        ("−5", "-5", set()),
        ("٤٩٫٥٠ د.إ", "49.5", {"AED"}),
        ("58 45", "58.45", set()),
        ("1299.999", "1299.999", set()),
        ("0", "0", set()),
    ],
)
def test_a_price_by_itself_is_read_with_its_currency(written: str, number: str, currencies: set[str]) -> None:
    assert amount(written) == Decimal(number)
    assert (parse(written).currencies, parse(written).unknown) == (currencies, "")


@pytest.mark.parametrize(
    ("written", "unknown"),
    [
        ("$12.5k", "k"),
        ("12 USD/kg", "/kg"),
        ("5%", "%"),
        ("from $5", "from"),
        ("12 quid", "quid"),
        ("7 ¤", "¤"),
    ],
)
def test_a_sign_or_word_beside_the_number_that_is_not_understood_is_named(written: str, unknown: str) -> None:
    assert parse(written).unknown == unknown


@pytest.mark.parametrize(
    "written",
    ["", "call us", "nan", "inf", "12.99 - 15.99", "2 for $5", "1e5", "free", "12 € (14 USD)", "9" * 1000],
)
def test_what_is_not_exactly_one_number_is_no_price(written: str) -> None:
    assert amount(written) is None


def test_the_sign_in_front_of_the_decimals_decides_what_a_number_is() -> None:
    assert readings("1.299") == {".": Decimal("1.299"), ",": Decimal(1299)}
    assert readings("1,299") == {".": Decimal(1299), ",": Decimal("1.299"), " ": Decimal(1299)}
    assert readings("1 299") == dict.fromkeys([".", ",", " "], Decimal(1299))
    assert readings("1730 95") == {" ": Decimal("1730.95")}
    assert readings("12.99.15") == readings("") == {}


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ({"$", "CAD"}, "CAD"),
        ({"$", "EUR"}, None),
        ({"EUR", "USD"}, None),
        ({"$", "dollar"}, "dollar"),
        ({"kr"}, "kr"),
        (set(), ""),
    ],
)
def test_names_of_currencies_agree_or_do_not(names: set[str], code: str | None) -> None:
    assert agreed(names) == code


def test_the_table_of_currencies_is_about_known_codes() -> None:
    assert COUNTRIES.keys() <= CODES
    assert set(NAMES.values()) <= CODES | SHARED.keys()
    assert set.union(*SHARED.values()) <= CODES


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789.,-' $€£kr\u00a0\u202fUSD", max_size=30) | st.text(max_size=30))
def test_any_text_gives_a_finite_number_or_none_and_a_currency_code_or_nothing(written: str) -> None:
    number = amount(written)
    assert number is None or number.is_finite()
    assert re.fullmatch(r"(?:-?\d+(?:\.\d*)?)?", plain_number(number))
    assert re.fullmatch("(?:[A-Z]{3})?", currency(written))


@pytest.mark.parametrize("piece", ["123 456 789 ", "1,23", "1.", "9", "$ ", "1.- ", "kr1 "])
def test_twice_the_text_takes_about_twice_the_time(piece: str) -> None:
    def seconds(repetitions: int) -> float:
        text = "\n".join([piece * (LINE_CHARACTERS // len(piece))] * repetitions)
        start = time.perf_counter()
        list(find_prices(text))
        return time.perf_counter() - start

    once = min(seconds(4) for _ in range(3))
    assert min(seconds(8) for _ in range(3)) < 4 * once + 0.02


def test_prices_are_looked_for_in_the_beginning_of_a_long_line() -> None:
    assert amount("1 234" + " 567" * 1_000_000) is None  # took days
    assert [match.group() for match in find_prices("x" * LINE_CHARACTERS + " $5\n$6")] == ["$6"]
    assert amount("9" * CELL_CHARACTERS) is not None
