"""The rows on which `validate` measures what concerns many rows at once."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from components.core.schemas import SPLITS, Item, Listing, Reject
from components.quality import batches, consistency
from components.quality.leakage import measure_leakage
from components.quality.sampling import categories_of, sample, texts_of
from tests.support.validated import CURATE_EVENLY, clean_rejects, item, listing

ROWS = 400  # of each split
PRODUCT_ROWS = 2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A curation of four splits, in each product two rows, with a leaked text and a product in two splits."""
    monkeypatch.setattr(batches, "BATCH_ROWS", 150)
    splits = {}
    for split in SPLITS:
        rows = pd.DataFrame([item(split, number) for number in range(ROWS)], columns=Item.columns())
        splits[split] = rows.assign(product=[f"{split}{at // PRODUCT_ROWS}" for at in range(ROWS)])
    splits["train"].loc[7, "text"] = splits["test"].loc[300, "text"]
    splits["preference"].loc[9, "product"] = splits["test"].loc[200, "product"]
    splits["train"].loc[399, "category"] = "Sofas"
    for split, rows in splits.items():
        rows.to_parquet(tmp_path / f"{split}.parquet", index=False)
    ids = [name for rows in splits.values() for name in rows["id"]]
    listings = pd.DataFrame([{**listing(1), "id": name} for name in [*ids, *map(str, range(500))]])
    listings[Listing.columns()].to_parquet(tmp_path / "listings.parquet", index=False)
    rejects = pd.concat([clean_rejects()] * 100).assign(id=list(map(str, range(600))))
    rejects.iloc[-1, rejects.columns.get_loc("rule")] = "near_duplicate"
    rejects[Reject.columns()].to_parquet(tmp_path / "rejects.parquet", index=False)
    return tmp_path


def test_all_rows_are_there_where_they_fit(folder: Path) -> None:
    drawn = sample(folder / "listings.parquet", folder, len(SPLITS) * ROWS)
    for split, rows in drawn.splits.items():
        pd.testing.assert_frame_equal(rows, pd.read_parquet(folder / f"{split}.parquet"))
    pd.testing.assert_frame_equal(drawn.listings, pd.read_parquet(folder / "listings.parquet"))
    pd.testing.assert_frame_equal(drawn.rejects, pd.read_parquet(folder / "rejects.parquet"))


def test_a_sample_has_whole_products_in_the_shares_of_the_splits(folder: Path) -> None:
    drawn = sample(folder / "listings.parquet", folder, 400)
    assert 320 < sum(map(len, drawn.splits.values())) < 480
    for split in ("train", "validation"):
        assert 70 < len(drawn.splits[split]) < 130
        products = drawn.splits[split]["product"].value_counts()
        assert (products == PRODUCT_ROWS).mean() > 0.95
    ids = {name for rows in drawn.splits.values() for name in rows["id"]}
    assert set(drawn.listings["id"]) == ids
    assert set(drawn.rejects["rule"]) == {"no_price", "near_duplicate"}
    items = pd.concat(drawn.splits.values())
    assert consistency.conflicts(drawn.listings, items, drawn.rejects).empty
    shares = consistency.split_shares(items, drawn.rejects, CURATE_EVENLY, frozenset())
    assert (shares["difference"] == 0).all()


def test_faults_between_splits_are_in_every_sample(folder: Path) -> None:
    drawn = sample(folder / "listings.parquet", folder, 40)
    items = pd.concat(drawn.splits.values())
    assert items.groupby("product")["split"].nunique().max() == 2
    assert measure_leakage(drawn.splits, None, 0.8, 1.0)["test"]["training"]["exact"] == 1


def test_texts_and_categories_are_those_of_all_rows(folder: Path) -> None:
    assert sum(map(len, texts_of(folder, ["train", "preference"]))) == 2 * ROWS
    assert set(categories_of(folder / "train.parquet")["category"]) == {"Lamps", "Desks", "Sofas"}
