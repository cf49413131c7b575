from __future__ import annotations

import json
from collections import Counter

import pyarrow as pa
import pytest

from components.core.errors import PricewrightError
from components.core.params.curate import Balance
from components.core.params.file import load_params
from components.curation.labels import LABELS_MAX, labels_of, names_in, places_of, require_hidden
from tests.support.project import ROOT

SECTION, LABEL = (params := load_params(ROOT / "params.yaml")).curate, params.task.label


def labels(column: str, rows: list[dict[str, str]]) -> list[str]:
    listings = pa.Table.from_pylist([{"category": "", "brand": "", "details": "{}"} | row for row in rows])
    return labels_of(listings, SECTION, LABEL.model_copy(update={"column": column})).to_pylist()


@pytest.mark.parametrize(
    ("category", "label"),
    [
        ("Lamps", "Lamps"),
        ("Home &amp; Kitchen &gt; Lamps > Desk", "Home & Kitchen"),
        (">> Toys >> Bricks", "Toys"),
        ("Tools / Drills", "Tools"),
        ("TV/Video", "TV/Video"),
        ("Books › Maps | Old", "Books"),
        ("<b>Lamps</b>\nand more", "Lamps and more"),
        (" \n\x00", ""),
        ("", ""),
    ],
)
def test_a_category_is_the_top_level_of_its_path_on_one_line(category: str, label: str) -> None:
    assert labels("category", [{"category": category}]) == [label]
    assert labels("Category", [{"category": category}]) == [label]


def test_a_brand_is_tidied_and_is_no_path() -> None:
    brands = ["Lumo\r\nLamps", " A / B ", "x" * (SECTION.line_characters_max + 1)]
    assert labels("brand", [{"brand": brand} for brand in brands]) == ["Lumo Lamps", "A / B", ""]


@pytest.mark.parametrize(
    ("details", "label"),
    [
        ({"Colour": " dark\nred "}, "dark red"),
        ({"COLOUR": "red"}, "red"),
        ({"Colour": None}, ""),
        ({"Colour": None, "colour": "red"}, "red"),
        ({"Colour": ["red", "blue"]}, "red, blue"),
        ({"Colour": 7}, "7"),
        ({"Colours": "red"}, ""),
        ({}, ""),
    ],
)
def test_a_specification_is_found_whatever_its_case_and_put_on_one_line(details: dict, label: str) -> None:
    assert labels("colour", [{"details": json.dumps(details)}]) == [label]


def test_a_listing_whose_columns_are_null_has_no_label() -> None:
    listings = pa.table({name: pa.array([None], pa.string()) for name in ("category", "brand", "details")})
    for column in ("category", "brand", "colour"):
        label = LABEL.model_copy(update={"column": column})
        assert labels_of(listings, SECTION, label).to_pylist() == [""]


def test_a_label_is_its_place_among_the_names_and_null_beside_them() -> None:
    assert places_of(pa.array(["b", "a", "c", ""]), ["a", "b"]).to_pylist() == [1.0, 0.0, None, None]


def test_the_names_are_sorted_and_those_of_enough_listings_alone() -> None:
    label = LABEL.model_copy(update={"rows_min": 3})
    assert names_in(Counter({"tent": 3, "Lamp": 9, "saw": 2, "": 50}), label) == ["Lamp", "tent"]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"": 90}, r"0 of 0 labels .*; 90 of 90 listings have none\. Name category, brand or a spec"),
        ({"Lamps": 90}, r"1 of 1 labels .*'Lamps' 90; 0 of 90 .*nothing to tell apart: name another column"),
        ({f"label {n}": 1 for n in range(10_000)}, r"0 of 10,000 labels .*Lower task\.label\.rows_min"),
        ({"Lamps": 90, "Tents": 1}, r"1 of 2 labels .*'Lamps' 90, 'Tents' 1; .*Lower task\.label\.rows_min"),
        (
            {f"label {n}": 20 for n in range(10_000)},
            rf"10,000 of 10,000 labels .*More than {LABELS_MAX:,} cannot be told apart: raise rows_min",
        ),
    ],
    ids=["missing", "constant", "each once", "all but one rare", "too many"],
)
def test_labels_that_cannot_be_told_apart_are_an_error_with_what_was_found(
    counts: dict[str, int], message: str
) -> None:
    with pytest.raises(PricewrightError, match=rf"task\.label\.column 'category': {message}"):
        names_in(Counter(counts), LABEL)


def test_a_text_that_would_state_the_label_or_a_draw_over_numbers_is_an_error() -> None:
    require_hidden(SECTION, LABEL)
    shown = SECTION.model_copy(update={"text_category": True})
    with pytest.raises(PricewrightError, match=r"set curate\.text_category to false"):
        require_hidden(shown, LABEL)
    require_hidden(shown, LABEL.model_copy(update={"column": "brand"}))
    drawn = SECTION.model_copy(update={"balance": Balance(band=1.0, strength=0.5)})
    with pytest.raises(PricewrightError, match=r"curate\.balance .*set its strength to 0"):
        require_hidden(drawn, LABEL)
