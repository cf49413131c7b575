from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.one_by_one import cleaned as one_by_one
from components.core.params.curate import Curate
from components.core.params.file import load_params
from components.core.params.task import Task
from components.core.schemas import Listing
from components.curation.columnar import candidates_of, cleaned
from components.sources.extraction.money import amount, plain_number
from components.synthetic.catalogue import catalogue
from tests.support.project import ROOT

TASK = load_params(ROOT / "params.yaml").task
SECTION = load_params(ROOT / "params.yaml").curate.model_copy(update={"rates": {"EUR": 1.1}})
PIECES = [
    *"aZéßİıſK9. ,:;-–\t\n\x00\x85\u00a0\u00ad\u200b\u2028\u3000\u0301\ufeffΩ漢\"\\'{}",
    "<b>",
    "</b>",
    "<!-- x -->",
    " < ",
    "&amp;",
    "&nbsp;",
    "&#36;5",
    "  ",
    "$12.99",
    "$ 5",
    "€",
    "¢",
    "1.299,00 €",
    "US$ 58",
    "usd 40",
    "40USD",
    "40-dollars",
    "forty five dollars",
    "EURO",
    "accent",
    "price: 12",
    "Prıce 12",
    "list price 9",
    "MSRP",
    "cost",
    "WPW1032-1304",
    "part number 885370123456",
    "Read More",
    "about this item",
    "oak lamp",
    "٣ dollars",
    "ann@example.org",
    "(555) 203-4567",
    "+44 20 7946 0018",
    "call us 55",
    "whore",
    "whİte",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=7).map("".join) | st.text(max_size=12)
VALUES = TEXTS | st.none() | st.integers() | st.lists(TEXTS, max_size=2)
NAMES = TEXTS | st.sampled_from(["Brand", "ASIN", "Price", "Cost", "Weight", "Color"])
PRICES = (
    st.from_regex(r"\$? ?[0-9]{1,4}(,[0-9]{3})?(\.[0-9]{1,3})?", fullmatch=True)
    | TEXTS
    | st.sampled_from(["", "-5", "$-3", "12 €", "GBP 3", "4 - 5"])
)
LISTINGS = st.fixed_dictionaries(
    {
        "id": st.just("0" * 16),
        "title": TEXTS,
        "description": TEXTS,
        "brand": TEXTS | st.just("oak"),
        "category": TEXTS,
        "details": st.dictionaries(NAMES, VALUES, max_size=3).map(
            lambda details: json.dumps(details, ensure_ascii=False)
        ),
        "price": PRICES,
        "currency": st.sampled_from(["", "USD", "eur", " EUR ", "GBP", "$", "kr"]),
        "rights": st.sampled_from(["", "CC0", "tdm-reservation: 1 (meta tag)", "; CC BY 4.0;CC0"]),
        "source": st.just("files"),
        "address": st.just("shop:1"),
    }
)


def assert_equal(
    rows: list[dict[str, Any]], section: Curate = SECTION, task: Task = TASK, names: tuple[str, ...] = ()
) -> None:
    rows = [row | {"amount": plain_number(amount(row["price"]))} for row in rows]
    listings = pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in rows[0]]))
    table = cleaned(listings, section, task, list(names))
    rejections = zip(table["rule"].to_pylist(), table["reason"].to_pylist(), strict=True)
    expected = one_by_one(rows, section, task, list(names))
    assert candidates_of(table) == [candidate for candidate, _ in expected]
    assert list(rejections) == [tuple(rejection) if rejection else ("", "") for _, rejection in expected]


@settings(max_examples=150, deadline=None)
@given(st.lists(LISTINGS, min_size=1, max_size=12))
@example([{**dict.fromkeys(Listing.columns(), ""), "details": '{"{a": "b}", "c": "d"}', "title": "x" * 30}])
def test_a_table_is_cleaned_as_each_of_its_listings_alone(rows: list[dict[str, Any]]) -> None:
    assert_equal(rows)


@pytest.mark.parametrize("field", ["title", "brand", "category", "description", "details", "price"])
def test_a_line_over_the_cap_is_rejected_uncleaned_and_one_at_the_cap_is_cleaned(field: str) -> None:
    limit = SECTION.line_characters_max
    words = "<b>oak</b> lamp " * limit
    fitting = json.dumps({"Wood": words[: limit - 12]}) if field == "details" else words[:limit]
    assert len(fitting) == limit
    sound = {"title": "Oak lamp for desks", "description": "of oak", "price": "$5", "details": "{}"}
    row = dict.fromkeys(Listing.columns(), "") | sound
    assert_equal([row | {field: fitting}, row | {field: fitting + " "}, row])
    table = pa.Table.from_pylist([row | {"amount": "5", field: text} for text in (fitting, fitting + " ")])
    fit, overlong = cleaned(table, SECTION, TASK, []).to_pylist()
    assert fit["rule"] != "overlong_line"
    assert overlong["rule"] == "overlong_line"
    assert f"{field} has {limit + 1:,} characters" in overlong["reason"]
    assert overlong[field.replace("price", "written")] in ("", "{}")


def test_the_demo_shop_is_cleaned_as_each_of_its_listings_alone() -> None:
    rows = [
        dict.fromkeys(Listing.columns(), "")
        | {
            "id": f"{position:016x}",
            "title": product.title,
            "description": product.description,
            "brand": product.brand,
            "category": product.category,
            "details": json.dumps(product.details),
            "price": ("", f"${product.price}.00", f"{product.price}", f"$ {product.price},5")[position % 4],
            "currency": "USD",
        }
        for position, product in enumerate(catalogue(5, 800, 0.25))
    ]
    assert_equal(rows)


@settings(max_examples=100, deadline=None)
@given(st.lists(LISTINGS, min_size=1, max_size=8))
def test_a_table_whose_texts_name_the_category_is_cleaned_as_each_of_its_listings_alone(
    rows: list[dict[str, Any]],
) -> None:
    assert_equal(rows, SECTION.model_copy(update={"text_category": True}))


LABELS = {
    column: TASK.model_copy(
        update={"kind": "label", "label": TASK.label.model_copy(update={"column": column})}
    )
    for column in ("category", "brand", "weight")
}


@pytest.mark.parametrize("column", LABELS)
@settings(max_examples=60, deadline=None)
@given(rows=st.lists(LISTINGS, min_size=1, max_size=8))
def test_a_table_with_labels_is_cleaned_as_each_of_its_listings_alone(
    column: str, rows: list[dict[str, Any]]
) -> None:
    known = {"category": "Lamps", "brand": "Lumo", "details": '{"WEIGHT": "9 kg", "Brand": "Lumo"}'}
    names = ("9 kg", "Lamps", "Lumo", "oak")
    assert_equal([*rows, rows[0] | known], SECTION, LABELS[column], names)
    if column == "weight":
        given = LABELS[column].label.model_copy(update={"names": list(names)})
        assert_equal(rows, SECTION, LABELS[column].model_copy(update={"label": given}), names)


def test_a_text_states_no_label() -> None:
    """The title stays as the source wrote it."""
    row = dict.fromkeys(Listing.columns(), "") | {
        "title": "Lumo lamp for desks",
        "description": "A lamp.",
        "brand": "Lumo",
        "category": "Lamps",
        "details": '{"Category": "Desk lamps", "brand": "Lumo", "WEIGHT": "9 kg", "Colour": "red"}',
    }
    other = row | {"title": "A lamp for desks and tables"}
    table = pa.Table.from_pylist([row, other])
    for column, lines in {
        "category": [
            "brand: Lumo. WEIGHT: 9 kg. Colour: red.",
            "Brand: Lumo. brand: Lumo. WEIGHT: 9 kg. Colour: red.",
        ],
        "brand": ["Category: Desk lamps. WEIGHT: 9 kg. Colour: red."] * 2,
        "weight": [
            "Category: Desk lamps. brand: Lumo. Colour: red.",
            "Brand: Lumo. Category: Desk lamps. brand: Lumo. Colour: red.",
        ],
    }.items():
        rows = cleaned(table, SECTION, LABELS[column], ["9 kg", "Lamps", "Lumo"]).to_pylist()
        assert [row["text"].split("\n") for row in rows] == [
            [row["title"], line, "A lamp."] for row, line in zip(rows, lines, strict=True)
        ]
        assert [row["rule"] for row in rows] == ["", ""]
        assert len({row["target"] for row in rows} - {None}) == 1
        assert column not in {name.casefold() for row in rows for name in json.loads(row["details"])}


def test_a_text_names_the_category_as_its_first_detail_without_prices_and_once() -> None:
    sound = {"title": "Oak lamp for desks", "description": "A lamp.", "price": "$5", "brand": "Wood & Co"}
    rows = [
        {"category": "Lamps", "details": '{"Height": "3 in"}'},
        {"category": "Lamps under $25", "details": "{}"},
        {"category": "Lamps", "details": '{"Height": "3 in", "Category": "Desk lamps"}'},
        {"category": "Lamps", "details": '{"Height": "3 in  ", "Category": "Desk lamps"}'},
        {"category": "", "details": "{}"},
    ]
    blank = dict.fromkeys(Listing.columns(), "") | {"amount": "5"}
    table = pa.Table.from_pylist([blank | sound | row for row in rows])
    for named, lines in {
        True: [
            "Brand: Wood & Co. Category: Lamps. Height: 3 in.",
            "Brand: Wood & Co. Category: Lamps.",
            "Brand: Wood & Co. Height: 3 in. Category: Desk lamps.",
            "Brand: Wood & Co. Height: 3 in. Category: Desk lamps.",
            "Brand: Wood & Co.",
        ],
        False: [
            "Brand: Wood & Co. Height: 3 in.",
            "Brand: Wood & Co.",
            "Brand: Wood & Co. Height: 3 in. Category: Desk lamps.",
            "Brand: Wood & Co. Height: 3 in. Category: Desk lamps.",
            "Brand: Wood & Co.",
        ],
    }.items():
        section = SECTION.model_copy(update={"text_category": named})
        texts = cleaned(table, section, TASK, [])["text"].to_pylist()
        assert [text.split("\n")[1] for text in texts] == lines


@pytest.mark.parametrize("phrases", [[], ["a+b", "lamp"]])
def test_a_table_is_cleaned_as_its_listing_without_phrases_and_codes_to_drop(
    phrases: list[str],
) -> None:
    changes = {"boilerplate": phrases, "details_dropped": [], "part_number_characters": None, "rates": {}}
    section = SECTION.model_copy(update=changes)
    row = dict.fromkeys(Listing.columns(), "") | {
        "title": "Oak A+B <b>lamp</b>",
        "details": '{"ASIN": "B00"}',
        "price": "3",
        "amount": "3",
    }
    table = cleaned(pa.Table.from_pylist([row]), section, TASK, [])
    assert candidates_of(table) == [candidate for candidate, _ in one_by_one([row], section, TASK, [])]
