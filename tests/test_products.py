from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from components.minhash import Neighbours
from components.params import Shares
from components.products import allocate, numbers, products_of

SHARES = Shares(train=0.64, preference=0.1, validation=0.13, test=0.13)


def test_listings_tied_through_others_are_one_product_named_by_its_first_id() -> None:
    alike = Neighbours(first=np.array([0, 1, 2, 3, 2]), pairs=np.array([[0, 1], [1, 3]]))
    assert products_of(["d", "b", "f", "a", "e"], alike) == {"d": "a", "b": "a", "f": "e", "a": "a", "e": "e"}
    nothing = Neighbours(np.empty(0, np.int64), np.empty((0, 2), np.int64))
    assert products_of([], nothing) == {}


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
