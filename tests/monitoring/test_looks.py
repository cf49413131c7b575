"""Windows, spending and Holm: how often traffic without change raises an alarm, and what one looks like."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from components.monitoring.looks import Feature, alarms, holm, spent, windows
from components.monitoring.two_samples import numbers


def feature(name: str, reference: np.ndarray, observed: np.ndarray) -> Feature:
    return Feature(name, "test", "effect", reference, observed, numbers)


def test_each_batch_and_each_run_of_2_4_8_batches_is_a_window_once_it_is_whole() -> None:
    bounds = [(window.start, window.stop) for window in windows(459, 100)]
    assert bounds == [(0, 100), (100, 200), (0, 200), (200, 300), (300, 400), (200, 400), (0, 400)]
    assert [window.number for window in windows(459, 100)] == [1, 2, 3, 4, 5, 6, 7]
    assert windows(99, 100) == []


def test_what_is_tested_of_early_rows_does_not_change_when_more_come() -> None:
    for rows in range(0, 3000, 70):
        early = windows(rows, 50)
        assert windows(rows + 1000, 50)[: len(early)] == early


def test_all_windows_together_spend_the_alarm_rate_and_no_more() -> None:
    rates = [spent(number, 0.05) for number in range(1, 20_000)]
    assert rates[0] == 0.025
    assert 0.0499 < sum(rates) < 0.05


def test_holm_compares_the_smallest_with_a_part_and_stops_at_the_first_that_does_not_count() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == pytest.approx([0.05 / 3, 0.0, 0.0, 0.05 / 4])
    assert holm([0.02], 0.05) == [0.05]
    assert holm([], 0.05) == []


def test_traffic_like_the_reference_ever_raises_an_alarm_no_more_often_than_allowed() -> None:
    rng, rate, runs, hits = np.random.default_rng(0), 0.2, 100, 0
    for _ in range(runs):
        features = [feature(name, rng.normal(size=1000), rng.normal(size=1000)) for name in "ab"]
        hits += bool(alarms(features, 1000, 100, rate))
    assert 0 < hits <= stats.binom.isf(1e-4, runs, rate)


def test_a_shift_raises_an_alarm_in_its_own_windows_of_its_own_feature() -> None:
    rng = np.random.default_rng(1)
    shifted = rng.normal(size=800)
    shifted[400:] += 2
    features = [
        feature("steady", rng.normal(size=1000), rng.normal(size=800)),
        feature("moved", rng.normal(size=1000), shifted),
    ]
    raised = alarms(features, 800, 100, 0.05)
    assert {alarm.feature for alarm in raised} == {"moved"}
    assert (raised[0].window.start, raised[0].window.stop) == (400, 500)
    assert all(alarm.shift.p <= alarm.limit for alarm in raised)


def test_a_slight_shift_is_found_by_a_long_window_where_no_batch_shows_it() -> None:
    rng = np.random.default_rng(5)
    moved = feature("moved", rng.normal(size=3000), rng.normal(size=1600) + 0.2)
    raised = alarms([moved], 1600, 50, 0.05)
    assert raised
    assert min(alarm.window.stop - alarm.window.start for alarm in raised) > 50
