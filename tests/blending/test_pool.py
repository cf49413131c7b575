"""The logarithmic pool: what it makes of opinions, and which weights it is fitted with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import norm

from components.blending.pool import (
    LEAST,
    fit_shift,
    fit_weights,
    log_loss,
    pool,
    ranked_probability,
    shifted,
)
from components.model.labels import Labels
from tests.support.project import whole

PRICES = 400
GRID = whole(PRICES - 1)


def bells(centres: np.ndarray, width: float) -> np.ndarray:
    """A normal distribution over whole dollars about each centre, (n, PRICES)."""
    masses = norm.pdf(np.arange(PRICES)[None, :], centres[:, None], width)
    return np.asarray(masses / masses.sum(axis=1, keepdims=True))


def opinions(rows: int, seed: int, *widths: float) -> tuple[list[np.ndarray], np.ndarray]:
    """(a reader for each width that errs by it, independently, and knows it; the true prices)."""
    draw = np.random.default_rng(seed)
    true = draw.uniform(100, 300, rows)
    return [bells(true + width * draw.standard_normal(rows), width) for width in widths], true


def error(distribution: np.ndarray, true: np.ndarray) -> float:
    return float(np.abs(GRID.median(distribution) - true).mean())


def test_two_normal_opinions_are_averaged_by_their_precision() -> None:
    pooled = pool([bells(np.array([100.0]), 10.0), bells(np.array([130.0]), 20.0)], np.array([1.0, 1.0]))
    assert pooled.sum() == pytest.approx(1.0)
    assert GRID.median(pooled)[0] == pytest.approx((4 * 100 + 130) / 5, abs=1)


def test_independent_opinions_count_in_full_and_the_pool_beats_the_best_of_them() -> None:
    parts, true = opinions(600, 0, 20.0, 30.0)
    weights = fit_weights(parts, true, GRID, shrinkage=0.0)
    np.testing.assert_allclose(weights, 1.0, atol=0.2)
    fresh, prices = opinions(600, 1, 20.0, 30.0)
    assert error(pool(fresh, weights), prices) < 0.95 * error(fresh[0], prices)


def test_a_part_that_knows_nothing_gets_no_weight_and_costs_nothing() -> None:
    parts, true = opinions(600, 0, 20.0)
    noise = bells(np.random.default_rng(5).uniform(100, 300, 600), 20.0)
    weights = fit_weights([*parts, noise], true, GRID, shrinkage=1.0)
    assert weights[0] == pytest.approx(1.0, abs=0.2)
    assert weights[1] < 0.1
    assert error(pool([*parts, noise], weights), true) < 1.02 * error(parts[0], true)


def test_one_opinion_given_twice_counts_once() -> None:
    [part], true = opinions(600, 0, 20.0)
    weights = fit_weights([part, part], true, GRID, shrinkage=1.0)
    assert weights.sum() == pytest.approx(1.0, abs=0.2)
    assert weights[0] == pytest.approx(weights[1], abs=1e-3)


def score(distribution: np.ndarray, true: np.ndarray) -> float:
    """The continuous ranked probability score of the log price, by its other form: how far draws are from the
    truth, less half of how far they are from each other (Gneiting and Raftery 2007, equation 21).
    """
    logs = np.log(np.maximum(np.arange(PRICES), 1))
    apart = np.abs(logs[:, None] - logs[None, :])
    off = np.abs(logs[None, :] - np.log(np.rint(true))[:, None])
    own = np.einsum("ni,ij,nj->n", distribution, apart, distribution)
    return float(((distribution * off).sum(axis=1) - own / 2).sum())


def test_the_weights_are_those_of_the_lowest_score() -> None:
    parts, true = opinions(200, 3, 15.0, 40.0)
    best = fit_weights(parts, true, GRID, shrinkage=0.0)
    lowest = score(pool(parts, best), true)
    for step in (np.array([0.05, 0.0]), np.array([0.0, 0.05])):
        assert lowest < min(score(pool(parts, best + step), true), score(pool(parts, best - step), true))


def test_a_part_that_knows_how_prices_end_does_not_outweigh_one_that_knows_their_size() -> None:
    """All prices end in 9. One part says so and is far off, the other errs little and has no such habit: by
    likelihood the first would win.
    """
    draw = np.random.default_rng(0)
    true = 10.0 * draw.integers(10, 30, 500) + 9
    ends = np.where(np.arange(PRICES) % 10 == 9, 1.0, 1e-6)
    habit = bells(true + 80 * draw.standard_normal(500), 80.0) * ends
    habit /= habit.sum(axis=1, keepdims=True)
    size = bells(true + 15 * draw.standard_normal(500), 15.0)
    rows, prices = np.arange(500), true.astype(int)
    assert np.log(habit[rows, prices]).sum() > np.log(size[rows, prices]).sum()
    weights = fit_weights([habit, size], true, GRID, shrinkage=0.0)
    assert weights[1] > 0.8
    assert error(pool([habit, size], weights), true) < 1.05 * error(size, true)


def test_few_rows_stay_near_equal_weights_and_none_are_equal() -> None:
    parts, true = opinions(3, 0, 5.0, 90.0)
    free, held = (fit_weights(parts, true, GRID, shrinkage=shrinkage) for shrinkage in (0.0, 100.0))
    assert np.abs(held - 0.5).max() < np.abs(free - 0.5).max()
    np.testing.assert_allclose(held, 0.5, atol=0.1)
    empty = [part[:0] for part in parts]
    np.testing.assert_array_equal(fit_weights(empty, true[:0], GRID, shrinkage=10.0), [0.5, 0.5])


def test_a_silent_part_leaves_the_word_to_the_others_and_no_part_leaves_nothing() -> None:
    spoken = bells(np.array([100.0, 100.0]), 10.0)
    silent = np.full((2, PRICES), np.nan)
    half = spoken.copy()
    half[0] = np.nan
    pooled = pool([spoken, half], np.array([1.0, 1.0]))
    np.testing.assert_allclose(pooled[0], spoken[0], atol=1e-6)
    assert pooled[1].max() > spoken[1].max()
    assert np.isnan(pool([silent, half], np.array([1.0, 1.0]))[0]).all()


def test_no_part_rules_a_price_out_alone() -> None:
    sure = np.zeros((1, PRICES))
    sure[0, 10] = 1.0
    pooled = pool([sure, bells(np.array([200.0]), 5.0)], np.array([0.5, 0.5]))
    assert np.isfinite(pooled).all()
    assert pooled.sum() == pytest.approx(1.0)


def test_a_shifted_distribution_is_that_of_a_price_so_many_times_as_high() -> None:
    before = bells(np.array([50.0, 120.0]), 10.0)
    after = shifted(before, np.log(2.0), GRID)
    np.testing.assert_allclose(after.sum(axis=1), 1.0)
    for level in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(GRID.quantile(after, level), 2 * GRID.quantile(before, level), atol=1.5)
    assert (after >= 0).all()
    np.testing.assert_array_equal(shifted(before, 0.0, GRID), before)
    np.testing.assert_allclose(shifted(after, -np.log(2.0), GRID), before, atol=2e-3)


def test_what_goes_beyond_the_highest_price_stays_there_and_nan_stays_nan() -> None:
    after = shifted(np.vstack([bells(np.array([390.0]), 5.0), np.full((1, PRICES), np.nan)]), 1.0, GRID)
    assert after[0, -1] == pytest.approx(1.0)
    assert np.isnan(after[1]).all()


def test_the_shift_is_what_the_medians_fall_short_of_drawn_towards_none() -> None:
    true = np.linspace(100, 300, 90)
    pooled = bells(true / np.exp(0.2), 3.0)
    assert fit_shift(pooled, true, GRID, shrinkage=0.0) == pytest.approx(0.2, abs=0.01)
    assert fit_shift(pooled, true, GRID, shrinkage=90.0) == pytest.approx(0.1, abs=0.01)
    unknown = np.vstack([pooled, np.full((5, PRICES), np.nan)])
    assert fit_shift(unknown, np.append(true, np.full(5, 9.0)), GRID, shrinkage=0.0) == pytest.approx(
        0.2, abs=0.01
    )
    assert fit_shift(np.full((5, PRICES), np.nan), np.full(5, 9.0), GRID, shrinkage=0.0) == 0.0


FIVE = Labels(tuple("abcde"))


def guesses(rows: int, seed: int, *strengths: float) -> tuple[list[np.ndarray], np.ndarray]:
    """(a reader for each strength, that sees the true label so many standard deviations above the others,
    independently, and knows it; the true labels).
    """
    draw = np.random.default_rng(seed)
    true = draw.integers(0, 5, rows)
    parts = []
    for strength in strengths:
        seen = draw.standard_normal((rows, 5)) + strength * np.eye(5)[true]
        parts.append(softmax(strength * seen, axis=1))
    return parts, true.astype(float)


def label_loss(distribution: np.ndarray, true: np.ndarray) -> float:
    return float(-np.log(distribution[np.arange(len(true)), true.astype(int)]).mean())


@pytest.mark.parametrize("weights", [[0.5, 0.5, 0.0], [0.1, 1.3, 0.4], [2.0, 0.7, 1.0]])
@pytest.mark.parametrize("kind", ["number", "label"])
def test_the_slope_of_a_score_is_that_of_finite_differences(kind: str, weights: list[float]) -> None:
    if kind == "label":
        parts, true = guesses(40, 0, 0.3, 1.0, 2.0)
        score_of, answers = log_loss, FIVE
    else:
        parts, true = opinions(40, 0, 10.0, 20.0, 60.0)
        true, score_of, answers = np.rint(true), ranked_probability, GRID
    logs = np.log(np.maximum(np.stack(parts), LEAST))
    loss = score_of(logs, true, answers)  # type: ignore[operator]
    at, step = np.array(weights), 1e-5
    value, slope = loss(at)
    moved = [(loss(at + step * each)[0] - loss(at - step * each)[0]) / (2 * step) for each in np.eye(3)]
    np.testing.assert_allclose(slope, moved, rtol=1e-4, atol=1e-6)
    if kind == "label":
        assert value == pytest.approx(40 * label_loss(pool(parts, at), true))


def test_independent_guesses_at_labels_count_in_full_and_the_better_one_more() -> None:
    """What each sees is evidence that adds up: its own probabilities to the power of one."""
    parts, true = guesses(4000, 1, 1.5, 0.7)
    weights = fit_weights(parts, true, FIVE, shrinkage=0.0)
    np.testing.assert_allclose(weights, 1.0, atol=0.15)
    timid = parts[0] ** 0.2
    better, worse = fit_weights([parts[0], parts[1] * 0 + 0.2], true, FIVE, shrinkage=2.0)
    assert better == pytest.approx(1.0, abs=0.1)
    assert worse < 0.6, "one that knows nothing changes nothing, and is held near its equal share"
    sharpened = fit_weights([timid / timid.sum(axis=1, keepdims=True)], true, FIVE, shrinkage=0.0)
    assert sharpened[0] == pytest.approx(5.0, rel=0.1)
    fresh, labels = guesses(4000, 2, 1.5, 0.7)
    assert label_loss(pool(fresh, weights), labels) < 0.97 * label_loss(fresh[0], labels)


def test_a_guess_that_misleads_gets_no_weight_and_the_better_of_two_gets_it() -> None:
    parts, true = guesses(800, 3, 1.5)
    misleading = np.roll(parts[0], 1, axis=1)
    weights = fit_weights([misleading, parts[0]], true, FIVE, shrinkage=1.0)
    assert weights[0] < 0.1
    assert weights[1] > 0.9


def test_the_weights_of_labels_are_those_of_the_lowest_log_loss_and_silence_is_no_opinion() -> None:
    parts, true = guesses(300, 4, 1.0, 1.8)
    parts[0][:100] = np.nan
    best = fit_weights(parts, true, FIVE, shrinkage=0.0)
    lowest = label_loss(pool(parts, best), true)
    for step in (np.array([0.05, 0.0]), np.array([0.0, 0.05])):
        aside = (label_loss(pool(parts, best + sign * step), true) for sign in (-1, 1))
        assert lowest < min(aside)
    few, equal = (
        fit_weights([p[:rows] for p in parts], true[:rows], FIVE, shrinkage=50.0) for rows in (3, 0)
    )
    np.testing.assert_allclose(few, 0.5, atol=0.1)
    np.testing.assert_array_equal(equal, [0.5, 0.5])
