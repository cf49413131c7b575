"""A table that may be larger than memory, in partitions: a file for each range of ids.

One partition after another, they are the whole table in the order of ids. What later steps of `curate` need
of a partition lies beside it: cleaned listings as an Arrow file, hashes as memory-mapped NumPy files.
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

from components.core.errors import reading_parquet
from components.curation.shingles import Ragged, bounds_of

PARTITIONS_MAX = 400  # files that are open at a time
READ_ROWS = 50_000  # of the source at a time
SAMPLED_IDS = 50  # for each border between two partitions


def open_parquet(path: Path) -> pq.ParquetFile:
    """A table of an earlier stage. Raises PricewrightError where it is missing or cut short."""
    with reading_parquet(path):
        return pq.ParquetFile(path, pre_buffer=False)


def rows_in(path: Path) -> int:
    """Rows of a Parquet file."""
    return int(open_parquet(path).metadata.num_rows)


def first_rows(path: Path, rows: int) -> pd.DataFrame:
    """The first rows of a Parquet file, at most so many."""
    file = open_parquet(path)
    head = next(file.iter_batches(rows), None)
    return (file.schema_arrow.empty_table() if head is None else head).to_pandas()


def split_sorted(source: Path, folder: Path, rows: int) -> list[Path]:
    """Write a Parquet file with a column `id` as partitions of about so many rows, in `folder`.

    The ids of a partition are above those of the partitions before it, and rows of one id stay together;
    within a partition the order is that of the file.
    """
    file = open_parquet(source)
    number = min(max(-(-file.metadata.num_rows // rows), 1), PARTITIONS_MAX)
    step = max(file.metadata.num_rows // (number * SAMPLED_IDS), 1)
    ids = [
        np.array(batch["id"].to_pylist()[::step], str)
        for batch in file.iter_batches(READ_ROWS, columns=["id"])
    ]
    sample = np.sort(np.concatenate([np.empty(0, str), *ids]))
    borders = sample[(np.arange(1, number) * len(sample)) // number]
    paths = [folder / f"{partition:04}.listings.arrow" for partition in range(number)]
    options = ipc.IpcWriteOptions(compression="lz4")
    writers = [ipc.new_stream(str(path), file.schema_arrow, options=options) for path in paths]
    for batch in file.iter_batches(READ_ROWS):
        partition = np.searchsorted(borders, np.array(batch["id"].to_pylist(), str), side="right")
        order = np.argsort(partition, kind="stable")
        ends = np.searchsorted(partition[order], np.arange(number), side="right")
        ordered = batch.take(pa.array(order))
        for writer, start, end in zip(writers, np.append(0, ends[:-1]), ends, strict=True):
            if end > start:
                writer.write_batch(ordered.slice(start, end - start))
    for writer in writers:
        writer.close()
    return paths


def beside(partition: Path, name: str) -> Path:
    """The file of that name beside the partition."""
    return partition.with_name(f"{partition.name.split('.')[0]}.{name}")


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
    """The candidates of all partitions in order, some of them selected: a `minhash.ShingleStore` of these.

    Positions count from 0 over the candidates of all partitions.
    """

    partitions: list[Path]
    bounds: np.ndarray
    """int64 (partitions + 1,): partition i holds the positions `bounds[i]` to `bounds[i + 1]`."""
    selected: Path
    """File with an int64 array of the positions that are selected, ascending."""

    def keys(self, band: int) -> np.ndarray:
        """MinHash keys of the selected candidates in that band."""
        keys = [np.load(beside(partition, "bands.npy"), mmap_mode="r")[band] for partition in self.partitions]
        return np.concatenate(keys)[np.load(self.selected, mmap_mode="r")]

    def take(self, rows: np.ndarray) -> Ragged:
        """Shingles of some of the selected candidates; `rows` count from 0 over those, ascending."""
        pieces = []
        for partition, local in self.by_partition(np.load(self.selected, mmap_mode="r")[rows]):
            values = np.load(beside(partition, "shingles.npy"), mmap_mode="r")
            pieces.append(Ragged(values, np.load(beside(partition, "bounds.npy"))).take(local))
        values = np.concatenate([np.empty(0, np.uint64), *(piece.values for piece in pieces)])
        lengths = [np.diff(piece.bounds) for piece in pieces]
        return Ragged(values, bounds_of(np.concatenate([np.empty(0, np.int64), *lengths])))

    def by_partition(self, positions: np.ndarray) -> Iterator[tuple[Path, np.ndarray]]:
        """Each partition that holds some of the ascending positions, and these counted from its first."""
        cuts = np.searchsorted(positions, self.bounds)
        for index, partition in enumerate(self.partitions):
            if len(local := np.asarray(positions[cuts[index] : cuts[index + 1]])):
                yield partition, local - self.bounds[index]

    def table(self, positions: np.ndarray) -> pa.Table:
        """The candidates at those ascending positions."""
        tables = []
        for partition, local in self.by_partition(positions):
            table = read_arrow(beside(partition, "cleaned.arrow"))
            tables.append(table.filter(pc.equal(table["rule"], "")).take(pa.array(local)))
        return pa.concat_tables(tables)

    def ids_and_addresses(self, positions: np.ndarray) -> dict[int, tuple[str, str]]:
        """Id and address of the candidates at those positions, by position."""
        if not len(positions):
            return {}
        wanted = np.unique(positions)
        table = self.table(wanted)
        pairs = zip(table["id"].to_pylist(), table["address"].to_pylist(), strict=True)
        return dict(zip(wanted.tolist(), pairs, strict=True))
