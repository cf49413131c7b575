"""Calibrated intervals: what they hold on new rows, by band, and that only the calibration rows decide."""

from __future__ import annotations

import numpy as np
import pytest

from components.evaluation.calibration import Calibration, band, calibrate, distances, observed
from tests.support.project import whole

PRICES = np.arange(1000)
GRID = whole(999)


def bell(center: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Distributions over whole dollars of the shape of a bell."""
    density = np.exp(-0.5 * ((PRICES - center[:, None]) / width[:, None]) ** 2)
    return density / density.sum(axis=1, keepdims=True)


def too_bold_and_too_timid(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A model whose spread is half of the true one below 300 dollars and twice the true one above."""
    generator = np.random.default_rng(seed)
    center = generator.uniform(100, 500, rows)
    spread = 0.1 * center
    true = (center + spread * generator.standard_normal(rows)).clip(1, 999)
    return bell(center, spread * np.where(center < 300, 0.5, 2.0)), true


def coverage(calibration: Calibration, distribution: np.ndarray, true: np.ndarray) -> np.ndarray:
    low, high = calibration.interval(distribution, GRID)
    return (true >= low) & (true <= high)


def test_a_bold_and_a_timid_band_both_come_to_hold_the_nominal_share_on_new_rows() -> None:
    fitted = calibrate(*too_bold_and_too_timid(1000, 0), GRID, coverage=0.8, rows_min=250)
    distribution, true = too_bold_and_too_timid(4000, 1)
    own = coverage(Calibration.uncalibrated(0.8), distribution, true)
    calibrated = coverage(fitted, distribution, true)
    cheap = PRICES[distribution.argmax(axis=1)] < 300
    assert own[cheap].mean() < 0.55
    assert own[~cheap].mean() > 0.95
    assert len(fitted.reach) == 4
    for part in (cheap, ~cheap, slice(None)):
        assert 0.76 < calibrated[part].mean() < 0.84


def test_over_many_samples_the_coverage_is_at_least_nominal_and_hardly_more() -> None:
    held = []
    for seed in range(60):
        distribution, true = too_bold_and_too_timid(79, seed)
        fitted = calibrate(distribution[:39], true[:39], GRID, coverage=0.8, rows_min=39)
        held.append(coverage(fitted, distribution[39:], true[39:]).mean())
    # the rounding to whole dollars adds a little to 0.8; four standard errors either side
    assert 0.8 - 4 * 0.012 < np.mean(held) < 0.82 + 4 * 0.012


def test_a_distance_is_how_far_the_interval_has_to_go_and_no_farther() -> None:
    generator = np.random.default_rng(2)
    distribution = generator.dirichlet(np.full(50, 0.5), 200)
    true = generator.uniform(0, 49, 200).round(2)
    reach = distances(distribution, true, whole(49))
    for row in range(200):
        own, price = distribution[row : row + 1], true[row : row + 1]
        assert coverage(Calibration(0.8, [], [reach[row] + 1e-9]), own, price).all()
        assert not coverage(Calibration(0.8, [], [reach[row] - 1e-9]), own, price).any() or reach[row] <= 0


def test_a_price_beyond_the_distribution_needs_all_of_it() -> None:
    assert distances(np.full((1, 10), 0.1), np.array([12.0]), whole(9)).tolist() == pytest.approx([0.5])


def test_too_few_rows_make_one_band_and_the_widest_interval_needed() -> None:
    distribution, true = too_bold_and_too_timid(3, 4)
    fitted = calibrate(distribution, true, GRID, coverage=0.8, rows_min=250)
    assert (fitted.edges, len(fitted.reach)) == ([], 1)
    assert coverage(fitted, distribution, true).all()


def test_a_predicted_price_on_an_edge_belongs_to_the_band_above() -> None:
    assert band([100.0, 200.0], np.array([99.0, 100.0, 200.0, 500.0])).tolist() == [0, 1, 2, 2]


def test_rows_without_an_answer_are_left_out_and_have_no_interval() -> None:
    distribution, true = too_bold_and_too_timid(300, 5)
    silent = distribution.copy()
    silent[:50] = np.nan
    options = {"coverage": 0.8, "rows_min": 250}
    assert calibrate(silent, true, GRID, **options) == calibrate(
        distribution[50:], true[50:], GRID, **options
    )
    low, high = Calibration.uncalibrated(0.8).interval(silent, GRID)
    assert np.isnan([low[:50], high[:50]]).all()
    assert calibrate(np.full((3, 10), np.nan), np.ones(3), whole(9), **options) == Calibration.uncalibrated(
        0.8
    )


def test_what_is_observed_lies_nearer_to_the_nominal_level_once_calibrated() -> None:
    distribution, true = too_bold_and_too_timid(2000, 6)
    half = np.arange(2000) % 2 == 0
    options = {"coverage": 0.8, "rows_min": 250}
    result = observed(distribution, true, np.arange(len(true)), half, GRID, [0.5, 0.8], **options)
    assert [level["nominal"] for level in result["levels"]] == [0.5, 0.8]
    for level in result["levels"]:
        assert abs(level["calibrated"] - level["nominal"]) < 0.04
    second = observed(
        distribution, np.where(half, true, 500.0), np.arange(len(true)), half, GRID, [0.5, 0.8], **options
    )
    assert second["levels"] != result["levels"], "it is the other half that is measured"


def test_the_bands_that_are_observed_hold_every_measured_row_once() -> None:
    distribution, true = too_bold_and_too_timid(2000, 7)
    distribution[1] = np.nan
    half = np.arange(2000) % 2 == 0
    bands = observed(distribution, true, np.arange(len(true)), half, GRID, [], coverage=0.8, rows_min=500)[
        "bands"
    ]
    assert sum(band["n"] for band in bands) == 999
    assert bands[0]["band"].startswith("below")
    assert bands[-1]["band"].endswith("and more")
    for measured in bands:
        assert measured["coverage_low"] < measured["coverage"] < measured["coverage_high"]
        assert 0.75 < measured["coverage"] < 0.85


def test_the_interval_of_what_is_observed_counts_products_and_not_their_rows() -> None:
    distribution, true = too_bold_and_too_timid(600, 8)
    half, products = np.arange(600) % 2 == 0, np.arange(600)
    options = {"coverage": 0.8, "rows_min": 10_000}
    [once] = observed(distribution, true, products, half, GRID, [], **options)["bands"]
    again = np.concatenate([products, products[~half], products[~half]])  # rows that are measured
    [thrice] = observed(distribution[again], true[again], again, half[again], GRID, [], **options)["bands"]
    assert thrice["n"] == 3 * once["n"]
    for end in ("coverage_low", "coverage_high"):
        assert thrice[end] == pytest.approx(once[end], abs=1e-3)
