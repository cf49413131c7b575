"""What `curate` works out of each candidate and writes beside its partition.

Of a partition of raw listings: cleaned, without those that a rule on a single listing rejects, and with the
shingles by which near duplicates are told.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.core.params.curate import Curate
from components.core.params.task import Task
from components.core.schemas import Listing
from components.core.tables import read_arrow, write_arrow
from components.curation.columnar import cleaned
from components.curation.common_shingles import boilerplate, compared_shingles, rows_with, shared_by
from components.curation.minhash import Map, band_keys, bands_and_permutations
from components.curation.partitions import beside
from components.curation.products import drawn_for_gate, draws_of
from components.curation.rules import NAMES
from components.curation.shingles import Ragged, mixed, sequence_hashes, set_hashes, word_hashes

COLUMNS = ("key", "sets", "target", "draw")
"""Arrays of 64 bits for each candidate, each in a file beside its partition: the hash of the words and the
target, that of the set of shingles, the target, and the random number (`draws_of`,
`drawn_for_gate`)."""


class Counts(NamedTuple):
    """What is told of a partition, or of all, without reading its files."""

    candidates: np.ndarray
    """int64 (partitions,): listings that no rule on a single listing rejects."""
    rejected: dict[str, int]
    """How many listings each rule on a single listing rejected."""
    shared: np.ndarray
    """Sorted uint64: the shingles that most candidates of a partition share."""

    @classmethod
    def of_all(cls, partitions: Iterable[Counts]) -> Counts:
        """Those of all partitions, one partition after another."""
        candidates, rejected, shared = zip(*partitions, strict=True)
        summed = {rule: sum(counts[rule] for counts in rejected) for rule in NAMES}
        return cls(np.concatenate(candidates), summed, np.unique(np.concatenate(shared)))


def clean_partition(
    partition: Path, section: Curate, task: Task, names: list[str], gate_ids: frozenset[str]
) -> Counts:
    """Clean the listings of a partition and apply the rules on a single listing; `names` are the labels that
    there are, `gate_ids` of listings that are the gate's.

    Writes the cleaned listings and the candidates' COLUMNS, shingles and MinHash keys beside the partition.
    """
    listings = read_arrow(partition).sort_by([(name, "ascending") for name in Listing.columns()])
    partition.unlink()
    table = cleaned(listings, section, task, names)
    write_arrow(table, beside(partition, "cleaned.arrow"))
    counts = table["rule"].value_counts().to_pylist()
    rejected = dict.fromkeys(NAMES, 0) | {row["values"]: row["counts"] for row in counts if row["values"]}
    table = table.filter(pc.equal(table["rule"], ""))
    compared = save_compared(partition, table, np.empty(0, np.uint64), section.near_duplicate_similarity)
    target = table["target"].to_numpy()
    key = mixed(sequence_hashes(word_hashes(table["text"].combine_chunks())) ^ mixed(target.view(np.uint64)))
    ids = table["id"].to_pylist()
    draw = drawn_for_gate(ids, draws_of(ids, section.seed), gate_ids, section.shares)
    for name, values in zip(COLUMNS, (key, set_hashes(compared), target, draw), strict=True):
        np.save(beside(partition, f"{name}.npy"), values)
    return Counts(np.array([len(table)]), rejected, shared_by(compared, section.common_shingle_share))


def save_compared(partition: Path, table: pa.Table, common: np.ndarray, similarity: float) -> Ragged:
    """The shingles of the candidates of a partition, written beside it with their MinHash keys."""
    texts, described = (table[name].combine_chunks() for name in ("text", "description"))
    compared = compared_shingles(texts, described, common)
    np.save(beside(partition, "shingles.npy"), compared.values)
    np.save(beside(partition, "bounds.npy"), compared.bounds)
    bands = [band_keys(compared, similarity, band) for band in range(bands_and_permutations(similarity)[0])]
    np.save(beside(partition, "bands.npy"), bands)
    return compared


def ignore_boilerplate(partitions: list[Path], counts: Counts, section: Curate, run: Map) -> None:
    """Write what is compared anew, without the shingles that most listings share, where there are any."""
    holding = sum(run(partial(count_shared, values=counts.shared), partitions))
    listings, share = int(counts.candidates.sum()), section.common_shingle_share
    common = boilerplate(counts.shared, np.asarray(holding), listings, share)
    if len(common):
        compare = partial(compare_anew, common=common, similarity=section.near_duplicate_similarity)
        for _ in run(compare, partitions):
            pass


def count_shared(partition: Path, values: np.ndarray) -> np.ndarray:
    """How many candidates of a partition hold each of the shingles."""
    rows = Ragged(np.load(beside(partition, "shingles.npy")), np.load(beside(partition, "bounds.npy")))
    return rows_with(rows, values)


def compare_anew(partition: Path, common: np.ndarray, similarity: float) -> None:
    """Write shingles, keys and sets of the candidates of a partition without the shingles in `common`."""
    table = read_arrow(beside(partition, "cleaned.arrow"))
    table = table.filter(pc.equal(table["rule"], ""))
    np.save(beside(partition, "sets.npy"), set_hashes(save_compared(partition, table, common, similarity)))
