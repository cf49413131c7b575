"""Near duplicates among many texts: MinHash with banding finds candidates, their Jaccard similarity decides.

Texts with the same shingles are twins and count once. Of the others each has BANDS keys, each the hash of
the smallest hashes of its shingles under some random orders (Broder 1997); texts that share a key are
candidates (Indyk and Motwani 1998), and near duplicates where their shingles have the wanted Jaccard
similarity. The numbers of keys and orders are such that a pair at just that similarity is missed with a chance below MISSED.

A key that many texts share would make the square of their number in pairs: of more than BUCKET texts each
is compared with the first and the next only, which is enough to tie near duplicates together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import sparse

from components.curation.shingles import Ragged, mixed, set_hashes

MISSED = 1e-4
ORDERS = 96  # random orders at most: more of them per key mean fewer candidates, and more work for each text
BUCKET = 32  # texts with the same key that are all compared with each other
CHUNK = 50_000  # pairs verified at a time


class Neighbours(NamedTuple):
    """Which of n texts are near duplicates; places count from 0."""

    first: np.ndarray
    """int64 of shape (n,): the first text with the same shingles, itself where none is earlier."""
    pairs: np.ndarray
    """int64 of shape (pairs, 2), first < second, sorted by the second: near duplicates that are no
    twins. Of twins only the first stands here."""


class Store(Protocol):
    """Texts whose shingles may be larger than memory."""

    def keys(self, band: int) -> np.ndarray:
        """A uint64 of each text, as from `band_keys`."""

    def take(self, rows: np.ndarray) -> Ragged:
        """Shingles of some texts, ascending."""


@dataclass(frozen=True)
class InMemory:
    """The shingles of all texts."""

    rows: Ragged
    similarity: float

    def keys(self, band: int) -> np.ndarray:
        """One band of `band_keys`."""
        return band_keys(self.rows, self.similarity, band)

    def take(self, rows: np.ndarray) -> Ragged:
        """Shingles of some texts."""
        return self.rows.take(rows)


Map = Callable[..., Iterable[Any]]
"""`map`, or the `map` of an executor from concurrent.futures."""


def neighbours(rows: Ragged, similarity: float) -> Neighbours:
    """Twins and pairs of at least that Jaccard similarity among `rows` of shingles."""
    return search(InMemory(rows, similarity), set_hashes(rows), similarity, map)


def search(store: Store, sets: np.ndarray, similarity: float, run: Map) -> Neighbours:
    """Twins and pairs of at least that Jaccard similarity; `sets` as from `set_hashes`, for all texts."""
    first = first_of_equals(sets)
    distinct = np.flatnonzero(first == np.arange(len(first)))
    bands, _ = shape(similarity)
    candidates = _unique_pairs(run(partial(_band_pairs, store, distinct), range(bands)))
    chunks = [candidates[start : start + CHUNK] for start in range(0, len(candidates), CHUNK)]
    kept = run(partial(verified, store, similarity), chunks)
    pairs = np.concatenate([np.empty((0, 2), np.int64), *kept])
    return Neighbours(first, pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))])


def _band_pairs(store: Store, distinct: np.ndarray, band: int) -> np.ndarray:
    return distinct[bucket_pairs(store.keys(band)[distinct])]


def _unique_pairs(bands: Iterable[np.ndarray]) -> np.ndarray:
    """All pairs once, in order; band after band, for many bands repeat the pairs of those before."""
    pairs = np.empty((0, 2), np.int64)
    for more in bands:
        pairs = np.unique(np.concatenate([pairs, more]), axis=0)
    return pairs


def first_of_equals(hashes: np.ndarray) -> np.ndarray:
    """int64 (n,): for each place the first place with the same hash."""
    _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    return first[which]


def shape(similarity: float) -> tuple[int, int]:
    """(keys, orders in each key): as many orders in a key as ORDERS in all and MISSED allow."""
    fitting = [
        (bands, orders)
        for orders in range(1, ORDERS)
        if (bands := math.ceil(math.log(MISSED) / math.log1p(-(similarity**orders)))) * orders <= ORDERS
    ]
    return fitting[-1] if fitting else (ORDERS, 1)


def band_keys(rows: Ragged, similarity: float, band: int) -> np.ndarray:
    """A uint64 of each row of shingles in one band."""
    bands, orders = shape(similarity)
    short = (rows.values >> np.uint64(32)).astype(np.uint32)
    draws = mixed(np.arange(2 * bands * orders, dtype=np.uint64)).astype(np.uint32).reshape(bands, orders, 2)
    keys = np.zeros(len(rows.bounds) - 1, np.uint64)
    for flip, factor in draws[band]:
        shuffled = (short ^ flip) * (factor | np.uint32(1))  # modulo 2^32: one of 2^63 bijections
        smallest = np.minimum.reduceat(shuffled, rows.bounds[:-1]) if len(keys) else keys
        keys = mixed(keys ^ smallest)
    return keys


def bucket_pairs(keys: np.ndarray) -> np.ndarray:
    """Candidates by one band: int64 of shape (pairs, 2), first < second."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(keys)])
    sizes = np.diff(np.append(starts, len(keys)))
    size, start = np.repeat(sizes, sizes), np.repeat(starts, sizes)
    places = np.arange(len(keys))
    pairs = [np.empty((0, 2), np.int64)]
    for step in range(1, min(BUCKET, int(sizes.max(initial=1)))):
        left = places[(places + step < start + size) & ((size <= BUCKET) | (step == 1))]
        pairs.append(np.column_stack([order[left], order[left + step]]))
    crowded = places[(size > BUCKET) & (places > start + 1)]
    pairs.append(np.column_stack([order[start[crowded]], order[crowded]]))
    return np.concatenate(pairs)


def verified(store: Store, similarity: float, pairs: np.ndarray) -> np.ndarray:
    """Those of the pairs of texts that have at least that Jaccard similarity, exactly."""
    involved, places = np.unique(pairs, return_inverse=True)
    return pairs[jaccard_at_least(places.reshape(-1, 2), store.take(involved), similarity)]


def jaccard_at_least(pairs: np.ndarray, some: Ragged, similarity: float) -> np.ndarray:
    """Whether the rows of each pair have at least that Jaccard similarity, exactly."""
    shingles, columns = np.unique(some.values, return_inverse=True)
    shape = (len(some.bounds) - 1, len(shingles))
    sets = sparse.csr_matrix((np.ones(len(columns), np.int32), columns, some.bounds), shape=shape)
    sets.sum_duplicates()
    sets.data[:] = 1
    sizes = sets.getnnz(axis=1)
    left, right = pairs.T
    shared = np.asarray(sets[left].multiply(sets[right]).sum(axis=1)).ravel()
    return shared >= similarity * (sizes[left] + sizes[right] - shared)
