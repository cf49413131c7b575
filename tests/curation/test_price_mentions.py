"""Prices in running text. In price_sentences.txt each amount of a price stands in braces."""

from __future__ import annotations

import re
from collections import Counter

import pyarrow as pa
import pytest

from components.core.params.file import load_params
from components.curation.cleaning import clean_details, plain
from components.curation.columnar import plain_column
from components.curation.price_mentions import Span, price_spans, without_prices
from tests.support.project import ROOT
from tests.support.timing import least_seconds

SECTION = load_params(ROOT / "params.yaml").curate
SENTENCES = (ROOT / "tests/curation/price_sentences.txt").read_text().splitlines()
PRICE = re.compile(r"\{([^{}]*)\}")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def raw(sentence: str) -> str:
    return PRICE.sub(r"\1", sentence)


def marked(sentence: str) -> Counter[str]:
    """The amounts of the prices: numbers, or the last word of an amount in words."""
    return Counter(
        amount for price in PRICE.findall(sentence) for amount in NUMBER.findall(price) or price.split()[-1:]
    )


def others(sentence: str) -> Counter[str]:
    return Counter(NUMBER.findall(PRICE.sub(" ", sentence)))


def test_prices_leave_the_text_and_other_numbers_stay() -> None:
    left, prices, lost, numbers = 0, 0, 0, 0
    for sentence in SENTENCES:
        words = Counter(NUMBER.findall(bare := plain(raw(sentence), SECTION)) + re.findall(r"[^\W\d]+", bare))
        lost += (others(sentence) - words).total()
        left += ((words - others(sentence)) & marked(sentence)).total()
        prices += marked(sentence).total()
        numbers += others(sentence).total()
    assert len(SENTENCES) >= 300
    assert prices >= 300
    assert numbers >= 300
    assert left <= 0.02 * prices
    assert lost <= 0.01 * numbers


def test_a_column_of_sentences_is_cleaned_as_each_of_them_alone() -> None:
    texts = [raw(sentence) for sentence in SENTENCES]
    assert plain_column(pa.array(texts), SECTION).to_pylist() == [plain(text, SECTION) for text in texts]


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("49 zł", ""),
        ("499 SEK", ""),
        ("Rs 1,299", ""),
        ("was 40, now 30", ""),
        ("Sale! 49.99", ""),
        ("You pay 39.95", "You"),
        ("1.299,-", ""),
        ("an oak lamp for forty dollars", "an oak lamp"),
        ("RTX4090-24GB-OC and WD40-2000XYZ1", "RTX4090-24GB-OC and WD40-2000XYZ1"),
        ("AT&T CLP99387 phone on rs485", "AT&T CLP99387 phone on rs485"),
        ("Retreat Cost 2 A single card", "Retreat Cost 2 A single card"),
        ("it opened in 1999, now 20 years ago", "it opened in 1999, now 20 years ago"),
    ],
)
def test_a_label_leaves_the_question_and_the_name_of_a_thing_stays(text: str, bare: str) -> None:
    assert plain(text, SECTION) == bare


def test_a_price_in_the_specifications_is_left_out() -> None:
    details = (
        '{"Sale": "49.99", "Offer": "was 40, now 30", "Preis": "49,90", "Depth": "49.99", '
        '"Terms": {"Pay": "39.95"}, "Pieces": "40"}'
    )
    assert clean_details(details, SECTION) == {"Depth": "49.99", "Pieces": "40"}


def test_a_span_holds_the_price_and_the_words_that_lead_to_it() -> None:
    text = "Oak, now only $40 to $50 a piece, 2 kg"
    assert [text[start:end] for start, end in price_spans(text)] == ["now only $40 to $50"]
    assert price_spans("Oak, 2 kg") == []
    assert price_spans("$5") == [Span(0, 2)]


@pytest.mark.parametrize(
    "piece",
    [
        "1 ",
        "1",
        "$",
        "$ 1 ",
        "1,",
        "1.1",
        "one ",
        "a hundred and ",
        "for ",
        "was 40 ",
        "€1 111 ",
        "1-",
        " ",
        "¢",
    ],
)
def test_the_work_grows_with_the_length_of_a_text_alone(piece: str) -> None:
    def seconds(characters: int) -> float:
        text = (piece * characters)[:characters]
        return least_seconds(lambda: without_prices(text))

    assert seconds(8_000) < 3.5 * seconds(4_000) + 0.01
