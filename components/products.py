"""Which listings are one product: near duplicates by their words, and the split by product. For `curate`."""

from __future__ import annotations

import hashlib
import re

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from components.params import Shares
from components.records import SPLITS, Split

SHINGLE = 3  # words
BLOCK = 512  # rows of the similarity matrix at a time, to bound its memory


def words(text: str) -> list[str]:
    """Words and numbers, case folded, without punctuation."""
    return re.findall(r"\w+", text.casefold())


def numbers(text: str) -> set[str]:
    """Words with a digit: sizes, capacities, model names."""
    return {word for word in words(text) if any(sign.isdigit() for sign in word)}


def similar_pairs(texts: list[str], similarity: float) -> np.ndarray:
    """Pairs of places whose texts' word 3-shingles have at least that Jaccard similarity.

    int64 of shape (pairs, 2), first < second, sorted by the second. Exact: the product of the sparse
    text-by-shingle matrix with its transpose counts the shingles that two texts share.
    """
    columns: dict[tuple[str, ...], int] = {}
    indices: list[int] = []
    bounds = [0]
    for text in texts:
        said = words(text)
        shingles = {tuple(said[at : at + SHINGLE]) for at in range(max(1, len(said) - SHINGLE + 1))}
        indices += [columns.setdefault(shingle, len(columns)) for shingle in shingles]
        bounds.append(len(indices))
    ones = np.ones(len(indices), dtype=np.int32)
    matrix = sparse.csr_matrix((ones, indices, bounds), shape=(len(texts), len(columns)))
    sizes = np.diff(bounds)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in tqdm(range(0, len(texts), BLOCK), desc="near duplicates", delay=2, leave=False):
        shared = (matrix[start : start + BLOCK] @ matrix.T).tocoo()
        second, first = shared.row.astype(np.int64) + start, shared.col.astype(np.int64)
        alike = shared.data >= similarity * (sizes[first] + sizes[second] - shared.data)
        found.append(np.column_stack([first, second])[alike & (first < second)])
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]


def products_of(ids: list[str], pairs: np.ndarray) -> dict[str, str]:
    """Id to the id of its product: the first of all that pairs tie to it, directly or through others."""
    links = sparse.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(ids), len(ids)))
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
