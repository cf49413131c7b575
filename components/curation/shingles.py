"""Texts as sets of word 3-shingles, hashed a column at a time: what `minhash` and `leakage` compare.

A column of texts becomes one flat array of 64-bit hashes with the bounds of each text in it. Among 10^6
distinct shingles two share a hash with a probability below 1 in 10^7.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

SHINGLE = 3  # words
WORD = re.compile(r"\w+")
ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 by the golden ratio: multiplying by it spreads neighbours (Knuth)
# ASCII as `words` sees it: capitals as small letters, what is no part of a word as a blank; UTF-8 as it is.
ASCII = bytes(
    code if code >= 128 or chr(code).isalnum() or chr(code) == "_" else 32
    for code in bytes(range(256)).lower()
)


class Ragged(NamedTuple):
    """Rows of different lengths in one flat array."""

    values: np.ndarray
    """All rows, one after another."""
    bounds: np.ndarray
    """int64 of shape (rows + 1,): row i is `values[bounds[i]:bounds[i + 1]]`."""

    def take(self, rows: np.ndarray) -> Ragged:
        """The rows of those numbers, in that order."""
        lengths = np.diff(self.bounds)[rows]
        return Ragged(self.values[spread(self.bounds[:-1][rows], lengths)], bounds_of(lengths))


def words(text: str) -> list[str]:
    """Words and numbers, case folded, without punctuation."""
    return WORD.findall(text.casefold())


def bounds_of(lengths: np.ndarray) -> np.ndarray:
    """The bounds of rows of those lengths: 0 and the running sum, int64 (rows + 1,)."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def spread(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers start, start + 1, ... of every row, one row behind the other."""
    bounds = bounds_of(lengths)
    return np.arange(bounds[-1]) + np.repeat(starts - bounds[:-1], lengths)


def mixed(hashes: np.ndarray) -> np.ndarray:
    """A bijection of 64-bit numbers that makes every bit depend on every other (splitmix64's finalizer)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def word_hashes(texts: pa.StringArray) -> Ragged:
    """A uint64 for each word of each text (see `words`); a word has the same hash in every process."""
    beyond = pc.invert(pc.string_is_ascii(texts))
    spelled = [" ".join(words(text)) for text in texts.filter(beyond).to_pylist()]
    texts = pc.replace_with_mask(texts, beyond, pa.array(spelled, pa.string()))
    _, offsets, data = texts.buffers()
    plain = pa.py_buffer(data.to_pybytes().translate(ASCII))
    texts = pa.StringArray.from_buffers(len(texts), offsets, plain, offset=texts.offset)
    split = pc.ascii_split_whitespace(texts)
    coded = split.flatten().dictionary_encode()
    real = pc.not_equal(coded.dictionary, "").to_numpy(zero_copy_only=False)[coded.indices]
    hashes = pd.util.hash_array(coded.dictionary.to_numpy(zero_copy_only=False))[coded.indices]
    upto = np.concatenate([[0], np.cumsum(real)])  # a blank at an end of a text splits off an empty word
    bounds = bounds_of(pc.list_value_length(split).to_numpy())
    return Ragged(hashes[real], upto[bounds])


def shingles(words: Ragged, size: int) -> Ragged:
    """A uint64 for each run of `size` word hashes of each row, repeated runs included.

    A row of fewer words is one shingle as a whole, also one without words.
    """
    counts = np.maximum(np.diff(words.bounds) - size + 1, 1)
    starts, ends = spread(words.bounds[:-1], counts), np.repeat(words.bounds[1:], counts)
    values = np.append(words.values, np.uint64(0))
    hashes = np.zeros(len(starts), np.uint64)
    for offset in range(size):
        at = starts + offset
        longer = hashes * ODD + values[np.minimum(at, len(values) - 1)]
        hashes = np.where(at < ends, longer, hashes)
    return Ragged(mixed(hashes), bounds_of(counts))


def text_shingles(texts: list[str] | pa.StringArray) -> Ragged:
    """The 3-shingles of texts."""
    return shingles(word_hashes(pa.array(texts, pa.string())), SHINGLE)


def set_hashes(rows: Ragged) -> np.ndarray:
    """uint64 for each row: equal where two rows hold the same values, in whatever order."""
    if not len(rows.bounds) - 1:
        return np.empty(0, np.uint64)
    return np.add.reduceat(mixed(rows.values), rows.bounds[:-1])


def sequence_hashes(words: Ragged) -> np.ndarray:
    """uint64 for each row: equal where two rows hold the same values in the same order."""
    whole = shingles(words, int(np.diff(words.bounds).max(initial=1)))
    return whole.values
