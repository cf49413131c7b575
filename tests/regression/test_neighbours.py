"""What the nearest training listings cost, and that they can be kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.core.errors import PricewrightError
from components.regression.neighbours import NUMBERS, WORDS, Neighbours, fit_neighbours, widths
from tests.support.project import whole

OPTIONS: dict[str, Any] = {"vocabulary": 500, "number": 5, "temperature": 0.05, "seed": 1}


def sample(kinds: int, each: int, seed: int) -> tuple[list[str], np.ndarray, list[str]]:
    """(texts, logarithms of prices, products): `each` listings of every kind, whose price, from 10 to 1,000
    dollars, they have within a tenth.
    """
    draw = np.random.default_rng(seed)
    names = [f"maker{kind % 7} model{kind} series{kind % 3}" for kind in range(kinds)]
    levels = np.random.default_rng(0).uniform(np.log(10), np.log(1000), kinds)
    texts = [f"{name} colour{draw.integers(9)}" for name in names for _ in range(each)]
    prices = np.repeat(levels, each) + 0.1 * draw.standard_normal(kinds * each)
    return texts, prices, [f"p{row}" for row in range(kinds * each)]


@pytest.fixture(scope="module")
def fitted() -> Neighbours:
    return fit_neighbours(*sample(60, 5, 1), **OPTIONS)


def test_a_listing_costs_what_the_like_of_it_costs_whatever_its_makers_others_do(fitted: Neighbours) -> None:
    texts, prices, _ = sample(60, 2, 2)
    assert np.abs(fitted.predict(texts) - prices).mean() < 0.15
    blind = replace(fitted, temperature=1e6, number=300)
    assert np.abs(blind.predict(texts) - prices).mean() > 0.9


def test_it_is_the_mean_weighted_by_nearness() -> None:
    texts, prices = ["oak lamp", "oak table", "steel fan"], np.log([10.0, 40.0, 90.0])
    near = fit_neighbours(texts, prices, range(3), **OPTIONS | {"number": 2, "temperature": 0.5})
    nearness = (near._tfidf(["oak lamp"]) @ near.listings.T).toarray()[0]
    weights = np.exp(nearness[:2] / 0.5)
    expected = (weights * np.log([10, 40])).sum() / weights.sum()
    assert near.predict(["oak lamp"])[0] == pytest.approx(expected)


def test_without_a_word_in_common_it_answers_the_mean_of_all_as_wide_as_it_gets(fitted: Neighbours) -> None:
    _, prices, _ = sample(60, 5, 1)
    assert fitted.predict(["entirely otherwise"])[0] == pytest.approx(prices.mean())


def test_the_farther_the_nearest_the_wider_and_the_interval_holds_what_it_says() -> None:
    """Every fourth listing is like no other, and what it costs is nowhere to be read."""
    texts, prices, products = sample(400, 2, 3)
    odd = [row % 4 == 3 for row in range(800)]
    texts = [f"odd{row}a odd{row}b" if odd[row] else text for row, text in enumerate(texts)]
    near = fit_neighbours(texts[:600], prices[:600], products[:600], **OPTIONS | {"vocabulary": 5000})
    assert near.deviations[0] > 2 * near.deviations[-1]
    distribution = near.distribution(texts[:600], whole(1999))
    np.testing.assert_allclose(distribution.sum(axis=1), 1.0)
    unseen = [f"new{row}a new{row}b" for row in range(150)]
    distribution = near.distribution(unseen, whole(1999))
    low, high = (whole(1999).quantile(distribution, level) for level in (0.1, 0.9))
    dollars = np.exp(prices[450:600])
    held = np.mean((low <= dollars) & (dollars <= high))
    assert held == pytest.approx(0.8, abs=0.1)


def test_a_listings_own_product_tells_nothing_of_how_wide_the_errors_are() -> None:
    """Copies of one product cost the same, other products anything: copies would say that no width is due."""
    draw = np.random.default_rng(5)
    texts = [f"lamp number{row // 2} oak" for row in range(200)]
    prices = np.repeat(draw.uniform(2, 6, 100), 2)
    products = [f"p{row // 2}" for row in range(200)]
    assert fit_neighbours(texts, prices, products, **OPTIONS).deviations.min() > 0.5
    assert fit_neighbours(texts, prices, range(200), **OPTIONS).deviations.min() < 0.3


def test_widths_are_of_the_errors_between_quantiles_of_nearness() -> None:
    nearness = np.linspace(0, 1, 1001)
    edges, deviations = widths(nearness, np.where(nearness > 0.8, 0.1, 0.5))
    np.testing.assert_allclose(edges, [0.2, 0.4, 0.6, 0.8, 0.9])
    np.testing.assert_allclose(deviations, [0.5, 0.5, 0.5, 0.5, 0.1, 0.1], atol=0.01)


def test_what_is_saved_predicts_the_same_and_is_no_pickle(fitted: Neighbours, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [WORDS, NUMBERS]
    texts, _, _ = sample(60, 1, 3)
    loaded = Neighbours.load(tmp_path)
    np.testing.assert_array_equal(
        loaded.distribution(texts, whole(1999)), fitted.distribution(texts, whole(1999))
    )


@pytest.mark.parametrize("name", [WORDS, NUMBERS])
def test_a_missing_part_is_an_error_that_names_it(fitted: Neighbours, tmp_path: Path, name: str) -> None:
    fitted.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(PricewrightError, match=rf"holds no whole regression: .*{name} is missing"):
        Neighbours.load(tmp_path)


def test_an_index_of_another_catalogue_is_refused(fitted: Neighbours, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    fit_neighbours(*sample(6, 3, 1), **OPTIONS).save(tmp_path / "other")
    (tmp_path / WORDS).write_bytes((tmp_path / "other" / WORDS).read_bytes())
    with pytest.raises(PricewrightError, match="are of two catalogues"):
        Neighbours.load(tmp_path)


def test_few_rows_equal_texts_and_equal_prices_are_answered_all_the_same() -> None:
    texts, prices, products = sample(10, 1, 0)
    for data in (
        (texts[:2], prices[:2], products[:2]),
        (["same"] * 10, prices, products),
        (texts, np.full(10, np.log(49.0)), products),
        (texts, prices, ["one"] * 10),
    ):
        near = fit_neighbours(*data, **OPTIONS)
        assert np.isfinite(near.predict([*texts, ""])).all()
        assert np.isfinite(near.distribution(texts, whole(99))).all()
