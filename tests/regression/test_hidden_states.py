"""The ridge regression that knows the hidden states of the untuned base, and that it can be kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge

from components.core.errors import PricewrightError
from components.regression.hidden_states import NUMBERS, WORDS, HiddenStatesRidge, fit_hidden_states
from components.regression.ridge import Folds, product_folds
from tests.support.project import whole

OPTIONS = {
    "depths": [0.5, 1.0],
    "vocabulary": 50,
    "quantities": 5,
    "landmarks": 60,
    "alphas": [0.001, 0.01, 0.1, 1.0],
    "count_weights": [1.0],
    "seed": 1,
}
COLOURS = np.array(["red", "green", "blue"])
Sample = tuple[list[str], np.ndarray, np.ndarray, np.ndarray]


def sample(rows: int, seed: int) -> Sample:
    """(texts, readings, states, prices), readings and prices as logarithms: red things cost twice what the
    base says, those whose two states have one sign half as much again; the noise is 0.1.
    """
    draw = np.random.default_rng(seed)
    colours, readings = draw.choice(COLOURS, rows), draw.uniform(10, 300, rows)
    states = draw.uniform(-1, 1, (rows, 2))
    factors = np.where(colours == "red", 2.0, 1.0) * np.where(states.prod(axis=1) > 0, 1.5, 1.0)
    prices = readings * factors * np.exp(0.1 * draw.standard_normal(rows))
    return [f"A {colour} thing" for colour in colours], np.log(readings), states, np.log(prices)


def split(rows: int) -> Folds:
    return product_folds(range(rows), 5, 1)


@pytest.fixture(scope="module")
def fitted() -> HiddenStatesRidge:
    return fit_hidden_states(*sample(800, 0), split=split(800), **OPTIONS)


def test_it_learns_what_words_and_states_add_to_the_reading(fitted: HiddenStatesRidge) -> None:
    """A product of two states is nothing that a line could follow."""
    *inputs, prices = sample(300, 1)
    errors = fitted.predict(*inputs) - prices
    assert errors.std() == pytest.approx(fitted.deviation, rel=0.25)
    assert errors.std() < 0.17, "0.22 is left where the states say nothing"
    assert fitted.slope == pytest.approx(1.0, abs=0.05)
    blind = fitted.predict(inputs[0], inputs[1], np.zeros_like(inputs[2]))
    assert (blind - prices).std() > 0.2


def test_it_learns_that_twice_the_weight_costs_twice_as_much_in_whatever_unit() -> None:
    draw = np.random.default_rng(0)
    pounds, flat = draw.uniform(1, 20, 400), np.ones((400, 2))
    texts = [
        f"Weight: {16 * each:.1f} oz." if row % 2 else f"Weight: {each:.2f} lb."
        for row, each in enumerate(pounds)
    ]
    options = {**OPTIONS, "vocabulary": 1}
    ridge = fit_hidden_states(
        texts, np.full(400, np.nan), flat, np.log(10 * pounds), split=split(400), **options
    )
    predicted = ridge.predict(texts, np.full(400, np.nan), flat)
    assert np.abs(predicted - np.log(10 * pounds)).mean() < 0.05, (
        "0.3 is left where only the length of the text is read"
    )


def test_counts_get_the_weight_that_predicts_best() -> None:
    """Forty words that each multiply the price, many at once: TF-IDF divides by how many there are."""
    draw = np.random.default_rng(2)
    worth, there = 0.3 * draw.standard_normal(40), draw.random((500, 40)) < 0.5
    texts = [" ".join(f"word{each}" for each in np.flatnonzero(row)) for row in there]
    prices = np.log(50) + there @ worth + 0.05 * draw.standard_normal(500)
    options = {**OPTIONS, "alphas": [1.0]}
    unread, flat = np.full(500, np.nan), np.ones((500, 2))
    widths = [
        fit_hidden_states(
            texts, unread, flat, prices, split=split(500), **{**options, "count_weights": weights}
        ).deviation
        for weights in ([1.0], [10.0], [1.0, 10.0])
    ]
    assert widths[2] == widths[1] < 0.5 * widths[0]


def test_it_is_the_ridge_on_the_kernel_in_the_approximation_of_scikit_learn() -> None:
    *_, states, prices = sample(800, 0)
    quiet = {**OPTIONS, "vocabulary": 1, "alphas": [0.1]}
    ours = fit_hidden_states(["same"] * 800, np.full(800, np.nan), states, prices, split=split(800), **quiet)
    scaled = (states - states.mean(axis=0)) / states.std(axis=0)
    kernel = Nystroem(gamma=ours.gamma, n_components=60, random_state=1).fit_transform(scaled)
    theirs = Ridge(0.1).fit(sparse.csr_matrix(kernel), prices).predict(kernel)
    predicted = ours.predict(["same"] * 800, np.full(800, np.nan), states)
    np.testing.assert_allclose(predicted, theirs, atol=1e-3)


def test_its_distribution_has_its_prediction_as_median_and_holds_what_it_says(
    fitted: HiddenStatesRidge,
) -> None:
    *inputs, prices = sample(800, 2)
    grid = whole(999)
    distribution = fitted.distribution(*inputs, grid)
    np.testing.assert_allclose(distribution.sum(axis=1), 1.0)
    predicted = grid.unscaled(fitted.predict(*inputs))
    assert np.abs(grid.median(distribution) - predicted).max() <= 0.51
    low, high = (grid.quantile(distribution, level) for level in (0.1, 0.9))
    inside = (low <= np.exp(prices)) & (np.exp(prices) <= high)
    assert inside.mean() == pytest.approx(0.8, abs=0.06)


def test_what_is_saved_predicts_the_same_and_is_no_pickle(fitted: HiddenStatesRidge, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [WORDS, NUMBERS]
    *inputs, _ = sample(20, 3)
    loaded = HiddenStatesRidge.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(*inputs), fitted.predict(*inputs))
    assert (loaded.deviation, loaded.depths) == (fitted.deviation, fitted.depths)


@pytest.mark.parametrize("name", [WORDS, NUMBERS])
def test_a_missing_part_is_an_error_that_names_it(
    fitted: HiddenStatesRidge, tmp_path: Path, name: str
) -> None:
    fitted.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(PricewrightError, match=rf"holds no whole regression: .*{name} is missing"):
        HiddenStatesRidge.load(tmp_path)


def test_words_and_weights_of_two_regressions_are_refused(fitted: HiddenStatesRidge, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    replace(fitted, terms=replace(fitted.terms, words=["red"]), weights=np.ones(1)).save(tmp_path / "other")
    (tmp_path / WORDS).write_bytes((tmp_path / "other" / WORDS).read_bytes())
    with pytest.raises(PricewrightError, match="are of two ridge regressions"):
        HiddenStatesRidge.load(tmp_path)


def test_the_states_of_another_base_are_refused(fitted: HiddenStatesRidge) -> None:
    with pytest.raises(PricewrightError, match=r"2 hidden states .* is given 3: it belongs to another base"):
        fitted.predict(["A red thing"], np.log([20.0]), np.zeros((1, 3)))


def test_missing_readings_equal_states_and_equal_prices_are_answered_all_the_same() -> None:
    texts, readings, states, prices = sample(60, 0)
    for gaps in (np.full(60, np.nan), np.where(np.arange(60) % 2, readings, np.nan)):
        ridge = fit_hidden_states(texts, gaps, states, prices, split=split(60), **OPTIONS)
        assert np.isfinite(ridge.predict(texts, np.full(60, np.nan), states)).all()
    flat = fit_hidden_states(
        texts, readings, np.ones((60, 2)), np.full(60, np.log(49.0)), split=split(60), **OPTIONS
    )
    distribution = flat.distribution(texts, readings, np.ones((60, 2)), whole(99))
    np.testing.assert_allclose(distribution.sum(axis=1), 1.0)
    assert set(whole(99).median(distribution)) == {49.0}
