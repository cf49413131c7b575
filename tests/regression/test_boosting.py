"""The boosted trees that know the hidden states of the untuned base, and that they can be kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.core.errors import PricewrightError
from components.regression.boosting import NUMBERS, TREES, WORDS, HiddenStatesBoosting, fit_boosting
from components.regression.ridge import product_folds
from tests.support.project import whole

OPTIONS: dict[str, Any] = {
    "vocabulary": 50,
    "reduced": 4,
    "quantities": 5,
    "components": 2,
    "iterations": 60,
    "seed": 1,
}
COLOURS = np.array(["red", "green", "blue"])
Sample = tuple[list[str], np.ndarray, np.ndarray, np.ndarray]


def sample(rows: int, seed: int) -> Sample:
    """(texts, readings, states, prices), readings and prices as logarithms: red things cost twice what the
    base says, those of over 5 kg four times as much, those whose first state is above 0 half as much again;
    the noise is 0.1.
    """
    draw = np.random.default_rng(seed)
    colours, readings, weights = (
        draw.choice(COLOURS, rows),
        draw.uniform(30, 100, rows),
        draw.uniform(1, 9, rows),
    )
    states = draw.uniform(-1, 1, (rows, 2))
    factors = np.where(colours == "red", 2.0, 1.0) * np.where(weights > 5, 4.0, 1.0)
    prices = (
        readings * factors * np.where(states[:, 0] > 0, 1.5, 1.0) * np.exp(0.1 * draw.standard_normal(rows))
    )
    texts = [f"A {colour} thing. Weight: {of:.2f} kg." for colour, of in zip(colours, weights, strict=True)]
    return texts, np.log(readings), states, np.log(prices)


def fit(data: Sample, **options: Any) -> HiddenStatesBoosting:
    return fit_boosting(*data, split=product_folds(range(len(data[0])), 5, 1), **OPTIONS | options)


@pytest.fixture(scope="module")
def fitted() -> HiddenStatesBoosting:
    return fit(sample(1500, 0))


def test_it_learns_from_words_quantities_states_and_the_reading(fitted: HiddenStatesBoosting) -> None:
    *inputs, prices = sample(500, 1)
    errors = fitted.predict(*inputs) - prices
    assert errors.std() == pytest.approx(fitted.deviation, rel=0.2)
    assert errors.std() < 0.16
    texts, readings, states = inputs
    for blind in (
        ([text.replace("red", "blue") for text in texts], readings, states),
        ([text.partition(" Weight")[0] for text in texts], readings, states),
        (texts, np.full(500, np.nan), states),
        (texts, readings, -states),
    ):
        assert (fitted.predict(*blind) - prices).std() > 1.3 * errors.std()


def test_its_distribution_has_its_prediction_as_median_and_holds_what_it_says(
    fitted: HiddenStatesBoosting,
) -> None:
    *inputs, prices = sample(800, 2)
    grid = whole(1999)
    distribution = fitted.distribution(*inputs, grid)
    np.testing.assert_allclose(distribution.sum(axis=1), 1.0)
    assert np.abs(grid.median(distribution) - grid.unscaled(fitted.predict(*inputs))).max() <= 0.51
    low, high = (grid.quantile(distribution, level) for level in (0.1, 0.9))
    inside = (low <= np.exp(prices)) & (np.exp(prices) <= high)
    assert inside.mean() == pytest.approx(0.8, abs=0.06)


def test_a_second_fit_is_the_same_to_the_bit(fitted: HiddenStatesBoosting) -> None:
    assert fit(sample(1500, 0)).trees.model_to_string() == fitted.trees.model_to_string()


def test_what_is_saved_predicts_the_same_and_is_no_pickle(
    fitted: HiddenStatesBoosting, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([TREES, WORDS, NUMBERS])
    *inputs, _ = sample(20, 3)
    loaded = HiddenStatesBoosting.load(tmp_path)
    np.testing.assert_allclose(loaded.predict(*inputs), fitted.predict(*inputs), rtol=1e-12)
    assert loaded.deviation == fitted.deviation


@pytest.mark.parametrize("name", [TREES, WORDS, NUMBERS])
def test_a_missing_part_is_an_error_that_names_it(
    fitted: HiddenStatesBoosting, tmp_path: Path, name: str
) -> None:
    fitted.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(PricewrightError, match=rf"holds no whole regression: .*{name} is missing"):
        HiddenStatesBoosting.load(tmp_path)


def test_parts_of_two_regressions_and_trees_that_are_none_are_refused(
    fitted: HiddenStatesBoosting, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    features = replace(fitted.features, quantities=[])
    replace(fitted, features=features).save(tmp_path / "other")
    whole = (tmp_path / WORDS).read_bytes()
    (tmp_path / WORDS).write_bytes((tmp_path / "other" / WORDS).read_bytes())
    with pytest.raises(PricewrightError, match="are of several regressions"):
        HiddenStatesBoosting.load(tmp_path)
    (tmp_path / WORDS).write_bytes(whole)
    text = (tmp_path / TREES).read_text()
    for cut in ("no trees", text[: len(text) // 2], text[: len(text) * 4 // 5]):
        (tmp_path / TREES).write_text(cut)
        with pytest.raises(PricewrightError, match=rf"{TREES} is no whole model of LightGBM.*dvc repro"):
            HiddenStatesBoosting.load(tmp_path)


def test_the_states_of_another_base_are_refused(fitted: HiddenStatesBoosting) -> None:
    with pytest.raises(PricewrightError, match=r"2 hidden states .* is given 3: it belongs to another base"):
        fitted.predict(["A red thing"], np.log([20.0]), np.zeros((1, 3)))


def test_few_rows_missing_readings_equal_states_and_equal_prices_are_answered_all_the_same() -> None:
    texts, readings, states, prices = sample(60, 0)
    flat, unread = np.ones((60, 2)), np.full(60, np.nan)
    for data in (
        (texts, unread, states, prices),
        (texts, readings, flat, prices),
        (["same"] * 60, readings, states, np.full(60, np.log(49.0))),
        tuple(each[:3] for each in (texts, readings, states, prices)),
    ):
        regression = fit(data)
        assert np.isfinite(regression.predict(texts, unread, states)).all()
    equal = fit((texts, readings, flat, np.full(60, np.log(49.0))))
    distribution = equal.distribution(texts, readings, flat, whole(99))
    assert set(whole(99).median(distribution)) == {49.0}
