"""Near duplicates among many texts: MinHash with banding finds candidates, their Jaccard similarity decides.

Texts with the same shingles are twins and count once. Each other text has a key in each band, the hash of
the smallest hashes of its shingles under some random permutations (Broder 1997). Texts that share a key are
candidates (Indyk and Motwani 1998), and near duplicates where their shingles have the wanted Jaccard
similarity. Bands and permutations are so many that a pair at just that similarity is missed with a
probability of at most MISS_PROBABILITY.

A key that many texts share would make the square of their number in pairs: of more than BUCKET_MAX texts each
is compared with the first and the next only, which is enough to tie near duplicates together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import sparse

from components.curation.shingles import Ragged, mixed, set_hashes

MISS_PROBABILITY = 1e-4
PERMUTATIONS_MAX = 96  # of all bands; more for each key mean fewer candidates, and more work for each text
BUCKET_MAX = 32  # texts with the same key that are all compared with each other
CHUNK = 10_000  # pairs verified at a time
BUCKETED = 2**18  # hashes that are sorted at a time


class Neighbours(NamedTuple):
    """Which of n texts are near duplicates; positions count from 0."""

    first: np.ndarray
    """int32 (n,): the first text with the same shingles, the text itself where none is earlier."""
    pairs: np.ndarray
    """int64 (pairs, 2), left < right, sorted by the right: near duplicates that are no twins. Of twins only
    the first stands here."""


class ShingleStore(Protocol):
    """The shingles of n texts, which may be larger than memory."""

    def keys(self, band: int) -> np.ndarray:
        """The key of each text in a band (`band_keys`), uint64 (n,)."""

    def take(self, rows: np.ndarray) -> Ragged:
        """Shingles of some texts; `rows` ascend."""

    def among(self, rows: np.ndarray) -> ShingleStore:
        """A store of some of the texts; `rows` ascend."""


@dataclass(frozen=True)
class InMemory:
    """A `ShingleStore` of shingles that fit into memory."""

    rows: Ragged
    similarity: float

    def keys(self, band: int) -> np.ndarray:
        """The key of each text in a band, uint64 (n,)."""
        return band_keys(self.rows, self.similarity, band)

    def take(self, rows: np.ndarray) -> Ragged:
        """Shingles of some texts."""
        return self.rows.take(rows)

    def among(self, rows: np.ndarray) -> InMemory:
        """A store of some of the texts."""
        return (
            self
            if len(rows) == len(self.rows.bounds) - 1
            else InMemory(self.rows.take(rows), self.similarity)
        )


Map = Callable[..., Iterable[Any]]
"""`map`, or the `map` of an executor from concurrent.futures."""


def neighbours(rows: Ragged, similarity: float) -> Neighbours:
    """Twins and pairs of at least that Jaccard similarity among rows of shingles, one for each text."""
    first = first_of_equals(set_hashes(rows))
    return Neighbours(first, search(InMemory(rows, similarity), first, similarity, map))


def search(store: ShingleStore, first: np.ndarray, similarity: float, run: Map) -> np.ndarray:
    """The `pairs` of Neighbours of at least that Jaccard similarity among the texts of the store.

    `first` is that of Neighbours; `run` is a `map` that may work in parallel.
    """
    distinct = firsts(first)
    without_twins = store.among(distinct)
    bands, _ = bands_and_permutations(similarity)
    candidates = _unique_pairs(run(partial(_band_pairs, without_twins), range(bands)))
    chunks = [candidates[start : start + CHUNK] for start in range(0, len(candidates), CHUNK)]
    verified = run(partial(verify, without_twins, similarity), chunks)
    pairs = distinct[np.concatenate([np.empty((0, 2), np.int64), *verified])]
    return pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]


def _band_pairs(store: ShingleStore, band: int) -> np.ndarray:
    return bucket_pairs(store.keys(band))


def _unique_pairs(bands: Iterable[np.ndarray]) -> np.ndarray:
    """Each pair once, sorted; merged band by band, since many bands repeat the pairs of earlier ones."""
    pairs = np.empty((0, 2), np.int64)
    for band_pairs in bands:
        pairs = np.unique(np.concatenate([pairs, band_pairs]), axis=0)
    return pairs


def first_of_equals(hashes: np.ndarray) -> np.ndarray:
    """For each hash the position of the first equal one, int32 (n,): of at most 2^31 hashes."""
    first = np.arange(len(hashes), dtype=np.int32)
    for members in _buckets(hashes):
        _, earliest, which = np.unique(hashes[members], return_index=True, return_inverse=True)
        first[members] = members[earliest[which]]
    return first


def firsts(first: np.ndarray) -> np.ndarray:
    """The positions, int64, that `first_of_equals` gives as their own."""
    return np.flatnonzero(first == np.arange(len(first), dtype=first.dtype))


def _buckets(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """Positions of about BUCKETED hashes, ascending; equal hashes are in the same of these buckets."""
    number = min(-(-len(hashes) // BUCKETED), 256)
    bucket = np.ascontiguousarray(hashes).view(np.uint8)[:: hashes.itemsize] % max(number, 1)
    return (np.flatnonzero(bucket == which) for which in range(number))


def bands_and_permutations(similarity: float) -> tuple[int, int]:
    """Number of bands, and of permutations in each.

    As many permutations in a band as PERMUTATIONS_MAX in all and MISS_PROBABILITY allow: a pair of similarity
    s is missed with the probability (1 - s ** permutations) ** bands.
    """
    fitting = (PERMUTATIONS_MAX, 1)
    for permutations in range(1, PERMUTATIONS_MAX):
        bands = math.ceil(math.log(MISS_PROBABILITY) / math.log1p(-(similarity**permutations)))
        if bands * permutations <= PERMUTATIONS_MAX:
            fitting = (bands, permutations)
    return fitting


def band_keys(rows: Ragged, similarity: float, band: int) -> np.ndarray:
    """The key of each row of shingles in one band, uint64 (rows,)."""
    bands, permutations = bands_and_permutations(similarity)
    short = (rows.values >> np.uint64(32)).astype(np.uint32)
    draws = mixed(np.arange(2 * bands * permutations, dtype=np.uint64)).astype(np.uint32)
    keys = np.zeros(len(rows.bounds) - 1, np.uint64)
    for flip, factor in draws.reshape(bands, permutations, 2)[band]:
        shuffled = (short ^ flip) * (factor | np.uint32(1))  # modulo 2^32: one of 2^63 bijections
        smallest = np.minimum.reduceat(shuffled, rows.bounds[:-1]) if len(keys) else keys
        keys = mixed(keys ^ smallest)
    return keys


def bucket_pairs(keys: np.ndarray) -> np.ndarray:
    """Pairs of texts with the same key in a band: int64 (pairs, 2), left < right."""
    pairs = [members[_pairs_within(keys[members])] for members in _buckets(keys)]
    return np.concatenate([np.empty((0, 2), np.int64), *pairs])


def _pairs_within(keys: np.ndarray) -> np.ndarray:
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(keys)])
    sizes = np.diff(np.append(starts, len(keys)))
    size, start = np.repeat(sizes, sizes), np.repeat(starts, sizes)
    positions = np.arange(len(keys))
    pairs = [np.empty((0, 2), np.int64)]
    for step in range(1, min(BUCKET_MAX, int(sizes.max(initial=1)))):
        left = positions[(positions + step < start + size) & ((size <= BUCKET_MAX) | (step == 1))]
        pairs.append(np.column_stack([order[left], order[left + step]]))
    crowded = positions[(size > BUCKET_MAX) & (positions > start + 1)]
    pairs.append(np.column_stack([order[start[crowded]], order[crowded]]))
    return np.concatenate(pairs)


def verify(store: ShingleStore, similarity: float, pairs: np.ndarray) -> np.ndarray:
    """Those of the pairs of texts whose exact Jaccard similarity is at least that."""
    involved, positions = np.unique(pairs, return_inverse=True)
    return pairs[jaccard_at_least(positions.reshape(-1, 2), store.take(involved), similarity)]


def jaccard_at_least(pairs: np.ndarray, rows: Ragged, similarity: float) -> np.ndarray:
    """Whether the exact Jaccard similarity of the rows of each pair is at least that, bool (pairs,)."""
    shingles, columns = np.unique(rows.values, return_inverse=True)
    shape = (len(rows.bounds) - 1, len(shingles))
    sets = sparse.csr_matrix((np.ones(len(columns), np.int32), columns, rows.bounds), shape=shape)
    sets.sum_duplicates()
    sets.data[:] = 1
    sizes = sets.getnnz(axis=1)
    left, right = pairs.T
    shared = np.asarray(sets[left].multiply(sets[right]).sum(axis=1)).ravel()
    return shared >= similarity * (sizes[left] + sizes[right] - shared)
