"""Requests with a known answer as listings: their parts, their ids, and the splits of all others."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.core.params.scrape import Scrape
from components.model.listing_text import listing_text
from components.scrape import scrape as scrape_files
from components.sources import requests
from components.sources.block_list import listing_id
from components.synthetic.catalogue import catalogue as shop
from tests.support.curated import SECTION, catalogue, curate
from tests.support.scraped import Scraped, scrape
from tests.test_scrape import section

TEXT = "Lumo lamp\nPower: 7.5 W. Colour: red. Socket: E27.\nMade of steel: it lasts. For 2.5 m of light."


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("rows.jsonl").write_text(json.dumps({"title": "Kettle", "price": "$5"}), encoding="utf-8")


def kept(*rows: tuple[str, int, str, str]) -> None:
    """The file has these rows."""
    pd.DataFrame(rows, columns=list(requests.COLUMNS)).to_parquet("data/requests.parquet", index=False)


def scraped(source: str = "files", forgotten: frozenset[str] = frozenset()) -> Scraped:
    return scrape(Scrape(**section(source, ["rows.jsonl"], listings=40)), forgotten)


def test_a_text_of_a_listing_is_read_back_into_its_parts() -> None:
    parts = requests.parts_of(TEXT)
    assert parts.details == {"Power": "7.5 W", "Colour": "red", "Socket": "E27"}
    assert parts.description == "Made of steel: it lasts. For 2.5 m of light."
    for product in (product for product in shop(11, 400, 0.25) if product.details):
        text = listing_text(product.title, product.brand, product.details, product.description)
        title, brand, details, description = requests.parts_of(text)
        assert listing_text(title, brand, details, description) == text
        assert (title, details, description) == (product.title, product.details, product.description)
        assert brand in ("", product.brand)


@pytest.mark.parametrize("text", ["A lamp", "A lamp\nPower: seven\nsteel", "A lamp\n\nof steel", "\n\n"])
def test_any_other_text_is_a_title_and_a_description(text: str) -> None:
    title, _, rest = text.strip().partition("\n")
    assert requests.parts_of(text) == (title, "", {}, rest)


def test_requests_stand_beside_the_listings_of_the_source_and_change_none_of_them() -> None:
    before = scraped()
    kept(("order 7", 0, TEXT, "49.9"), ("order 7", 1, "A lamp", "12"))
    after = scraped()
    own = after.listings[after.listings["source"] == "requests"]
    pd.testing.assert_frame_equal(after.listings.drop(own.index).reset_index(drop=True), before.listings)
    assert list(own["id"]) == [listing_id("requests", "order 7 0"), listing_id("requests", "order 7 1")]
    assert list(own["amount"]) == ["49.9", "12"]
    assert own["title"].tolist() == ["Lumo lamp", "A lamp"]
    assert after.report["requests"] == {"requests": 2}
    assert "requests" not in before.report


def test_a_shop_whose_law_is_known_has_none_that_holds_for_all_rows_once_there_are_requests() -> None:
    assert len(scraped("demo_shop").law) == 40
    kept(("order 7", 0, TEXT, "49.9"))
    after = scraped("demo_shop")
    assert len(after.law) == 0
    assert len(after.listings) == 41


def test_a_request_that_was_forgotten_is_a_reject_without_a_word_of_it() -> None:
    kept(("order 7", 0, TEXT, "49.9"), ("order 8", 0, "A lamp", "12"))
    after = scraped(forgotten=frozenset({listing_id("requests", "order 7 0")}))
    assert after.report["requests"] == {"requests": 2, "rejected": {"forgotten": 1}}
    assert "Lumo" not in after.listings.to_csv() + after.rejects.to_csv()
    assert set(after.listings["title"]) == {"Kettle", "A lamp"}


def test_a_table_of_something_else_is_refused_with_the_columns_that_it_lacks() -> None:
    pd.DataFrame({"key": ["a"], "row": [0]}).to_parquet("data/requests.parquet")
    with pytest.raises(PricewrightError, match=r"data/requests\.parquet .* no column text, value; `make re"):
        scraped()


def test_no_product_changes_its_split_when_requests_come_in_but_one_that_a_request_is_like() -> None:
    """That one can only go to a split that is held back more."""
    listings = catalogue(4, size=200)
    before = pd.concat(curate(listings, SECTION).splits.values()).set_index("id")
    like = listings[listings["id"].isin(before.index[before["split"] == "train"])].head(40)
    asked = [f"{row.title}\nWeight: 1 kg.\n{row.description}" for row in like.itertuples()]
    asked += [f"A thing number {number} that nobody has listed, of glass {number}" for number in range(200)]
    kept(*((f"order {number}", 0, text, f"{number + 5}") for number, text in enumerate(asked)))
    own = scraped().listings.query("source == 'requests'")
    after = pd.concat(curate(pd.concat([listings, own]), SECTION).splits.values()).set_index("id")
    joined = set(after.loc[after["source"] == "requests", "product"]) | set(own["id"])
    stays = before.index.intersection(after.index)
    alone = stays[~after.loc[stays, "product"].isin(joined)]
    assert len(alone) > 100
    assert (after.loc[alone, "split"] == before.loc[alone, "split"]).all()
    order = ("train", "preference", "validation", "gate", "test")
    together = stays.difference(alone)
    steps = after.loc[together, "split"].map(order.index) - before.loc[together, "split"].map(order.index)
    assert (steps >= 0).all()
    assert (steps > 0).any(), "the test compares nothing"


def test_the_stage_reads_the_file_that_params_yaml_names_and_none_where_it_names_none() -> None:
    kept(("order 7", 0, TEXT, "49.9"))
    raw = section("files", ["rows.jsonl"])
    raw["requests"] = {"path": None}
    Path("scratch").mkdir()
    report = scrape_files(Scrape(**raw), Path("out"), Path("scratch"), frozenset())
    assert report["listings"] == 1


@pytest.mark.parametrize("line", ["a: " + "x. " * 150_000, "a" * 450_000, "a: b. " * 75_000])
def test_a_request_of_a_service_s_largest_size_is_taken_apart_in_linear_time(line: str) -> None:
    """The first takes twelve minutes where a detail is looked for up to the end of the text each time."""
    parts = requests.parts_of(f"Title\n{line}\nwords")
    assert parts.title == "Title"
    assert parts.description.endswith("words")
