"""The listings that `curate` works on, in partitions: a file for each range of ids.

One partition after another, they are the whole table in the order of ids. What later steps of `curate` need
of a partition lies beside it: cleaned listings as an Arrow file, hashes and prices as NumPy files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import EllipsisType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.core.tables import open_stream, read_arrow
from components.curation.shingles import Ragged, bounds_of


def beside(partition: Path, name: str) -> Path:
    """The file of that name beside the partition."""
    return partition.with_name(f"{partition.name.split('.')[0]}.{name}")


@dataclass(frozen=True)
class Candidates:
    """The candidates of all partitions in order, some of them selected: a `minhash.ShingleStore` of these.

    Positions count from 0 over the candidates of all partitions.
    """

    partitions: list[Path]
    bounds: np.ndarray
    """int64 (partitions + 1,): partition i holds the positions `bounds[i]` to `bounds[i + 1]`."""
    selected: Path
    """File with an array of the positions that are selected, ascending."""

    @classmethod
    def whole(cls, partitions: list[Path], bounds: np.ndarray, selected: Path) -> Candidates:
        """All candidates; `selected` is written."""
        np.save(selected, np.arange(bounds[-1], dtype=np.int32))
        return cls(partitions, bounds, selected)

    def among(self, rows: np.ndarray) -> Candidates:
        """Some of the selected candidates; `rows` count from 0 over those, ascending."""
        path = self.selected.with_name(f"some-{self.selected.name}")
        np.save(path, self.positions()[rows])
        return replace(self, selected=path)

    def positions(self) -> np.ndarray:
        """The positions of the selected candidates, ascending, from their file."""
        return np.asarray(np.load(self.selected, mmap_mode="r"))

    def column(self, name: str) -> np.ndarray:
        """What `fingerprints.COLUMNS` calls so, of each selected candidate."""
        return self._gathered(f"{name}.npy", ...)

    def keys(self, band: int) -> np.ndarray:
        """MinHash keys of the selected candidates in that band."""
        return self._gathered("bands.npy", band)

    def _gathered(self, name: str, row: int | EllipsisType) -> np.ndarray:
        """That row of the file beside each partition, of the selected candidates, a partition at a time."""
        positions = self.positions()
        values = np.empty(len(positions), np.load(beside(self.partitions[0], name), mmap_mode="r").dtype)
        start = 0
        for partition, local in self.by_partition(positions):
            end = start + len(local)
            values[start:end] = np.load(beside(partition, name), mmap_mode="r")[row][local]
            start = end
        return values

    def take(self, rows: np.ndarray) -> Ragged:
        """Shingles of some of the selected candidates; `rows` count from 0 over those, ascending."""
        pieces = []
        for partition, local in self.by_partition(self.positions()[rows]):
            values = np.load(beside(partition, "shingles.npy"), mmap_mode="r")
            pieces.append(Ragged(values, np.load(beside(partition, "bounds.npy"))).take(local))
        values = np.concatenate([np.empty(0, np.uint64), *(piece.values for piece in pieces)])
        lengths = [np.diff(piece.bounds) for piece in pieces]
        return Ragged(values, bounds_of(np.concatenate([np.empty(0, np.int64), *lengths])))

    def by_partition(self, positions: np.ndarray) -> Iterator[tuple[Path, np.ndarray]]:
        """Each partition that holds some of the ascending positions, and these counted from its first."""
        cuts = np.searchsorted(positions, self.bounds)
        for index, partition in enumerate(self.partitions):
            if len(local := positions[cuts[index] : cuts[index + 1]]):
                yield partition, local - self.bounds[index]

    def write_groups(self, groups: list[np.ndarray]) -> list[Path]:
        """Write the cleaned listings of each group of ascending positions to a file; reads each partition
        once.
        """
        paths = [self.selected.with_name(f"group-{number:04}.arrow") for number in range(len(groups))]
        cuts = [np.searchsorted(group, self.bounds) for group in groups]
        with ExitStack() as stack:
            writers: list[pa.ipc.RecordBatchStreamWriter] = []
            for index, partition in enumerate(self.partitions):
                rows = _candidates_in(partition, None)
                for path in paths[len(writers) :]:
                    writers.append(stack.enter_context(open_stream(path, rows.schema)))
                for group, cut, writer in zip(groups, cuts, writers, strict=True):
                    if len(local := group[cut[index] : cut[index + 1]] - self.bounds[index]):
                        writer.write_table(rows.take(pa.array(local)))
        return paths

    def names(self, positions: np.ndarray) -> Names:
        """Id and address of the candidates at those ascending positions."""
        columns = ["id", "address"]
        tables = [
            _candidates_in(partition, columns).take(pa.array(local))
            for partition, local in self.by_partition(positions)
        ]
        empty = pa.table({name: pa.array([], pa.string()) for name in columns})
        return Names(positions, pa.concat_tables([empty, *tables]).combine_chunks())


@dataclass(frozen=True)
class Names:
    """Id and address of some candidates."""

    positions: np.ndarray
    """Of the candidates, ascending."""
    table: pa.Table
    """Columns `id` and `address`."""

    def at(self, positions: np.ndarray) -> dict[int, tuple[str, str]]:
        """Id and address of the candidates at those of the positions, by position."""
        table = self.table.take(pa.array(np.searchsorted(self.positions, positions)))
        pairs = zip(table["id"].to_pylist(), table["address"].to_pylist(), strict=True)
        return dict(zip(positions.tolist(), pairs, strict=True))


def _candidates_in(partition: Path, columns: list[str] | None) -> pa.Table:
    """Columns of the candidates of a partition, all where none are named."""
    table = read_arrow(beside(partition, "cleaned.arrow"), [*columns, "rule"] if columns else None)
    table = table.filter(pc.equal(table["rule"], ""))
    return table.select(columns) if columns else table
