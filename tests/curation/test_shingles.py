from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from components.curation.shingles import (
    Ragged,
    sequence_hashes,
    set_hashes,
    shingles,
    text_shingles,
    word_hashes,
    words,
)

TEXTS = st.lists(st.text(st.sampled_from("aAbß éİ_9.,-\n\t\u00a0漢"), max_size=12), max_size=8)


def rows(ragged: Ragged) -> list[list[int]]:
    return [ragged.values[start:end].tolist() for start, end in pairwise(ragged.bounds.tolist())]


@given(TEXTS)
def test_words_have_the_same_hash_where_they_are_the_same_word(texts: list[str]) -> None:
    split = [words(text) for text in texts]
    hashed = rows(word_hashes(pa.array(texts, pa.string())))
    assert [len(row) for row in hashed] == [len(row) for row in split]
    pairs = {
        pair for row, hashes in zip(split, hashed, strict=True) for pair in zip(row, hashes, strict=True)
    }
    assert len(pairs) == len({word for word, _ in pairs}) == len({number for _, number in pairs})


@given(TEXTS)
def test_the_hashes_of_a_text_depend_on_no_other_text(texts: list[str]) -> None:
    column = pa.array(texts, pa.string())
    for position in range(len(texts)):
        alone, among = column.slice(position, 1), column.slice(position)
        assert rows(text_shingles(alone))[0] == rows(text_shingles(among))[0]
        assert sequence_hashes(word_hashes(alone))[0] == sequence_hashes(word_hashes(column))[position]


@given(TEXTS)
def test_shingles_are_the_runs_of_three_words_or_the_whole_of_a_shorter_text(texts: list[str]) -> None:
    split = [words(text) for text in texts]
    runs = [[tuple(row[at : at + 3]) for at in range(max(1, len(row) - 2))] for row in split]
    hashed = rows(text_shingles(texts))
    assert [len(row) for row in hashed] == [len(row) for row in runs]
    pairs = {pair for row, hashes in zip(runs, hashed, strict=True) for pair in zip(row, hashes, strict=True)}
    assert len(pairs) == len({run for run, _ in pairs}) == len({number for _, number in pairs})


@given(TEXTS)
def test_sets_and_sequences_are_equal_where_their_words_are(texts: list[str]) -> None:
    split = [words(text) for text in texts]
    hashed = word_hashes(pa.array(texts, pa.string()))
    in_order, in_any = sequence_hashes(hashed).tolist(), set_hashes(shingles(hashed, 1)).tolist()
    for position, row in enumerate(split):
        for earlier in range(position):
            assert (in_order[position] == in_order[earlier]) == (row == split[earlier])
            assert (in_any[position] == in_any[earlier]) == (sorted(row) == sorted(split[earlier]))


def test_rows_are_taken_in_the_order_of_their_numbers() -> None:
    ragged = Ragged(np.arange(6), np.array([0, 2, 2, 6]))
    assert rows(ragged.take(np.array([2, 0, 1, 2]))) == [[2, 3, 4, 5], [0, 1], [], [2, 3, 4, 5]]
