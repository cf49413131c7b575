"""The two-sample tests: p-values that hold, effects that say how much, details that say what."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from components.monitoring.two_samples import classes, components, numbers, principal_components


def test_numbers_are_compared_as_scipy_does_and_missing_ones_do_not_count() -> None:
    rng = np.random.default_rng(0)
    before, now = rng.normal(size=300), rng.normal(0.5, 1, size=80)
    shift = numbers(np.append(before, np.nan), np.append(now, [np.nan, np.nan]))
    exact = stats.ks_2samp(before, now, method="exact")
    assert shift.effect == pytest.approx(exact.statistic)
    assert shift.p == pytest.approx(exact.pvalue, rel=0.3)
    assert numbers(before, np.full(5, np.nan)).p == 1.0


def test_a_class_is_compared_by_fishers_exact_test_and_the_one_that_moved_is_named() -> None:
    before, now = np.array(["a"] * 90 + ["b"] * 10), np.array(["a"] * 20 + ["b"] * 20)
    shift = classes(before, now)
    greater = stats.fisher_exact([[20, 20], [10, 90]], alternative="greater").pvalue
    assert shift.p == pytest.approx(4 * greater)  # two classes, two sides
    assert shift.effect == pytest.approx(0.4)
    assert shift.detail.startswith(("a: 50%, 90%", "b: 50%, 10%"))


def test_a_class_that_was_never_seen_before_counts() -> None:
    before, now = np.array(["a", "b"] * 500), np.array(["a", "b"] * 40 + ["c"] * 20)
    shift = classes(before, now)
    assert shift.p < 1e-12
    assert shift.detail == "c: 20%, 0% before"


def test_p_values_of_equal_samples_are_no_smaller_than_chance_makes_them() -> None:
    rng, runs = np.random.default_rng(1), 400
    weights = [0.5, 0.3, 0.15, 0.04, 0.01]
    small = {"numbers": 0, "classes": 0, "components": 0}
    for _ in range(runs):
        drawn = [rng.choice(5, size, p=weights).astype(str) for size in (400, 60)]
        vectors = [rng.normal(size=(size, 6)) for size in (400, 60)]
        small["numbers"] += numbers(vectors[0][:, 0].round(1), vectors[1][:, 0].round(1)).p <= 0.05
        small["classes"] += classes(*drawn).p <= 0.05
        small["components"] += components(*vectors).p <= 0.05
    assert max(small.values()) <= stats.binom.isf(1e-4, runs, 0.05)
    assert small["numbers"] > 0


def test_nothing_is_said_of_no_rows() -> None:
    nothing = np.array([])
    assert numbers(nothing, np.ones(3)).p == 1.0
    assert classes(np.array(["a"]), nothing.astype(str)).p == 1.0
    assert components(np.ones((4, 2)), np.ones((0, 2))).p == 1.0


def test_principal_components_are_those_that_vary_most_each_with_deviation_1() -> None:
    rng = np.random.default_rng(2)
    states = rng.normal(size=(500, 4)) * [10, 0, 1, 0.1] + 7
    middle, directions = principal_components(states, 3)
    projected = (states - middle) @ directions
    assert directions.shape == (4, 3)
    assert np.abs(directions[:, 0]).argmax() == 0
    assert projected.std(axis=0, ddof=1) == pytest.approx(1.0)


def test_a_shift_of_one_component_is_found_among_others() -> None:
    rng = np.random.default_rng(3)
    before, now = rng.normal(size=(500, 8)), rng.normal(size=(100, 8))
    now[:, 5] += 1.5
    shift = components(before, now)
    assert shift.p < 1e-8
    assert shift.detail.startswith("component 6: median")
