from __future__ import annotations

import json
import time

import pytest

from components.core.params.file import load_params
from components.curation.cleaning import (
    clean_details,
    converted,
    currencies_of,
    cut,
    tidy,
    without_boilerplate,
    without_part_numbers,
)
from components.curation.price_mentions import without_prices
from tests.support.project import ROOT

SECTION = load_params(ROOT / "params.yaml").curate


@pytest.mark.parametrize(
    ("currency", "price", "currencies"),
    [
        ("", "1.299,00 €", {"EUR"}),
        ("usd", "$3", {"USD"}),
        ("", "US$ 5", {"USD"}),
        ("$", "CA$12", {"CAD"}),
        ("", "$12", {"$"}),
        ("", "199 kr", {"kr"}),
        ("€", "12", {"EUR"}),
        ("USD", "5 €", {"EUR", "USD"}),
        ("EUR", "$5", {"EUR", "$"}),
        ("", "12", set()),
    ],
)
def test_a_listing_names_one_currency_or_all_where_its_fields_disagree(
    currency: str, price: str, currencies: set[str]
) -> None:
    assert currencies_of(currency, price) == currencies


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("<p>A <b>bold</b>\n lamp</p>", "A bold lamp"),
        ("<style>p {color: red}</style>lamp<!-- stock: 3 -->", "lamp"),
        ("&#402;/1.8 lens &amp; case", "ƒ/1.8 lens & case"),
        ("&amp;lt;b&amp;gt;lamp&amp;lt;/b&amp;gt;", "lamp"),
        ("the 1960\x92s \x07 lamp\u200b\u00ad", "the 1960’s lamp"),
        ("for screens < 5 inch and > 3 inch", "for screens < 5 inch and > 3 inch"),
        ("AT&T phone", "AT&T phone"),
        ("a <script>lamp", "a lamp"),
        ("a <!-- lamp", "a <!-- lamp"),
        ("a <SCRIPT src=x>1</style></script >lamp <style>b", "a lamp b"),
    ],
)
def test_markup_entities_and_control_characters_are_cleaned_away(raw: str, plain: str) -> None:
    assert tidy(raw) == plain


@pytest.mark.parametrize(
    "piece", ["<script>", "<!--", "<style ", "<a", "</script ", "<script></style>", "<!-- -"]
)
def test_the_work_for_tags_that_do_not_end_grows_with_the_length_alone(piece: str) -> None:
    def seconds(repeats: int) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            tidy(piece * repeats)
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(20_000) < 3.5 * seconds(10_000) + 0.01


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("A lamp, now $12.99!", "A lamp,!"),
        ("A lamp for only 40 dollars.", "A lamp."),
        ("A lamp, USD 40, in red", "A lamp,, in red"),
        ("A US $45 card", "A card"),
        ("From $10 - $25 a piece", "a piece"),
        ("List price: 49.99. Red.", "Red."),
        ("12,99 € per box", "per box"),
        ("under forty-five dollars, red", "red"),
        ("$ $40 5 lamps", "lamps"),
        ("costs 99¢ less", "costs less"),
        ("A BONUS $5 card", "A BONUS card"),
    ],
)
def test_a_price_inside_the_text_is_removed(text: str, cleaned: str) -> None:
    assert without_prices(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "5.99 inches, 4K, 20 pounds",
        "Price of Persia for 2 players",
        "up to 40 hours at 3 speeds",
        "A 40-pack",
    ],
)
def test_numbers_that_are_no_price_stay_in_the_text(text: str) -> None:
    assert without_prices(text) == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("About This Item: an oak lamp", "an oak lamp"),
        ("an oak lamp. read more", "an oak lamp."),
        ("spread more butter", "spread more butter"),
        ("read moreover", "read moreover"),
    ],
)
def test_boilerplate_is_taken_out_at_the_borders_of_words(text: str, cleaned: str) -> None:
    assert without_boilerplate(text, ["read more", "about this item"]) == cleaned
    assert without_boilerplate(text, []) == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Fits WPW10321304 and DA29-00020B.", "Fits and."),
        ("Lamp, part number: AB-1234-5678-C, oak", "Lamp,, oak"),
        ("UPC 885370123456 lamp", "lamp"),
        ("WH-1000XM4 headphones", "WH-1000XM4 headphones"),
        ("1920x1080 at 240Hz, 100-240V, AC2400", "1920x1080 at 240Hz, 100-240V, AC2400"),
        ("REFURBISHED LAMP-STAND2", "REFURBISHED LAMP-STAND2"),
    ],
)
def test_part_numbers_are_taken_out_and_names_of_models_stay(text: str, cleaned: str) -> None:
    assert without_part_numbers(text, 10) == cleaned
    assert without_part_numbers(text, None) == text


def test_a_price_is_converted_by_the_rate_of_its_one_currency() -> None:
    rates = {"EUR": 1.1}
    assert converted(10.0, {"EUR"}, rates) == 11.0
    assert converted(10.0, {"GBP"}, rates) == 10.0
    assert converted(10.0, {"EUR", "GBP"}, rates) == 10.0
    assert converted(10.0, set(), rates) == 10.0
    assert converted(None, {"EUR"}, rates) is None


def test_specifications_are_flattened_and_those_of_price_or_no_worth_left_out() -> None:
    details = {
        "Size": " 3&nbsp;m ",
        "Rank": {"Tools": 7, "Tarps": 8},
        "Colors": ["red", "blue"],
        "List Price": "40",
        "Note": "only $40",
        "None": None,
        "part number": "X1",
    }
    assert clean_details(json.dumps(details), SECTION) == {
        "Size": "3 m",
        "Rank": "Tools 7, Tarps 8",
        "Colors": "red, blue",
    }


def test_a_text_is_cut_at_a_words_end() -> None:
    assert cut("a lamp of oak", 8) == "a lamp"
    assert cut("a lamp of oak", 6) == "a lamp"
    assert cut("a lamp\nof oak", 8) == "a lamp"
    assert cut("a lamp of oak", 13) == "a lamp of oak"
    assert cut("unbreakable", 5) == "unbre"
