"""The listings that `curate` works on, in partitions: a file for each range of ids.

One partition after another, they are the whole table in the order of ids. What later steps of `curate` need
of a partition lies beside it: cleaned listings as an Arrow file, hashes as memory-mapped NumPy files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.core.tables import read_arrow
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
