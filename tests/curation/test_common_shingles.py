from __future__ import annotations

from random import Random

import numpy as np
import pyarrow as pa
import pytest

from components.core.errors import PricewrightError
from components.curation.common_shingles import (
    boilerplate,
    compared_shingles,
    rows_with,
    shared_by,
    without,
)
from components.curation.shingles import Ragged, text_shingles
from tests.support.curated import SECTION, curate, listing, table

WORDS = [f"{syllable}{number}" for syllable in ("ka", "lo", "mi", "nu") for number in range(100)]
PARAGRAPH = " ".join(Random("paragraph").choices(WORDS, k=150))


def own(number: int, words: int = 10) -> str:
    return " ".join(Random(number).choices(WORDS, k=words))


@pytest.mark.parametrize("described", [True, False])
def test_listings_with_one_common_paragraph_are_as_many_products(described: bool) -> None:
    """With and without ten words of their own beside its 150; their titles differ."""
    rows = [
        listing(number, description=f"{own(number) if described else ''} {PARAGRAPH}", price="$40")
        for number in range(2000)
    ]
    report = curate(table(rows), SECTION, partition_rows=300).report
    assert sum(report["products"].values()) == 2000
    assert report["largest_product"] == 1


def test_near_duplicates_under_a_common_paragraph_stay_one_product() -> None:
    rows = [
        listing(number, description=f"{own(number % 200)} {PARAGRAPH}", price=f"${10 + number}")
        for number in range(400)
    ]
    report = curate(table(rows), SECTION).report
    assert sum(report["products"].values()) == 200
    assert report["largest_product"] == 2


def test_a_text_that_ties_all_listings_is_named_where_nothing_is_left_to_split() -> None:
    rows = [
        listing(number, description=f"{own(number, 5)} {PARAGRAPH}", price=f"${10 + number}")
        for number in range(300)
    ]
    counted = SECTION.model_copy(update={"common_shingle_share": 1.0})
    with pytest.raises(PricewrightError, match=r"300 of them are one product.*curate\.common_shingle_share"):
        curate(table(rows), counted)


def test_a_listing_is_compared_by_what_is_its_own() -> None:
    texts = pa.array([f"lamp {number} {PARAGRAPH}" for number in range(2)])
    described = pa.array([f"{own(1)} {PARAGRAPH}", PARAGRAPH])
    common = np.unique(text_shingles([PARAGRAPH]).values)
    rows = compared_shingles(texts, described, common)
    first, second = (set(rows.take(np.array([row])).values.tolist()) for row in range(2))
    assert first == set(text_shingles([described[0].as_py()]).values.tolist()) - set(common.tolist())
    assert second == set(text_shingles([texts[1].as_py()]).values.tolist()) - set(common.tolist())
    whole = compared_shingles(texts, described, np.empty(0, np.uint64))
    assert whole.values.tolist() == text_shingles(described).values.tolist()


def test_a_row_of_common_values_alone_stays() -> None:
    rows = Ragged(np.array([1, 2, 1, 1, 3], np.uint64), np.array([0, 2, 4, 5]))
    bare = without(rows, np.array([1], np.uint64))
    assert (bare.values.tolist(), bare.bounds.tolist()) == ([2, 1, 1, 3], [0, 1, 3, 4])


def test_values_are_counted_once_in_a_row() -> None:
    rows = Ragged(np.array([1, 2, 1, 1, 3], np.uint64), np.array([0, 2, 4, 5]))
    assert rows_with(rows, np.array([0, 1, 3, 9], np.uint64)).tolist() == [0, 2, 1, 0]
    assert shared_by(rows, 0.5).tolist() == [1]
    assert shared_by(rows, 0.9).tolist() == []


def test_what_few_listings_share_may_be_one_product() -> None:
    shared = np.array([7, 8], np.uint64)
    assert boilerplate(shared, np.array([99, 100]), 120, 0.5).tolist() == [8]
    assert boilerplate(shared, np.array([99, 100]), 500, 0.5).tolist() == []
