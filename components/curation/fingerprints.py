"""What `curate` keeps in memory of each candidate, and what it writes of them beside their partition.

Of a partition of raw listings: cleaned, without those that a rule on a single listing rejects, and with the
shingles by which near duplicates are told.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.core.params.curate import Curate
from components.core.schemas import Listing
from components.core.tables import read_arrow, write_arrow
from components.curation.columnar import cleaned
from components.curation.common_shingles import boilerplate, compared_shingles, rows_with, shared_by
from components.curation.minhash import Map, band_keys, bands_and_permutations
from components.curation.partitions import beside
from components.curation.products import draws_of
from components.curation.rules import NAMES
from components.curation.shingles import Ragged, mixed, sequence_hashes, set_hashes, word_hashes


class Fingerprints(NamedTuple):
    """What is kept in memory of each candidate: a listing that no rule on a single listing rejects.

    In the order of ids. Arrays have the shape (candidates,) unless they say otherwise.
    """

    key: np.ndarray
    """uint64 hash of the words and the price."""
    shingles: np.ndarray
    """uint64 hash of the set of shingles."""
    price: np.ndarray
    draw: np.ndarray
    """uint64 random number (`draws_of`)."""
    bounds: np.ndarray
    """int64 (partitions + 1,): partition i holds the candidates `bounds[i]` to `bounds[i + 1]`."""
    rejected: dict[str, int]
    """How many listings each rule on a single listing rejected."""
    shared: np.ndarray
    """Sorted uint64: the shingles that most candidates of a partition share."""

    @classmethod
    def concatenate(cls, partitions: list[Fingerprints]) -> Fingerprints:
        """The fingerprints of all partitions, one partition after another."""
        key, shingles, price, draw = (
            np.concatenate([partition[position] for partition in partitions]) for position in range(4)
        )
        bounds = np.cumsum([0, *(len(partition.key) for partition in partitions)])
        rejected = {rule: sum(partition.rejected[rule] for partition in partitions) for rule in NAMES}
        shared = np.unique(np.concatenate([partition.shared for partition in partitions]))
        return cls(key, shingles, price, draw, bounds, rejected, shared)


def clean_partition(partition: Path, section: Curate) -> Fingerprints:
    """Clean the listings of a partition and apply the rules on a single listing.

    Writes the cleaned listings and the candidates' shingles and MinHash keys beside the partition.
    """
    listings = read_arrow(partition).sort_by([(name, "ascending") for name in Listing.columns()])
    partition.unlink()
    table = cleaned(listings, section)
    write_arrow(table, beside(partition, "cleaned.arrow"))
    counts = table["rule"].value_counts().to_pylist()
    rejected = dict.fromkeys(NAMES, 0) | {row["values"]: row["counts"] for row in counts if row["values"]}
    table = table.filter(pc.equal(table["rule"], ""))
    compared = save_compared(partition, table, np.empty(0, np.uint64), section.near_duplicate_similarity)
    price = table["price"].to_numpy()
    key = mixed(sequence_hashes(word_hashes(table["text"].combine_chunks())) ^ mixed(price.view(np.uint64)))
    draw = draws_of(table["id"].to_pylist(), section.seed)
    shared = shared_by(compared, section.common_shingle_share)
    return Fingerprints(key, set_hashes(compared), price, draw, np.empty(0), rejected, shared)


def save_compared(partition: Path, table: pa.Table, common: np.ndarray, similarity: float) -> Ragged:
    """The shingles of the candidates of a partition, written beside it with their MinHash keys."""
    texts, described = (table[name].combine_chunks() for name in ("text", "description"))
    compared = compared_shingles(texts, described, common)
    np.save(beside(partition, "shingles.npy"), compared.values)
    np.save(beside(partition, "bounds.npy"), compared.bounds)
    bands = [band_keys(compared, similarity, band) for band in range(bands_and_permutations(similarity)[0])]
    np.save(beside(partition, "bands.npy"), bands)
    return compared


def without_boilerplate(
    partitions: list[Path], fingerprints: Fingerprints, section: Curate, run: Map
) -> Fingerprints:
    """The fingerprints by shingles without those that most listings share, which are written anew."""
    counts = sum(run(partial(count_shared, values=fingerprints.shared), partitions))
    listings, share = len(fingerprints.key), section.common_shingle_share
    common = boilerplate(fingerprints.shared, np.asarray(counts), listings, share)
    if not len(common):
        return fingerprints
    compare = partial(compare_anew, common=common, similarity=section.near_duplicate_similarity)
    return fingerprints._replace(shingles=np.concatenate(list(run(compare, partitions))))


def count_shared(partition: Path, values: np.ndarray) -> np.ndarray:
    """How many candidates of a partition hold each of the shingles."""
    rows = Ragged(np.load(beside(partition, "shingles.npy")), np.load(beside(partition, "bounds.npy")))
    return rows_with(rows, values)


def compare_anew(partition: Path, common: np.ndarray, similarity: float) -> np.ndarray:
    """`set_hashes` of the candidates of a partition without the shingles in `common`."""
    table = read_arrow(beside(partition, "cleaned.arrow"))
    table = table.filter(pc.equal(table["rule"], ""))
    return set_hashes(save_compared(partition, table, common, similarity))
