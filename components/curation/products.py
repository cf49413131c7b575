"""Which listings are one product (a near-duplicate cluster), and the split by product. For `curate`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from components.core.params.curate import Shares
from components.core.schemas import SPLITS
from components.curation.minhash import Neighbours
from components.curation.shingles import words

BLOCK = 2**16  # listings that are allocated at a time


def numbers(text: str) -> set[str]:
    """Words with a digit: sizes, capacities, model names."""
    return {word for word in words(text) if any(sign.isdigit() for sign in word)}


def products_of(neighbours: Neighbours) -> np.ndarray:
    """The product of each of n listings, int32 (n,): the position of the product's first listing.

    Listings are one product where they are near duplicates, directly or through others.
    """
    product = np.arange(len(neighbours.first), dtype=np.int32)
    twins = np.flatnonzero(neighbours.first != product)
    ties = np.concatenate([neighbours.pairs, np.column_stack([neighbours.first[twins], twins])])
    tied, ends = np.unique(ties, return_inverse=True)
    left, right = ends.reshape(-1, 2).T
    links = sparse.coo_matrix((np.ones(len(ties)), (left, right)), shape=(len(tied), len(tied)))
    _, labels = connected_components(links, directed=False) if len(tied) else (0, np.empty(0, int))
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    product[tied] = tied[first[which]]
    return product


def draws_of(ids: list[str], seed: int) -> np.ndarray:
    """A random number for each id, uint64 (n,): the first bytes of a seeded SHA-256 of the id alone."""
    digests = (hashlib.sha256(f"{seed} {id_}".encode()).digest()[:8] for id_ in ids)
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def drawn_for_gate(ids: list[str], draws: np.ndarray, gate_ids: frozenset[str], shares: Shares) -> np.ndarray:
    """`draws` (`draws_of` the ids), where those of the listings in `gate_ids` fall to the split `gate`, to
    the middle of its share.
    """
    held_back = sum(getattr(shares, split) for split in SPLITS[SPLITS.index("gate") + 1 :])
    middle = np.uint64((held_back + shares.gate / 2) * 2.0**64)
    return np.where([id_ in gate_ids for id_ in ids], middle, draws) if gate_ids else draws


def lowest(groups: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The lowest draw of its group for each listing that is the first of its group, its own for the others.

    `groups`, integers (n,), holds the position of the first listing of each one's group.
    """
    least = draws.copy()
    later = np.flatnonzero(groups != np.arange(len(groups), dtype=groups.dtype))
    np.minimum.at(least, groups[later], draws[later])
    return least


def allocate(product: np.ndarray, draws: np.ndarray, shares: Shares) -> np.ndarray:
    """The split of each listing, int8 (n,), a position in SPLITS; a product stays together.

    The lowest draws (`draws_of`) fall to the last of SPLITS, the highest to train, by the shares. A product
    goes by the lowest draw among its listings, that is, to the split that is held back the most. Nothing else
    enters: when a source grows, a product can only move to a split that is held back more, out of train
    first, and what is in the last split stays there. `product` is by `products_of`.

    The shares hold in expectation, for products of one listing: a product of k is in train with the
    probability train ** k. No rule that looks at the listings alone is without such a bias and yet keeps a
    product's split whoever joins it: whatever may join a product would have to be in its split before.
    """
    held_back = np.cumsum([getattr(shares, split) for split in reversed(SPLITS)])[:-1]
    least, split = lowest(product, draws), np.empty(len(product), np.int8)
    for start in range(0, len(product), BLOCK):
        uniform = (least[product[start : start + BLOCK]] >> np.uint64(11)) * 2.0**-53
        split[start : start + BLOCK] = len(SPLITS) - 1 - np.searchsorted(held_back, uniform, side="right")
    return split


class Group(NamedTuple):
    """Some whole products of several listings each."""

    positions: np.ndarray
    """Of the listings, ascending."""
    neighbours: Neighbours
    """Among these listings, counted from 0."""


def grouped_products(neighbours: Neighbours, product: np.ndarray, size: int) -> Iterator[Group]:
    """All products of several listings, in groups of at least `size` listings but for the last."""
    several = np.flatnonzero(np.bincount(product, minlength=len(product))[product] > 1)
    grouped = several[np.argsort(product[several], kind="stable")]
    of_group, of_pair = product[grouped], product[neighbours.pairs[:, 0]]
    pairs, of_pair = neighbours.pairs[order := np.argsort(of_pair, kind="stable")], of_pair[order]
    start = 0
    while start < len(grouped):
        last = of_group[min(start + size, len(grouped)) - 1]
        end = int(np.searchsorted(of_group, last, side="right"))
        lowest, highest = np.searchsorted(of_pair, [of_group[start], last + 1])
        positions = np.sort(grouped[start:end])
        first = np.searchsorted(positions, neighbours.first[positions])
        within = np.searchsorted(positions, pairs[lowest:highest])
        yield Group(positions, Neighbours(first, within[np.lexsort((within[:, 0], within[:, 1]))]))
        start = end
