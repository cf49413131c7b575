"""Where a listing still stands: in tables by its id or address, in texts by these or its title."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

PARQUET = b"PAR1"
KEYS = ("id", "address")
HEAD = 8000  # bytes in which a file that is no text has a zero, by the rule of git


@dataclass(frozen=True)
class Listed:
    """A listing, as far as it is known."""

    id: str
    """As in the column `id` of the tables."""
    source: str
    address: str
    """Empty where only the id is known."""
    title: str
    """Empty where it is not known."""

    @property
    def keys(self) -> list[str]:
        """What its rows are told by."""
        return [key for key in (self.id, self.address) if key]

    def is_in(self, path: Path) -> bool:
        """Whether a file, a Parquet table or a text, holds the listing; never in weights or pictures."""
        with path.open("rb") as file:
            head = file.read(HEAD)
        if head.startswith(PARQUET):
            return self._is_in_table(path)
        return b"\0" not in head and any(word in path.read_bytes() for word in self._words())

    def _is_in_table(self, path: Path) -> bool:
        try:
            file = pq.ParquetFile(path)
            columns = [name for name in KEYS if name in file.schema_arrow.names]
            keys = pa.array(self.keys, pa.string())
            return any(
                pc.any(pc.is_in(column.cast(pa.string()), keys)).as_py()
                for batch in file.iter_batches(columns=columns)
                for column in batch.columns
            )
        except pa.ArrowException:  # cut short: nobody reads a listing out of it
            return False

    def _words(self) -> set[bytes]:
        """The texts that tell of the listing, as they stand in a plain text, in HTML and in JSON."""
        words = [*self.keys, *filter(None, [self.title])]
        return {
            form.encode()
            for word in words
            for form in (
                word,
                html.escape(word),
                json.dumps(word)[1:-1],
                json.dumps(word, ensure_ascii=False)[1:-1],
            )
        }
