"""Shingles that most listings share: a shop's boilerplate, which does not tell one product from another.

Left in, one paragraph in every description makes near duplicates of all listings, and of a shop one product.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from components.curation.shingles import SHINGLE, Ragged, bounds_of, shingles, word_hashes

SHORT_DESCRIPTION = 8  # words; a shorter one says too little to tell products apart
LISTINGS_MIN = 100  # that share a shingle before it is boilerplate: in a small file they may be one product


def compared_shingles(texts: pa.StringArray, described: pa.StringArray, common: np.ndarray) -> Ragged:
    """The shingles by which listings are compared: those of the description, of the text where it is short.

    Those in `common`, uint64 hashes, do not count. Where they leave less of a description than a short one
    has, the text takes its place; where they leave nothing of that either, it counts as it is.
    """
    short = np.diff(word_hashes(described).bounds) < SHORT_DESCRIPTION
    rows = shingles(word_hashes(pc.if_else(pa.array(short), texts, described)), SHINGLE)
    if not len(common):
        return rows
    own, lengths = _others(rows, common), np.diff(rows.bounds)
    short |= (own < lengths) & (own < SHORT_DESCRIPTION - SHINGLE + 1)
    rows = shingles(word_hashes(pc.if_else(pa.array(short), texts, described)), SHINGLE)
    return without(rows, common)


def without(rows: Ragged, common: np.ndarray) -> Ragged:
    """The rows without the values in `common`; a row of such values alone stays as it is."""
    lengths, own = np.diff(rows.bounds), _others(rows, common)
    kept = ~np.isin(rows.values, common) | np.repeat(own == 0, lengths)
    return Ragged(rows.values[kept], bounds_of(np.where(own == 0, lengths, own)))


def _others(rows: Ragged, common: np.ndarray) -> np.ndarray:
    """How many values of each row are not in `common`, int64 (rows,)."""
    return np.diff(bounds_of(~np.isin(rows.values, common))[rows.bounds])


def shared_by(rows: Ragged, share: float) -> np.ndarray:
    """The values that more than that share of the rows hold, sorted.

    What more than a share of all rows hold, more than that share hold in at least one part of them: the
    values of all parts are therefore the only candidates, and `rows_with` counts these.
    """
    values, columns = np.unique(rows.values, return_inverse=True)
    return values[_rows_with(columns, rows.bounds, len(values)) > share * (len(rows.bounds) - 1)]


def rows_with(rows: Ragged, values: np.ndarray) -> np.ndarray:
    """How many of the rows hold each of the sorted values, int64 (values,)."""
    positions = np.searchsorted(values, rows.values)
    held = np.append(values, 0)[positions] == rows.values
    upto = np.concatenate([[0], np.cumsum(held)])[rows.bounds]
    return _rows_with(positions[held], upto, len(values))


def boilerplate(candidates: np.ndarray, counts: np.ndarray, listings: int, share: float) -> np.ndarray:
    """Those of the candidates that more than that share of the listings hold, and at least LISTINGS_MIN."""
    return candidates[(counts > share * listings) & (counts >= LISTINGS_MIN)]


def _rows_with(columns: np.ndarray, bounds: np.ndarray, number: int) -> np.ndarray:
    sets = sparse.csr_matrix(
        (np.ones(len(columns), np.int32), columns, bounds), shape=(len(bounds) - 1, number)
    )
    sets.sum_duplicates()
    return sets.getnnz(axis=0).astype(np.int64)
