"""Rows on which `validate` measures what concerns many rows at once, where all do not fit into memory.

Whole products are drawn, by a hash of their ids: the shares of the splits stay, and rows of one product stay
together. What is exact at any size is not left to the draw: counts, ids, products in two splits, and texts of
scored splits that are in training, are found by hashes of all rows and added to the sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from components.core.schemas import HELD_OUT, SPLITS, Item, Split
from components.core.tables import rows_in
from components.curation.shingles import sequence_hashes, word_hashes
from components.quality.batches import Batches, frames_of, hashes
from components.quality.consistency import REPEATED


class Sample(NamedTuple):
    """Tables as the stages wrote them, or the rows of drawn products alone."""

    listings: pd.DataFrame
    splits: dict[Split, pd.DataFrame]
    rejects: pd.DataFrame
    """Those that are or name a drawn listing, and the first of each rule."""


def sample(listings: Path, curated: Path, rows_max: int) -> Sample:
    """About `rows_max` rows of the splits in the folder `curated`, and what belongs to them; all where there
    are no more.
    """
    paths = {split: curated / f"{split}.parquet" for split in SPLITS}
    share = min(rows_max / max(sum(map(rows_in, paths.values())), 1), 1.0)
    if share == 1.0:
        splits = {split: _rows(path) for split, path in paths.items()}
        return Sample(_rows(listings), splits, _rows(curated / "rejects.parquet"))
    several, known = _in_two_splits(paths), _in_training(paths)
    splits = {
        split: pd.concat(
            [frame[_drawn(frame, share, several, known)] for frame in frames_of(path, None)],
            ignore_index=True,
        )
        for split, path in paths.items()
    }
    ids = pd.Index(pd.concat([_column(rows, "id") for rows in splits.values()]))
    parts = [frame[_column(frame, "id").isin(ids)] for frame in frames_of(listings, None)]
    rejects = _rejects(curated / "rejects.parquet", ids)
    return Sample(pd.concat(parts, ignore_index=True), splits, rejects)


def _drawn(frame: pd.DataFrame, share: float, several: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which rows are in the sample: those of drawn products, of `several`, and with a text of `known`."""
    product = hashes(_column(frame, "product"))
    texts = _text_hashes(_column(frame, "text"))
    return (product < np.uint64(share * 2.0**64)) | np.isin(product, several) | np.isin(texts, known)


def whole_tables(listings: Path, curated: Path, products: int) -> dict[str, pd.DataFrame | Batches]:
    """The tables that are checked row by row or counted: of all rows, as they are on the disk.

    `ledger` counts the rows; `sizes` has the shares of the rows of so many of the largest products.
    """
    paths = [curated / f"{split}.parquet" for split in SPLITS]
    raw, rejects = Batches([listings], None), Batches([curated / "rejects.parquet"], None)
    items = Batches(paths, Item.columns())
    ledger = pd.DataFrame({"listings": [len(raw)], "accounted": [len(items) + len(rejects)]})
    each = {str(split): Batches([path], None) for split, path in zip(SPLITS, paths, strict=True)}
    sizes = _largest_products(paths, products)
    return {"raw": raw, **each, "rejects": rejects, "curated": items, "ledger": ledger, "sizes": sizes}


def _largest_products(paths: list[Path], number: int) -> pd.DataFrame:
    """Ids and shares of the rows of the largest products, the largest first."""
    values, counts = np.unique(
        np.concatenate([_hashes(path, "product") for path in paths]), return_counts=True
    )
    largest = values[np.argsort(-counts, kind="stable")[:number]]
    rows = [
        products[np.isin(hashes(products), largest)]
        for path in paths
        for frame in frames_of(path, ["product"])
        for products in [_column(frame, "product")]
    ]
    shares = pd.concat(rows).value_counts() / max(int(counts.sum()), 1)
    return shares.rename("share").rename_axis("id").reset_index()


def texts_of(curated: Path, splits: list[Split]) -> Iterator[list[str]]:
    """All texts of some splits, a batch at a time."""
    for frame in Batches([curated / f"{split}.parquet" for split in splits], ["text"]).frames():
        yield frame["text"].fillna("").tolist()


def targets_of(curated: Path) -> dict[Split, pd.Series]:
    """The column `target` of all rows of each split."""
    paths = {split: curated / f"{split}.parquet" for split in SPLITS}
    return {
        split: pd.concat([_column(frame, "target") for frame in frames_of(path, ["target"])])
        for split, path in paths.items()
    }


def categories_of(path: Path) -> pd.DataFrame:
    """The column `category` of a table, each value once; empty where the table lacks it."""
    values = [_column(frame, "category").drop_duplicates() for frame in frames_of(path, ["category"])]
    return pd.concat(values).drop_duplicates().dropna().to_frame()


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column, of nulls where the table lacks it, which a check of its columns reports."""
    return frame[name] if name in frame else pd.Series([None] * len(frame), frame.index, object, name)


def _rows(path: Path) -> pd.DataFrame:
    return pd.concat(frames_of(path, None), ignore_index=True)


def _rejects(path: Path, drawn: pd.Index) -> pd.DataFrame:
    parts: list[pd.DataFrame] = []
    rules: set[str] = set()
    for frame in frames_of(path, None):
        repeated = _column(frame, "reason").astype(str).str.extract(REPEATED, expand=False)
        rule = _column(frame, "rule")
        first = ~rule.duplicated() & ~rule.isin(rules)
        parts.append(frame[_column(frame, "id").isin(drawn) | repeated.isin(drawn) | first])
        rules |= set(rule.dropna())
    return pd.concat(parts, ignore_index=True)


def _hashes(path: Path, column: str) -> np.ndarray:
    return np.concatenate([hashes(_column(frame, column)) for frame in frames_of(path, [column])])


def _in_two_splits(paths: dict[Split, Path]) -> np.ndarray:
    """Hashes of the products with rows in two splits."""
    products = [
        np.unique(
            np.concatenate([hashes(_column(frame, "product")) for frame in frames_of(path, ["product"])])
        )
        for path in paths.values()
    ]
    values, counts = np.unique(np.concatenate(products), return_counts=True)
    return values[counts > 1]


def _in_training(paths: dict[Split, Path]) -> np.ndarray:
    """Hashes of the texts of scored splits that a fitted split has too."""
    scored, fitted = (
        [
            np.concatenate([_text_hashes(_column(frame, "text")) for frame in frames_of(path, ["text"])])
            for split, path in paths.items()
            if (split in HELD_OUT) == is_scored
        ]
        for is_scored in (True, False)
    )
    return np.intersect1d(np.concatenate(scored), np.concatenate(fitted))


def _text_hashes(texts: pd.Series) -> np.ndarray:
    """A hash of the words of each text, uint64 (rows,)."""
    return sequence_hashes(word_hashes(pa.array(texts.fillna("").tolist(), pa.string())))
