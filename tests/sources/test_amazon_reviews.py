"""Amazon Reviews 2023 from local files in the layout of the hub."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.core.params.file import Params, load_params
from components.core.params.scrape import AmazonReviews
from components.core.schemas import Listing
from components.sources import amazon_reviews
from flows.profile import apply
from tests.support.curated import SHARES, curate
from tests.support.project import ROOT
from tests.support.scraped import Source, collected, scrape

LETTERS = list("abcdefghiklmnoprstuvwy")
ITEM: dict[str, Any] = {
    "main_category": "Appliances",
    "title": "Quarry Kettle",
    "average_rating": 4.5,
    "rating_number": 12,
    "features": ["Boils a litre.", "Counterweighted handle."],
    "description": ["Made of steel."],
    "price": "58.45",
    "images": {"hi_res": [None], "large": ["l.jpg"], "thumb": ["t.jpg"], "variant": ["MAIN"]},
    "videos": {"title": [], "url": [], "user_id": []},
    "store": "Quarry",
    "categories": ["Appliances", "Small", "Kettles", "Gooseneck"],
    "details": json.dumps({"Brand": "Quarry", "Capacity": "0.9 l"}),
    "parent_asin": "B00000001",
    "bought_together": None,
    "subtitle": None,
    "author": None,
}


def hub(folder: Path, **items: list[dict[str, Any]]) -> Path:
    """The data set as on the hub: a folder for each category, of one or more Parquet files."""
    for category, rows in items.items():
        parts = folder / f"raw_meta_{category}"
        parts.mkdir()
        for number, row in enumerate(rows):
            name = f"full-{number:05}-of-{len(rows):05}.parquet"
            pd.DataFrame([{**ITEM, "parent_asin": f"B{number}", **row}]).to_parquet(parts / name)
    return folder


def collect(section: AmazonReviews) -> Source:
    return collected(lambda spool: amazon_reviews.collect(section, spool))


def section(
    folder: Path | str, *categories: str, rows_max: int = 100, revision: str | None = None
) -> AmazonReviews:
    return AmazonReviews(
        repository=str(folder), revision=revision, categories=list(categories), rows_max=rows_max
    )


def test_an_item_becomes_a_listing_with_its_provenance(params: Params, tmp_path: Path) -> None:
    amazon_reviews = section(hub(tmp_path, Appliances=[{}]), "Appliances")
    scrape_section = params.scrape.model_copy(
        update={"source": "amazon_reviews", "amazon_reviews": amazon_reviews}
    )
    scraped = scrape(scrape_section)
    assert list(scraped.listings.columns) == Listing.columns()
    [row] = scraped.listings.to_dict("records")
    assert (row["title"], row["brand"], row["category"]) == ("Quarry Kettle", "Quarry", "Kettles")
    assert row["description"] == "Boils a litre. Counterweighted handle. Made of steel."
    assert json.loads(row["details"]) == {"Brand": "Quarry", "Capacity": "0.9 l"}
    assert (row["price"], row["currency"], row["found_in"]) == ("58.45", "USD", "row")
    assert (row["source"], row["address"], len(row["page_hash"])) == ("amazon_reviews", "Appliances:B0", 64)
    assert scraped.report["amazon_reviews"] == {"Appliances": 1}


@pytest.mark.parametrize(
    ("written", "price"),
    [
        (None, ""),
        ("None", ""),
        ("-", ""),
        ("—", ""),
        ("", ""),
        ("$12.99 - $15.99", "$12.99 - $15.99"),
        ("from 14.99", "from 14.99"),
        ("1,299.00", "1,299.00"),
    ],
)
def test_a_price_stays_as_written_and_a_dash_is_none(tmp_path: Path, written: str | None, price: str) -> None:
    rows = collect(section(hub(tmp_path, A=[{"price": written}]), "A")).rows
    assert list(rows["price"]) == [price]


def test_empty_fields_are_empty_and_broken_details_are_kept(tmp_path: Path) -> None:
    row = {"title": None, "features": [], "description": [], "categories": [], "store": None, "details": "{a"}
    [listing] = collect(section(hub(tmp_path, A=[row]), "A")).rows.to_dict("records")
    assert (listing["title"], listing["description"], listing["brand"]) == ("", "", "")
    assert listing["category"] == "Appliances"
    assert json.loads(listing["details"]) == {"Details": "{a"}


def test_each_category_gives_at_most_so_many_rows_from_all_its_files(tmp_path: Path) -> None:
    folder = hub(tmp_path, A=[{}, {}, {}], B=[{}])
    collected = collect(section(folder, "A", "B", rows_max=2))
    assert collected.counts == {"A": 2, "B": 1}
    assert list(collected.rows["address"]) == ["A:B0", "A:B1", "B:B0"]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = hub(tmp_path, A=[{}])
    with pytest.raises(PricewrightError, match=r"raw_meta_Toys/full-\*\.parquet cannot be read"):
        collect(section(folder, "Toys"))
    path = next((folder / "raw_meta_A").iterdir())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(PricewrightError, match=r"raw_meta_A/full-\*\.parquet cannot be read"):
        collect(section(folder, "A"))
    pd.DataFrame([{"title": "a"}]).to_parquet(path)
    with pytest.raises(PricewrightError, match="no column features"):
        collect(section(folder, "A"))


@pytest.mark.parametrize("revision", [None, "main", "2b6d039"])
def test_a_hub_data_set_needs_the_whole_hash_of_a_commit(revision: str | None) -> None:
    with pytest.raises(PricewrightError, match="40 hex digits"):
        collect(section("someone/no-such-folder", "A", revision=revision))


def test_the_profile_takes_local_files_of_that_shape_to_splits(tmp_path: Path) -> None:
    """Eight categories of 60 items, one in six without a price, one in six with too short a text."""
    path = Path(shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml"))
    apply(ROOT / "profiles" / "amazon.yaml", path)
    params, draw = load_params(path), np.random.default_rng(0)
    items = {
        category: [
            {
                "title": f"{category} model {row}",
                "features": []
                if row % 6 == 1
                else [" ".join("".join(draw.choice(LETTERS, 5)) for _ in range(80))],
                "details": "{}",
                "price": None if row % 6 == 0 else f"{draw.uniform(0.6, 999):.2f}",
                "parent_asin": f"{category}{row}",
            }
            for row in range(60)
        ]
        for category in params.scrape.amazon_reviews.categories
    }
    for category, rows in items.items():
        (tmp_path / f"raw_meta_{category}").mkdir()
        file = tmp_path / f"raw_meta_{category}" / "full-00000-of-00001.parquet"
        pd.DataFrame([ITEM | row for row in rows]).to_parquet(file)
    local = {"repository": str(tmp_path), "revision": None}
    source = params.scrape.amazon_reviews.model_copy(update=local)
    scraped = scrape(params.scrape.model_copy(update={"amazon_reviews": source}))
    assert scraped.report["listings"] == 480
    curated = curate(scraped.listings, params.curate.model_copy(update={"shares": SHARES}))
    kept = pd.concat(curated.splits.values())
    assert curated.rejects["rule"].value_counts()[["no_price", "no_text"]].to_list() == [80, 80]
    assert set(curated.rejects["rule"]) == {"no_price", "no_text", "overfull_price_band"}
    assert len(kept) > 280, "the balance thins little where prices are even"
    assert kept["text"].str.len().between(300, 1120).all()
    assert kept["target"].between(0.5, params.task.number.max).all()
