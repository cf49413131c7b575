"""Near duplicates among many texts: MinHash with banding finds candidates, their Jaccard similarity decides.

Texts with the same shingles are twins and count once. Of the others each has BANDS keys, each the hash of
the smallest hashes of its shingles under some random orders (Broder 1997); texts that share a key are
candidates (Indyk and Motwani 1998), and a pair is one whose shingles have the asked Jaccard similarity. The
numbers of keys and orders are such that a pair at just that similarity is missed with a chance below MISSED.

A key that many texts share would make the square of their number in pairs: of more than BUCKET texts each
is compared with the first and the next one only, which is enough to tie together what is alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse

from components.shingles import Ragged, mixed, set_hashes

MISSED = 1e-4
ORDERS = 96  # random orders at most: more of them per key mean fewer candidates, and more work for each text
BUCKET = 32  # texts with the same key that are all compared with each other
CHUNK = 50_000  # pairs verified at a time


class Neighbours(NamedTuple):
    """Which of n texts are alike; places count from 0."""

    first: np.ndarray
    """int64 of shape (n,): the first text with the same shingles, itself where none is earlier."""
    pairs: np.ndarray
    """int64 of shape (pairs, 2), first < second, sorted by the second: texts that are alike but no twins.
    Only the first ones of twins stand here."""


def neighbours(rows: Ragged, similarity: float) -> Neighbours:
    """Twins and pairs of at least that Jaccard similarity among `rows` of shingles."""
    first = first_of_equals(set_hashes(rows))
    distinct = np.flatnonzero(first == np.arange(len(first)))
    sets = rows.take(distinct)
    found = [bucket_pairs(keys) for keys in band_keys(sets, similarity)]
    candidates = np.unique(np.concatenate([np.empty((0, 2), np.int64), *found]), axis=0)
    pairs = distinct[verified(candidates, sets, similarity)]
    return Neighbours(first, pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))])


def first_of_equals(hashes: np.ndarray) -> np.ndarray:
    """For each place the first one with the same hash."""
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


def band_keys(rows: Ragged, similarity: float) -> Iterator[np.ndarray]:
    """For each band a uint64 of each row of shingles."""
    bands, orders = shape(similarity)
    short = (rows.values >> np.uint64(32)).astype(np.uint32)
    draws = mixed(np.arange(2 * bands * orders, dtype=np.uint64)).astype(np.uint32).reshape(bands, orders, 2)
    for band in draws:
        keys = np.zeros(len(rows.bounds) - 1, np.uint64)
        for flip, factor in band:
            shuffled = (short ^ flip) * (factor | np.uint32(1))  # modulo 2^32: one of 2^63 bijections
            smallest = np.minimum.reduceat(shuffled, rows.bounds[:-1]) if len(keys) else keys
            keys = mixed(keys ^ smallest)
        yield keys


def bucket_pairs(keys: np.ndarray) -> np.ndarray:
    """Candidates by one band: int64 of shape (pairs, 2), first < second."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(keys)])
    sizes = np.diff(np.append(starts, len(keys)))
    size, start = np.repeat(sizes, sizes), np.repeat(starts, sizes)
    places = np.arange(len(keys))
    found = [np.empty((0, 2), np.int64)]
    for step in range(1, min(BUCKET, int(sizes.max(initial=1)))):
        left = places[(places + step < start + size) & ((size <= BUCKET) | (step == 1))]
        found.append(np.column_stack([order[left], order[left + step]]))
    crowded = places[(size > BUCKET) & (places > start + 1)]
    found.append(np.column_stack([order[start[crowded]], order[crowded]]))
    return np.concatenate(found)


def verified(pairs: np.ndarray, rows: Ragged, similarity: float) -> np.ndarray:
    """Those of the pairs whose rows have at least that Jaccard similarity."""
    kept = [np.empty((0, 2), np.int64)]
    for start in range(0, len(pairs), CHUNK):
        part = pairs[start : start + CHUNK]
        kept.append(part[jaccard_at_least(part, rows, similarity)])
    return np.concatenate(kept)


def jaccard_at_least(pairs: np.ndarray, rows: Ragged, similarity: float) -> np.ndarray:
    """Whether the rows of each pair have at least that Jaccard similarity, exactly."""
    involved, places = np.unique(pairs, return_inverse=True)
    some = rows.take(involved)
    shingles, columns = np.unique(some.values, return_inverse=True)
    shape = (len(involved), len(shingles))
    sets = sparse.csr_matrix((np.ones(len(columns), np.int32), columns, some.bounds), shape=shape)
    sets.sum_duplicates()
    sets.data[:] = 1
    sizes = sets.getnnz(axis=1)
    one, other = places.reshape(-1, 2).T
    shared = np.asarray(sets[one].multiply(sets[other]).sum(axis=1)).ravel()
    return shared >= similarity * (sizes[one] + sizes[other] - shared)
