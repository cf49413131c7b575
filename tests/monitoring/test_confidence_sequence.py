"""The confidence sequence: it errs as often as it says, at all looks together, and it learns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from components.monitoring.confidence_sequence import capital, confidence_sequence

RATE, RUNS, VALUES = 0.05, 400, 1500


def heavy(rng: np.random.Generator, size: int) -> np.ndarray:
    """Values of mean 0 with a long tail, as differences of losses are."""
    return np.clip(10 * rng.standard_t(3, size), -100, 100)


def test_looked_at_after_every_value_it_errs_no_more_often_than_it_says() -> None:
    rng = np.random.default_rng(0)
    erred = sum(
        capital(heavy(rng, VALUES), -100, 100, 0.0, error_rate=RATE).max() >= -np.log(RATE)
        for _ in range(RUNS)
    )
    assert erred <= stats.binom.isf(1e-4, RUNS, RATE)


def test_the_interval_for_one_look_errs_far_more_often_when_it_is_looked_at_after_every_value() -> None:
    rng, erred = np.random.default_rng(0), 0
    for _ in range(RUNS):
        values = heavy(rng, VALUES)
        counts = np.arange(1, VALUES + 1)
        means = values.cumsum() / counts
        errors = np.sqrt(np.maximum((values**2).cumsum() / counts - means**2, 1e-9) / counts)
        erred += (means - stats.norm.isf(RATE) * errors > 0)[30:].any()
    assert erred > 3 * RATE * RUNS


def test_a_mean_above_the_hypothesis_is_found_and_sooner_where_it_is_farther() -> None:
    rng, first = np.random.default_rng(1), {}
    for mean in (2.0, 8.0):
        held = [
            capital(mean + heavy(rng, 4000), -100, 100, 0.0, error_rate=RATE) >= -np.log(RATE)
            for _ in range(20)
        ]
        assert all(gained.any() for gained in held)
        first[mean] = np.median([gained.argmax() for gained in held])
    assert first[8.0] < first[2.0] < 2000


def test_the_ends_are_where_the_capital_reaches_the_inverse_of_the_error_rate() -> None:
    values = heavy(np.random.default_rng(2), 800) + 3
    low, high = confidence_sequence(values, -100, 100, error_rate=RATE)
    assert capital(values, -100, 100, low, error_rate=RATE)[-1] == pytest.approx(-np.log(RATE), abs=1e-6)
    assert capital(-values, -100, 100, -high, error_rate=RATE)[-1] == pytest.approx(-np.log(RATE), abs=1e-6)
    assert low < values.mean() < high


def test_it_grows_narrower_and_mirrors_mirrored_values() -> None:
    values = heavy(np.random.default_rng(3), 4000)
    widths = []
    for count in (100, 1000, 4000):
        low, high = confidence_sequence(values[:count], -100, 100, error_rate=RATE)
        widths.append(high - low)
    assert widths[0] > 2 * widths[1] > 2 * widths[2]
    mirrored = confidence_sequence(-values, -100, 100, error_rate=RATE)
    assert mirrored == pytest.approx((-high, -low))


def test_without_values_nothing_is_known_and_values_outside_the_bounds_count_as_the_bounds() -> None:
    assert confidence_sequence(np.array([]), -5, 7, error_rate=RATE) == (-5, 7)
    far, clipped = np.tile([300.0, -2.0], 50), np.tile([7.0, -2.0], 50)
    assert confidence_sequence(far, -5, 7, error_rate=RATE) == confidence_sequence(
        clipped, -5, 7, error_rate=RATE
    )
