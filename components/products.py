"""Which listings are one product, and the split by product. For `curate`."""

from __future__ import annotations

import hashlib

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from components.minhash import Neighbours
from components.params import Shares
from components.records import SPLITS, Split
from components.shingles import words


def numbers(text: str) -> set[str]:
    """Words with a digit: sizes, capacities, model names."""
    return {word for word in words(text) if any(sign.isdigit() for sign in word)}


def products_of(ids: list[str], alike: Neighbours) -> dict[str, str]:
    """Id to the id of its product: the first of all that are tied to it, directly or through others."""
    places = np.arange(len(ids))
    left, right = np.append(places, alike.pairs[:, 0]), np.append(alike.first, alike.pairs[:, 1])
    links = sparse.coo_matrix((np.ones(len(left)), (left, right)), shape=(len(ids), len(ids)))
    labels = connected_components(links, directed=False)[1].tolist() if ids else []
    first: dict[int, str] = {}
    for label, one in sorted(zip(labels, ids, strict=True)):
        first.setdefault(label, one)
    return {one: first[label] for label, one in zip(labels, ids, strict=True)}


def allocate(products: set[str], shares: Shares, seed: int) -> dict[str, Split]:
    """The split of each product: all products in the order of a seeded hash, cut by the shares."""
    shuffled = sorted(products, key=lambda one: hashlib.sha256(f"{seed} {one}".encode()).digest())
    upto = np.cumsum([getattr(shares, split) for split in SPLITS])
    borders = [0, *(round(share * len(shuffled)) for share in upto)]
    return {
        product: split
        for split, start, end in zip(SPLITS, borders[:-1], borders[1:], strict=True)
        for product in shuffled[start:end]
    }
