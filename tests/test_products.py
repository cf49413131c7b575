from __future__ import annotations

import time
from itertools import combinations
from random import Random

import numpy as np
import pytest

from components.params import Shares
from components.products import allocate, numbers, products_of, similar_pairs, words

SHARES = Shares(train=0.64, preference=0.1, validation=0.13, test=0.13)


def shingles(text: str) -> set[tuple[str, ...]]:
    said = words(text)
    return {tuple(said[at : at + 3]) for at in range(max(1, len(said) - 2))}


def test_similar_pairs_are_those_of_the_definition() -> None:
    rng = Random(1)
    texts = [
        " ".join(rng.choices(["oak", "red", "lamp", "desk", "big"], k=rng.randint(1, 9))) for _ in range(60)
    ]
    for similarity in (0.2, 0.5, 0.8):
        expected = [
            [first, second]
            for second in range(60)
            for first in range(second)
            if len(shingles(texts[first]) & shingles(texts[second]))
            >= similarity * len(shingles(texts[first]) | shingles(texts[second]))
        ]
        assert similar_pairs(texts, similarity).tolist() == expected
        assert expected, "the test compares nothing"


def test_5000_descriptions_with_shared_boilerplate_are_compared_within_10_seconds() -> None:
    rng = Random(2)
    boilerplate = "ships within two days from our little shop and returns are accepted for thirty days"
    texts = [
        " ".join([*(f"word{rng.randint(0, 3000)}" for _ in range(40)), boilerplate]) for _ in range(5000)
    ]
    start = time.perf_counter()
    assert len(similar_pairs(texts, 0.8)) == 0
    assert time.perf_counter() - start < 10


def test_no_texts_have_no_pairs() -> None:
    assert similar_pairs([], 0.8).shape == (0, 2)
    assert products_of([], similar_pairs([], 0.8)) == {}


def test_listings_tied_through_others_are_one_product_named_by_its_first_id() -> None:
    pairs = np.array([[0, 1], [1, 3]])
    assert products_of(["d", "b", "c", "a"], pairs) == {"d": "a", "b": "a", "c": "c", "a": "a"}


def test_the_split_hits_the_shares_and_depends_on_the_seed_alone() -> None:
    products = {f"p{number}" for number in range(1000)}
    split_of = allocate(products, SHARES, seed=3)
    counted = {
        split: list(split_of.values()).count(split) for split in ("train", "preference", "validation", "test")
    }
    assert counted == {"train": 640, "preference": 100, "validation": 130, "test": 130}
    assert allocate({*sorted(products)}, SHARES, seed=3) == split_of
    assert allocate(products, SHARES, seed=4) != split_of


@pytest.mark.parametrize("size", [0, 1, 2, 7, 50])
def test_every_product_gets_a_split(size: int) -> None:
    products = {f"p{number}" for number in range(size)}
    assert allocate(products, SHARES, seed=3).keys() == products


def test_numbers_are_the_words_with_a_digit() -> None:
    assert numbers("iPhone 6s 64GB, 4.7-inch, Gold") == {"6s", "64gb", "4", "7"}
    assert not any(a & b for a, b in combinations([numbers("A1"), numbers("B2"), numbers("C3")], 2))
