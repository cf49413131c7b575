"""What tells the rows of files apart, wherever they stand: their keys, each of one row alone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from components.core.tables import batches_of, split_sorted
from components.sources.result import Row
from components.sources.tables.lines import Fault

CONTENT = ("title", "description", "brand", "category", "details", "price", "currency", "rights")
PARTITION_ROWS = 20_000  # whose keys are in memory at a time


def content_hash(row: Row) -> str:
    """SHA-256 of what a listing says, in hex digits."""
    return hashlib.sha256(json.dumps([row[name] for name in CONTENT]).encode()).hexdigest()


def with_distinct_keys(rows: Path, folder: Path) -> Iterator[Row | Fault]:
    """The rows of a Parquet file, each with a `key` of its own, in the order of their keys.

    They come with `key`, that of their key column or the hash of their content, and `content`, that hash.
    Rows of the same content are told apart by their count. Rows of different content with one key are all
    Faults, so that their order decides nothing. `folder` gets the rows in ranges of keys, for a while.
    """
    for partition in split_sorted(rows, folder, PARTITION_ROWS, "key"):
        contents: dict[str, set[str]] = defaultdict(set)
        for batch in batches_of(partition):
            for key, content in zip(batch["key"].to_pylist(), batch["content"].to_pylist(), strict=True):
                contents[key].add(content)
        seen: Counter[str] = Counter()
        for batch in batches_of(partition):
            for row in batch.drop_columns("content").to_pylist():
                key = row["key"]
                if len(contents[key]) > 1:
                    reason = f"{len(contents[key])} different rows have the id {key!r}"
                    reason += " (scrape.files.columns.id)"
                    yield Fault(row["address"], "repeated_id", reason, row["price"])
                    continue
                seen[key] += 1
                yield row if seen[key] == 1 else row | {"key": f"{key} {seen[key]}"}
        partition.unlink()
