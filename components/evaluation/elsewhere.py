"""Listings of another catalogue, out of one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from components.core.errors import PricewrightError
from components.core.schemas import Listing

COLUMNS = ("title", "description", "price")
READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": lambda path: pd.read_csv(path, dtype=str, keep_default_na=False),
    ".jsonl": lambda path: pd.read_json(path, lines=True, dtype=False),
    ".parquet": pd.read_parquet,
}


def elsewhere(path: Path, clean: Callable[[pa.Table], pa.Table]) -> tuple[pd.DataFrame, dict[str, int]]:
    """(columns `text` and `target` of the listings in a file, how many each rule rejected, by its name).

    The file has the columns of COLUMNS, the last a number in the unit of the task. `clean` makes columns of
    `Listing` into those of a candidate with the `rule` that rejects it (`curation.columnar.cleaned`). A text
    that was there before is rejected as `exact_duplicate`. Raises PricewrightError where the file cannot be
    read, lacks a column, or has no listing that may be used.
    """
    mend = "mend it, or set evaluate.elsewhere to null"
    if path.suffix not in READERS:
        raise PricewrightError(f"{path} is of no kind that is read here ({', '.join(READERS)}): {mend}")
    try:
        table = READERS[path.suffix](path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise PricewrightError(f"{path} is not readable ({error}): {mend}") from error
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise PricewrightError(f"{path} has no column {' and no '.join(missing)}: {mend}")
    rows = clean(_listings(table)).select(["text", "target", "rule"]).to_pandas()
    repeated = rows.loc[rows["rule"] == "", "text"].duplicated()
    rows.loc[repeated[repeated].index, "rule"] = "exact_duplicate"
    rejected = Counter(rule for rule in rows["rule"] if rule)
    kept = rows.loc[rows["rule"] == "", ["text", "target"]].reset_index(drop=True)
    if kept.empty:
        raise PricewrightError(f"{path} has no listing that may be used ({_counts(rejected)}): {mend}")
    return kept, dict(sorted(rejected.items()))


def _listings(table: pd.DataFrame) -> pa.Table:
    """The rows as columns of `Listing`, all of text."""
    written = table["price"].fillna("").astype(str)
    amount = pd.to_numeric(table["price"], errors="coerce")
    columns = {name: pa.array([""] * len(table), pa.string()) for name in Listing.columns()}
    columns |= {name: pa.array(table[name].fillna("").astype(str), pa.string()) for name in COLUMNS[:2]}
    columns["price"] = pa.array(written, pa.string())
    columns["amount"] = pa.array(["" if pd.isna(number) else f"{number}" for number in amount], pa.string())
    columns["details"] = pa.array(["{}"] * len(table), pa.string())
    return pa.table(columns)


def _counts(rejected: Counter[str]) -> str:
    return ", ".join(f"{rule} {count}" for rule, count in sorted(rejected.items())) or "it is empty"
