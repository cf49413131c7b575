"""What a source gives to `scrape`: rows of each table, one by one, and what the report says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.core.schemas import Law, Listing, Record, Reject
from components.core.tables import schema_of
from components.sources.block_list import BlockList

Row = dict[str, Any]
"""Columns of a record; of `Listing` and `Reject` all but `source`, which the spool adds, and `id`."""
BATCH_ROWS = 5000  # in memory at a time
BATCH_CHARACTERS = 2**25  # in memory at a time
ADDED = ("id",)
COLUMNS: dict[type[Record], list[str]] = {
    Listing: [*(name for name in Listing.columns() if name not in ADDED), "key"],
    Reject: [name for name in Reject.columns() if name not in ADDED],
    Law: Law.columns(),
}
"""Columns of the files, by the kind of row. The `key` of a listing is what its id is made of, its
address where it is null."""
NOTES = 20  # lines of the report; the rest is in rejects.parquet


@dataclass(frozen=True)
class Collected:
    """What the report says about a source."""

    counts: dict[str, Any]
    """The source's own entry in reports/scrape.json."""
    notes: list[str] = field(default_factory=list)
    """Lines for a person on what went wrong without stopping the rest."""


class Spool:
    """Takes the rows of a source and writes them to a folder, a Parquet file for each table.

    A batch of rows is in memory, never all of them. What is on the list `blocked` is never written: it
    becomes a reject that names nothing of it. To be used as a context, which closes the files.
    """

    def __init__(self, folder: Path, blocked: BlockList) -> None:
        self.folder = folder
        self.blocked = blocked
        self._files = {
            kind: RowFile(folder / f"{kind.__name__}.parquet", schema_of(kind, columns))
            for kind, columns in COLUMNS.items()
        }
        self.rules: Counter[str] = Counter()
        """How many rows each rule rejected."""
        self._notes: list[str] = []

    def add(self, kind: type[Record], row: Row) -> None:
        """Take a row: a `Listing`, a `Reject`, or a `Law`, the true median of a generated source."""
        key = row.get("key") or row["address"]
        if self.blocked.holds(key):
            if kind is Law:
                return  # of a listing that is rejected
            kind, row = Reject, self.blocked.reject(key)
        self._files[kind].add(row | {"source": self.blocked.source})
        if kind is Reject:
            self.rules[row["rule"]] += 1
            if len(self._notes) < NOTES:
                self._notes.append(f"{row['address']}: {row['reason']}")

    def extend(self, rows: Iterable[tuple[type[Record], Row]]) -> None:
        """Take rows, each with its kind."""
        for kind, row in rows:
            self.add(kind, row)

    def drop(self, kind: type[Record]) -> None:
        """Forget the rows of that kind."""
        self._files[kind].close()
        self._files[kind] = RowFile(self.path(kind), schema_of(kind, COLUMNS[kind]))

    def rows(self, kind: type[Record]) -> int:
        """How many rows of that kind came in."""
        return self._files[kind].rows

    def path(self, kind: type[Record]) -> Path:
        """The file of that kind's rows, in the order in which they came; whole once the spool is closed."""
        return self._files[kind].path

    def notes(self) -> list[str]:
        """A line for each of the first rejects, and how many more there are."""
        more = self.rules.total() - len(self._notes)
        return [*self._notes, *([f"and {more} more, in artifacts/scrape/rejects.parquet"] if more else [])]

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()


class RowFile:
    """A Parquet file that rows are added to, a batch of which is in memory."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.rows = 0
        self._file = pq.ParquetWriter(path, schema)
        self._batch: list[Row] = []
        self._characters = 0

    def add(self, row: Row) -> None:
        """Take a row; columns that it lacks are null."""
        self.rows += 1
        self._batch.append(row)
        self._characters += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(self._batch) >= BATCH_ROWS or self._characters >= BATCH_CHARACTERS:
            self._write()

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        self._write()
        self._file.close()

    def _write(self) -> None:
        if not self._batch:
            return
        self._file.write_table(pa.Table.from_pylist(self._batch, self._file.schema))
        self._batch, self._characters = [], 0
