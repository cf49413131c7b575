from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binomtest

from components.core.params.curate import Shares
from components.core.schemas import SPLITS
from components.curation.minhash import Neighbours
from components.curation.products import (
    allocate,
    drawn_for_gate,
    draws_of,
    grouped_products,
    numbers,
    products_of,
)

SHARES = Shares(train=0.64, preference=0.1, validation=0.1, gate=0.08, test=0.08)


def test_near_duplicates_through_others_are_one_product_named_by_its_first_listing() -> None:
    neighbours = Neighbours(first=np.array([0, 1, 2, 3, 2]), pairs=np.array([[0, 1], [1, 3]]))
    assert products_of(neighbours).tolist() == [0, 0, 2, 0, 2]
    nothing = Neighbours(np.empty(0, np.int64), np.empty((0, 2), np.int64))
    assert products_of(nothing).tolist() == []


def test_groups_hold_whole_products_of_several_listings_with_their_own_neighbours() -> None:
    neighbours = Neighbours(first=np.array([0, 1, 0, 3, 4, 5, 5]), pairs=np.array([[1, 3], [0, 5]]))
    product = products_of(neighbours)
    [whole] = grouped_products(neighbours, product, 100)
    assert whole.positions.tolist() == [0, 1, 2, 3, 5, 6]
    assert whole.neighbours.first.tolist() == [0, 1, 0, 3, 4, 4]
    assert whole.neighbours.pairs.tolist() == [[1, 3], [0, 4]]
    groups = list(grouped_products(neighbours, product, 1))
    assert [group.positions.tolist() for group in groups] == [[0, 2, 5, 6], [1, 3]]
    assert [group.neighbours.pairs.tolist() for group in groups] == [[[0, 2]], [[0, 1]]]


def splits_of(ids: list[str], seed: int) -> dict[str, int]:
    splits = allocate(np.arange(len(ids)), draws_of(ids, seed), SHARES)
    return dict(zip(ids, splits.tolist(), strict=True))


def test_the_split_depends_on_the_seed_and_the_id_alone_and_holds_the_shares_in_expectation() -> None:
    ids = [f"p{number}" for number in range(4000)]
    splits = splits_of(ids, seed=3)
    for position, split in enumerate(SPLITS):
        count, share = list(splits.values()).count(position), getattr(SHARES, split)
        assert binomtest(count, len(ids), share).pvalue > 0.001, split
    assert splits_of(ids[::-1], seed=3) == splits
    assert splits_of(ids[:90], seed=3) == {id_: splits[id_] for id_ in ids[:90]}
    assert splits_of(ids, seed=4) != splits


def test_a_listing_of_the_gate_falls_to_the_gate_whatever_the_shares() -> None:
    ids = [f"p{number}" for number in range(300)]
    for gate in (0.001, 0.3, 0.9):
        shares = Shares(train=0.02, preference=0.02, validation=0.02, gate=gate, test=0.94 - gate)
        draws = drawn_for_gate(ids, draws_of(ids, 3), frozenset(ids[::2]), shares)
        splits = allocate(np.arange(len(ids)), draws, shares)
        assert {SPLITS[place] for place in splits[::2]} == {"gate"}
        plain = allocate(np.arange(len(ids)), draws_of(ids, 3), shares)
        assert splits[1::2].tolist() == plain[1::2].tolist()


def test_a_product_that_grows_moves_only_to_splits_that_are_held_back_more() -> None:
    """One of k listings is in train as often as all k would be."""
    size, counts = 3000, []
    draws = draws_of([str(position) for position in range(3 * size)], 3)
    before = np.zeros(size, int)
    for listings in (1, 2, 3):
        product = np.tile(np.arange(size), listings)
        splits = allocate(product, draws[: listings * size], SHARES)[:size]
        assert (splits >= before).all()
        counts.append(int((splits == 0).sum()))
        assert binomtest(counts[-1], size, SHARES.train**listings).pvalue > 0.001
        before = splits


@pytest.mark.parametrize("size", [0, 1, 2, 7, 50])
def test_every_listing_gets_the_split_of_its_product(size: int) -> None:
    product = np.arange(size) // 2 * 2
    splits = allocate(product, draws_of([str(position) for position in range(size)], 3), SHARES)
    assert len(splits) == size
    assert (splits == splits[product]).all()


def test_numbers_are_the_words_with_a_digit() -> None:
    assert numbers("iPhone 6s 64GB, 4.7-inch, Gold") == {"6s", "64gb", "4", "7"}
    assert not any(
        left & right for left, right in combinations([numbers("A1"), numbers("B2"), numbers("C3")], 2)
    )
