"""The ridge regression that knows what the untuned base predicts, and that it can be kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.core.errors import PricewrightError
from components.model.distribution import quantile
from components.regression.ridge import NUMBERS, WORDS, RidgeWithBase, fit_ridge, product_folds

OPTIONS = {"vocabulary": 50, "alphas": [0.1, 1.0]}
COLOURS = np.array(["red", "green", "blue"])


def sample(rows: int, seed: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """(texts, readings, prices): red things cost twice what the base says, the noise is 0.1 log dollars."""
    draw = np.random.default_rng(seed)
    colours, readings = draw.choice(COLOURS, rows), draw.uniform(10, 300, rows)
    prices = readings * np.where(colours == "red", 2.0, 1.0) * np.exp(0.1 * draw.standard_normal(rows))
    return [f"A {colour} thing" for colour in colours], readings, prices


@pytest.fixture(scope="module")
def fitted() -> RidgeWithBase:
    return fit_ridge(*sample(400, 0), split=product_folds(range(400), 5, 1), **OPTIONS)


def test_it_learns_what_a_word_adds_to_the_reading_and_how_wide_its_errors_are(fitted: RidgeWithBase) -> None:
    texts, readings, prices = sample(200, 1)
    errors = np.log(fitted.predict(texts, readings) / prices)
    assert errors.std() == pytest.approx(0.1, rel=0.15)
    assert fitted.deviation == pytest.approx(0.1, rel=0.15)
    assert fitted.slope == pytest.approx(1.0, abs=0.03)


def test_its_distribution_has_its_prediction_as_median_and_holds_what_it_says(fitted: RidgeWithBase) -> None:
    texts, readings, prices = sample(800, 2)
    distribution = fitted.distribution(texts, readings, price_max=999)
    np.testing.assert_allclose(distribution.sum(axis=1), 1.0)
    assert np.abs(quantile(distribution, 0.5) - fitted.predict(texts, readings)).max() <= 0.51
    inside = (quantile(distribution, 0.1) <= prices) & (prices <= quantile(distribution, 0.9))
    assert inside.mean() == pytest.approx(0.8, abs=0.05)


def test_a_price_beyond_the_highest_is_the_highest(fitted: RidgeWithBase) -> None:
    distribution = fitted.distribution(["A red thing"], np.array([5000.0]), price_max=999)
    assert quantile(distribution, 0.5)[0] == 999


def test_what_is_saved_predicts_the_same_and_is_no_pickle(fitted: RidgeWithBase, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [WORDS, NUMBERS]
    texts, readings, _ = sample(20, 3)
    loaded = RidgeWithBase.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(texts, readings), fitted.predict(texts, readings))
    assert loaded.deviation == fitted.deviation


@pytest.mark.parametrize("name", [WORDS, NUMBERS])
def test_a_missing_part_is_an_error_that_names_it(fitted: RidgeWithBase, tmp_path: Path, name: str) -> None:
    fitted.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(PricewrightError, match=rf"holds no whole ridge regression: .*{name} is missing"):
        RidgeWithBase.load(tmp_path)


def test_words_and_weights_of_two_regressions_are_refused(fitted: RidgeWithBase, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    (tmp_path / WORDS).write_text('["red"]')
    with pytest.raises(PricewrightError, match="are of two ridge regressions"):
        RidgeWithBase.load(tmp_path)


def test_a_reading_that_is_missing_is_answered_all_the_same() -> None:
    texts, readings, prices = sample(60, 0)
    for gaps in (np.full(60, np.nan), np.where(np.arange(60) % 2, readings, np.nan)):
        ridge = fit_ridge(texts, gaps, prices, split=product_folds(range(60), 5, 1), **OPTIONS)
        assert np.isfinite(ridge.predict(texts, np.full(60, np.nan))).all()


def test_equal_prices_leave_a_width() -> None:
    texts, readings, _ = sample(60, 0)
    ridge = fit_ridge(texts, readings, np.full(60, 49.0), split=product_folds(range(60), 5, 1), **OPTIONS)
    distribution = ridge.distribution(texts, readings, price_max=99)
    np.testing.assert_allclose(distribution.sum(axis=1), 1.0)
    assert set(quantile(distribution, 0.5)) == {49.0}


def test_folds_hold_whole_products_and_are_no_more_than_these() -> None:
    products = np.array([f"p{row // 4}" for row in range(40)])
    for fitted_on, predicted in product_folds(products, 5, 0):
        assert not set(products[fitted_on]) & set(products[predicted])
    rows = np.concatenate([predicted for _, predicted in product_folds(products, 5, 0)])
    assert sorted(rows) == list(range(40))
    assert len(product_folds(["a", "a", "b"], 5, 0)) == 2
