"""Sets of labels: that they hold what they promise on new rows, and what they are made of."""

from __future__ import annotations

import numpy as np
import pytest

from components.evaluation.label_sets import SetCalibration, calibrate_sets, columns, observed
from components.model.labels import Labels

ABCD = Labels(("a", "b", "c", "d"))
NAN = float("nan")


def too_sure(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A model that says its own probabilities to the power of three, and the labels drawn from the true
    ones.
    """
    draw = np.random.default_rng(seed)
    real = draw.dirichlet(np.ones(4), rows)
    true = (draw.random(rows)[:, None] > real.cumsum(axis=1)).sum(axis=1).astype(float)
    sharp = real**3
    return sharp / sharp.sum(axis=1, keepdims=True), true


def held(calibration: SetCalibration, distribution: np.ndarray, true: np.ndarray) -> float:
    return float(columns(calibration, distribution, true)["held"].mean())


@pytest.mark.parametrize("coverage", [0.6, 0.8, 0.95])
def test_over_many_samples_the_coverage_is_at_least_the_promise_and_hardly_more(coverage: float) -> None:
    """Of m calibration rows split conformal sets hold between the promise and 1 / (m + 1) more of what is
    drawn alike, whatever the model; here m is 99.
    """
    shares = []
    for seed in range(300):
        distribution, true = too_sure(199, seed)
        fitted = calibrate_sets(distribution[:99], true[:99], ABCD, coverage=coverage)
        shares.append(held(fitted, distribution[99:], true[99:]))
    error = 4 * np.std(shares) / np.sqrt(len(shares))
    assert coverage - error < np.mean(shares) < coverage + 0.01 + error
    distribution, true = too_sure(20_000, 999)
    assert held(SetCalibration.uncalibrated(0.95), distribution, true) < 0.7, "what the sure model gives"


def test_the_threshold_is_what_all_but_the_unlikeliest_true_labels_reach() -> None:
    own = np.arange(1, 10) / 10  # given to the true label by nine rows
    distribution = np.column_stack([own, 1 - own, np.zeros(9), np.zeros(9)])
    true = np.zeros(9)
    assert calibrate_sets(distribution, true, ABCD, coverage=0.8).threshold == pytest.approx(0.2)
    assert calibrate_sets(distribution, true, ABCD, coverage=0.5).threshold == pytest.approx(0.5)
    assert calibrate_sets(distribution, true, ABCD, coverage=0.9).threshold == pytest.approx(0.1)


def test_with_too_few_rows_for_the_promise_every_possible_label_is_in_the_set() -> None:
    distribution = np.array([[0.7, 0.2, 0.1, 0.0]] * 3)
    fitted = calibrate_sets(distribution, np.zeros(3), ABCD, coverage=0.9)
    assert fitted.threshold == 0.0
    assert fitted.sets(distribution)[0].tolist() == [True, True, True, False]


def test_a_set_has_every_label_from_the_threshold_on_and_always_the_likeliest() -> None:
    distribution = np.array([[0.5, 0.3, 0.2, 0.0], [0.3, 0.3, 0.2, 0.2], [0.1, 0.1, 0.1, 0.7], [NAN] * 4])
    assert SetCalibration(0.8, 0.3).sets(distribution).tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False, False, False, True],
        [False] * 4,
    ]
    assert SetCalibration.uncalibrated(0.8).sets(distribution).sum(axis=1).tolist() == [1, 2, 1, 0]


def test_a_row_is_in_the_set_by_its_own_threshold_though_files_round_it() -> None:
    distribution, true = too_sure(500, 3)
    fitted = calibrate_sets(distribution, true, ABCD, coverage=0.8)
    assert round(fitted.threshold, 6) == fitted.threshold
    assert held(fitted, distribution, true) >= np.ceil(501 * 0.8) / 500


def test_rows_without_an_answer_are_left_out_and_hold_nothing() -> None:
    distribution, true = too_sure(200, 0)
    silent = distribution.copy()
    silent[:50] = NAN
    fitted = calibrate_sets(silent, true, ABCD, coverage=0.8)
    assert fitted == calibrate_sets(distribution[50:], true[50:], ABCD, coverage=0.8)
    told = columns(fitted, silent, true)
    assert np.isnan(told["held"][:50]).all()
    assert np.isnan(told["width"][:50]).all()
    assert set(told["held"][50:]) == {0.0, 1.0}
    assert told["width"][50:].min() >= 1
    nothing = calibrate_sets(np.full((5, 4), NAN), np.zeros(5), ABCD, coverage=0.8)
    assert nothing == SetCalibration.uncalibrated(0.8)
    assert calibrate_sets(np.empty((0, 4)), np.empty(0), ABCD, coverage=0.8) == nothing


def test_what_is_observed_is_of_the_other_rows_alone() -> None:
    distribution, true = too_sure(4000, 5)
    half, products = np.arange(4000) % 2 == 0, np.arange(4000)
    result = observed(distribution, true, products, half, ABCD, [0.5, 0.8, 0.9], coverage=0.8)
    for level in result["levels"]:
        assert level["calibrated"] == pytest.approx(level["nominal"], abs=0.035)
    for level in result["levels"][1:]:
        assert level["raw"] < level["nominal"] - 0.1, "the sure model promises too much"
    assert sum(band["n"] for band in result["bands"]) == 2000
    assert [band["band"] for band in result["bands"]][:2] == ["1 label", "2 labels"]
    covered = sum(band["n"] * band["coverage"] for band in result["bands"]) / 2000
    assert covered == pytest.approx(result["levels"][1]["calibrated"], abs=1e-3)
    for band in result["bands"]:
        assert band["coverage_low"] <= band["coverage"] <= band["coverage_high"]
    wrong = np.where(half, true, (true + 1) % 4)
    again = observed(distribution, wrong, products, half, ABCD, [], coverage=0.8)["bands"]
    assert [band["n"] for band in again] == [band["n"] for band in result["bands"]], "calibrated as before"
    assert again[0]["coverage"] < 0.5
    assert observed(
        np.full((4, 4), NAN), np.zeros(4), np.arange(4), np.zeros(4, bool), ABCD, [0.5], coverage=0.8
    ) == {"levels": [], "bands": []}


def test_a_model_that_is_honest_holds_what_its_own_probabilities_promise() -> None:
    """The fewest likeliest labels that reach a level hold at least that share, for they overshoot it."""
    draw = np.random.default_rng(1)
    real = draw.dirichlet(np.full(4, 8.0), 4000)
    true = (draw.random(4000)[:, None] > real.cumsum(axis=1)).sum(axis=1).astype(float)
    rows = np.arange(4000), np.arange(4000) < 10
    levels = observed(real, true, *rows, ABCD, [0.3, 0.6, 0.9], coverage=0.8)["levels"]
    for level in levels:
        assert level["nominal"] - 0.02 < level["raw"] <= 1.0
    smallest = np.sort(real, axis=1)[:, ::-1].cumsum(axis=1)
    expected = [np.where(smallest >= level, smallest, 1.0).min(axis=1).mean() for level in (0.3, 0.6, 0.9)]
    np.testing.assert_allclose([level["raw"] for level in levels], expected, atol=0.03)
