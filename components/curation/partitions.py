"""A table that may be larger than memory, as files of some rows each; for `curate`.

The parts hold ranges of ids, so that the parts one after another are the whole table in order. What later
steps need of their rows lies beside them: candidates as Arrow files, hashes as NumPy files, read in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from components.core.errors import PricewrightError
from components.curation.shingles import Ragged, bounds_of

PARTS_MAX = 400  # files that are open at a time
READ = 50_000  # rows of the source at a time
SAMPLE = 50  # ids looked at for each border between two parts


def open_parquet(path: Path) -> pq.ParquetFile:
    """A table of an earlier stage. Raises PricewrightError where it is missing or cut short."""
    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except FileNotFoundError as error:
        raise PricewrightError(f"{path} is missing: run the stages above with `dvc repro`") from error
    except (OSError, pa.ArrowException) as error:
        raise PricewrightError(f"{path} is not readable as Parquet ({error}): run `dvc checkout`") from error


def rows_in(path: Path) -> int:
    """Rows of a Parquet file."""
    return int(open_parquet(path).metadata.num_rows)


def first_rows(path: Path, rows: int) -> pd.DataFrame:
    """At most so many rows of a Parquet file."""
    file = open_parquet(path)
    head = next(file.iter_batches(rows), None)
    return (file.schema_arrow.empty_table() if head is None else head).to_pandas()


def split_sorted(source: Path, folder: Path, rows: int) -> list[Path]:
    """Parts of about so many rows of a Parquet file with a column `id`; rows of the same id stay together.

    The ids of a part are above those of the parts before it; within a part the order is that of the file.
    """
    file = open_parquet(source)
    number = min(max(-(-file.metadata.num_rows // rows), 1), PARTS_MAX)
    step = max(file.metadata.num_rows // (number * SAMPLE), 1)
    ids = [
        np.array(batch["id"].to_pylist()[::step], str) for batch in file.iter_batches(READ, columns=["id"])
    ]
    sample = np.sort(np.concatenate([np.empty(0, str), *ids]))
    borders = sample[(np.arange(1, number) * len(sample)) // number]
    paths = [folder / f"{part:04}.listings.arrow" for part in range(number)]
    options = ipc.IpcWriteOptions(compression="lz4")
    writers = [ipc.new_stream(str(path), file.schema_arrow, options=options) for path in paths]
    for batch in file.iter_batches(READ):
        part = np.searchsorted(borders, np.array(batch["id"].to_pylist(), str), side="right")
        order = np.argsort(part, kind="stable")
        ends = np.searchsorted(part[order], np.arange(number), side="right")
        ordered = batch.take(pa.array(order))
        for place, (start, end) in enumerate(zip(np.append(0, ends[:-1]), ends, strict=True)):
            if end > start:
                writers[place].write_batch(ordered.slice(start, end - start))
    for writer in writers:
        writer.close()
    return paths


def beside(part: Path, name: str) -> Path:
    """The file of that name beside the part."""
    return part.with_name(f"{part.name.split('.')[0]}.{name}")


def read_arrow(path: Path) -> pa.Table:
    """All rows of an Arrow stream."""
    with ipc.open_stream(str(path)) as reader:
        return reader.read_all()


def write_arrow(table: pa.Table, path: Path) -> None:
    """All rows as an Arrow stream."""
    with ipc.new_stream(str(path), table.schema, options=ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)


@dataclass(frozen=True)
class Candidates:
    """The candidates of all parts in order, some of them selected: the store that `minhash.search` reads."""

    parts: list[Path]
    bounds: np.ndarray
    """int64 of shape (parts + 1,): places of the candidates of each part among all."""
    selected: Path
    """int64 array of the places that are selected, ascending."""

    def keys(self, band: int) -> np.ndarray:
        """MinHash keys of the selected candidates in that band."""
        keys = [np.load(beside(part, "bands.npy"), mmap_mode="r")[band] for part in self.parts]
        return np.concatenate(keys)[np.load(self.selected, mmap_mode="r")]

    def take(self, rows: np.ndarray) -> Ragged:
        """Shingles of some of the selected candidates, ascending."""
        rows_of_parts = [
            Ragged(
                np.load(beside(part, "shingles.npy"), mmap_mode="r"), np.load(beside(part, "bounds.npy"))
            ).take(at)
            for part, at in self.by_part(np.load(self.selected, mmap_mode="r")[rows])
        ]
        values = np.concatenate([np.empty(0, np.uint64), *(rows.values for rows in rows_of_parts)])
        lengths = [np.diff(rows.bounds) for rows in rows_of_parts]
        return Ragged(values, bounds_of(np.concatenate([np.empty(0, np.int64), *lengths])))

    def by_part(self, places: np.ndarray) -> Iterator[tuple[Path, np.ndarray]]:
        """Each part that has some of the places, ascending among all candidates, and where it has them."""
        cuts = np.searchsorted(places, self.bounds)
        for part, lowest, start, end in zip(self.parts, self.bounds[:-1], cuts[:-1], cuts[1:], strict=True):
            if end > start:
                yield part, np.asarray(places[start:end]) - lowest

    def table(self, places: np.ndarray) -> pa.Table:
        """The candidates at those places, ascending among all."""
        tables = []
        for part, at in self.by_part(places):
            table = read_arrow(beside(part, "cleaned.arrow"))
            tables.append(table.filter(pc.equal(table["rule"], "")).take(pa.array(at)))
        return pa.concat_tables(tables)

    def names(self, places: np.ndarray) -> dict[int, tuple[str, str]]:
        """Id and address of the candidates at those places among all."""
        if not len(places):
            return {}
        wanted = np.unique(places)
        table = self.table(wanted)
        pairs = zip(table["id"].to_pylist(), table["address"].to_pylist(), strict=True)
        return dict(zip(wanted.tolist(), pairs, strict=True))
