from __future__ import annotations

from itertools import combinations, product
from random import Random

import numpy as np
import pytest

from components.curation.minhash import (
    BUCKET_MAX,
    MISS_PROBABILITY,
    Neighbours,
    band_keys,
    bands_and_permutations,
    bucket_pairs,
    neighbours,
)
from components.curation.shingles import Ragged, text_shingles, words
from components.synthetic.catalogue import catalogue


def shingles(text: str) -> set[tuple[str, ...]]:
    text_words = words(text)
    return {tuple(text_words[at : at + 3]) for at in range(max(1, len(text_words) - 2))}


def all_bands(rows: Ragged) -> list[np.ndarray]:
    return [band_keys(rows, 0.8, band) for band in range(bands_and_permutations(0.8)[0])]


def by_definition(texts: list[str], similarity: float) -> set[tuple[int, int]]:
    """All pairs, compared one by one where they share a word at all."""
    sets = [shingles(text) for text in texts]
    return {
        (left, right)
        for left, right in combinations(range(len(texts)), 2)
        if sets[left] & sets[right]
        and len(sets[left] & sets[right]) >= similarity * len(sets[left] | sets[right])
    }


def all_pairs(near: Neighbours) -> set[tuple[int, int]]:
    """Pairs of all texts, from those of the first ones of twins."""
    twins: dict[int, list[int]] = {}
    for position, first in enumerate(near.first.tolist()):
        twins.setdefault(first, []).append(position)
    within = [pair for positions in twins.values() for pair in combinations(positions, 2)]
    across = [pair for left, right in near.pairs.tolist() for pair in product(twins[left], twins[right])]
    return {(min(pair), max(pair)) for pair in within + across}


@pytest.mark.parametrize("similarity", [0.2, 0.5, 0.8])
def test_similar_pairs_are_those_of_the_definition(similarity: float) -> None:
    rng = Random(1)
    texts = [" ".join(rng.choices(["oak", "red", "lamp", "desk"], k=rng.randint(1, 9))) for _ in range(150)]
    expected = by_definition(texts, similarity)
    assert all_pairs(neighbours(text_shingles(texts), similarity)) == expected
    assert expected, "the test compares nothing"


def test_on_the_demo_shop_the_pairs_are_those_of_the_exact_search() -> None:
    texts = [product.description for product in catalogue(11, 1500, 0.25)]
    expected = by_definition(texts, 0.8)
    assert all_pairs(neighbours(text_shingles(texts), 0.8)) == expected
    assert len(expected) >= 60  # the 6% that are listed again, and those without a price


def test_pairs_are_sorted_by_their_right_text() -> None:
    texts = [" ".join(["a lamp of oak", "with red shade", word]) for word in ("one", "two", "six", "ten")]
    pairs = neighbours(text_shingles(texts), 0.4).pairs.tolist()
    assert pairs == [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]]


def test_no_texts_have_no_neighbours() -> None:
    near = neighbours(text_shingles([]), 0.8)
    assert near.first.shape == (0,)
    assert near.pairs.shape == (0, 2)


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.7, 0.8, 0.9, 0.99])
def test_a_pair_at_the_threshold_is_missed_with_at_most_the_probability_allowed(similarity: float) -> None:
    bands, permutations = bands_and_permutations(similarity)
    assert (1 - similarity**permutations) ** bands <= MISS_PROBABILITY


def test_texts_with_the_same_words_are_twins_and_make_no_pairs() -> None:
    near = neighbours(text_shingles(["one lamp of red oak"] * 20_000 + ["another desk"]), 0.8)
    assert near.first.tolist() == [0] * 20_000 + [20_000]
    assert len(near.pairs) == 0


def test_thousands_of_near_duplicates_make_few_candidates_and_stay_one_cluster() -> None:
    crowd = [
        f"{' '.join(f'word{position}' for position in range(60))} number {number}" for number in range(3000)
    ]
    rows = text_shingles(crowd)
    assert all(len(bucket_pairs(keys)) < BUCKET_MAX * len(crowd) for keys in all_bands(rows))
    near = neighbours(rows, 0.8)
    assert set(near.pairs[:, 1].tolist()) == set(range(1, 3000))


def test_boilerplate_that_all_texts_share_makes_no_candidates() -> None:
    rng = Random(2)
    boilerplate = "ships within two days from our little shop and returns are accepted for thirty days"
    texts = [
        " ".join([*(f"word{rng.randint(0, 3000)}" for _ in range(40)), boilerplate]) for _ in range(2000)
    ]
    rows = text_shingles(texts)
    candidates = sum(len(bucket_pairs(keys)) for keys in all_bands(rows))
    assert candidates < len(texts) ** 2 / 2 / 20
    assert len(neighbours(rows, 0.8).pairs) == 0


def test_bucket_pairs_hold_all_pairs_of_a_small_bucket_once() -> None:
    keys = np.array([7, 5, 7, 7, 5, 1], np.uint64)
    assert sorted(map(tuple, bucket_pairs(keys).tolist())) == [(0, 2), (0, 3), (1, 4), (2, 3)]
    crowd = bucket_pairs(np.zeros(BUCKET_MAX + 3, np.uint64)).tolist()
    assert len(crowd) == len({tuple(pair) for pair in crowd}) == 2 * (BUCKET_MAX + 2) - 1
