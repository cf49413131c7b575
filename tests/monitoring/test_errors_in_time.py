"""Loss and coverage once the truth is known, and an interval made right again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from components.monitoring import errors_in_time
from components.monitoring.looks import Window, compared
from tests.support.project import TASK


def truths(rows: int, seed: int, factor: float = 1.0, off: float = 0.2) -> pd.DataFrame:
    """Answers whose interval would hold 80% of the values if their noise were 0.2; it is `off`."""
    rng = np.random.default_rng(seed)
    predicted = np.exp(rng.normal(3, 0.5, rows))
    reach = np.exp(0.2 * 1.2816)
    table = pd.DataFrame(
        {
            "input": [f"text {number}" for number in range(rows)],
            "predicted": predicted,
            "low": predicted / reach,
            "high": predicted * reach,
            "value": factor * predicted * np.exp(rng.normal(0, off, rows)),
            "truth_time": pd.date_range("2026-01-01", periods=rows, freq="h"),
        }
    )
    return table.assign(held=table["value"].between(table["low"], table["high"]).astype(float))


def p_values(observed: pd.DataFrame) -> dict[str, float]:
    features = errors_in_time.truth_features(truths(800, 0), observed, 0.8, 0.05, TASK)
    return {feature.name: compared(feature, Window(1, 0, len(observed))).p for feature in features}


def test_truths_as_on_held_out_listings_have_not_shifted() -> None:
    assert min(p_values(truths(300, 1)).values()) > 0.01


def test_values_that_rose_by_a_fifth_are_found_and_so_is_the_interval_that_no_longer_holds() -> None:
    found = p_values(truths(300, 1, factor=1.2))
    assert max(found.values()) < 1e-5


def test_an_interval_that_holds_too_much_is_found_as_one_that_holds_too_little() -> None:
    name = "coverage of the interval"
    assert p_values(truths(300, 1, off=0.05))[name] < 1e-5
    assert p_values(truths(300, 1, off=0.5))[name] < 1e-5


def test_a_recalibrated_interval_holds_on_later_truths_what_it_promised() -> None:
    mended = errors_in_time.recalibrated(truths(2000, 2, factor=1.2, off=0.3), 0.8)
    assert mended is not None
    assert mended["before"]["coverage"] < 0.6
    assert mended["after"]["low"] < 0.8 < mended["after"]["high"]
    assert mended["upper"] > 1 > mended["lower"]
    assert mended["fitted_on"] == mended["after"]["rows"] == 1000


def test_an_interval_that_holds_is_recalibrated_by_factors_of_about_1() -> None:
    mended = errors_in_time.recalibrated(truths(4000, 3), 0.8)
    assert mended is not None
    assert (mended["lower"], mended["upper"]) == pytest.approx((1, 1), abs=0.15)
    assert errors_in_time.recalibrated(truths(19, 3), 0.8) is None


def test_periods_have_equal_counts_and_intervals_over_inputs() -> None:
    rows = truths(95, 4)
    periods = errors_in_time.periods(rows, 12, 20, TASK, bootstrap=200, seed=0)
    assert [period["rows"] for period in periods] == [24, 24, 24, 23]
    assert periods[0]["until"] == "2026-01-01T23:00:00"
    loss = (rows["predicted"] - rows["value"]).abs()[:24].mean()
    assert periods[0]["loss"] == pytest.approx(loss, abs=1e-4)
    assert periods[0]["loss_low"] < loss < periods[0]["loss_high"]
    same = errors_in_time.periods(rows.assign(input="one text"), 1, 20, TASK, bootstrap=200, seed=0)
    assert same[0]["loss_low"] == same[0]["loss_high"]  # one input says nothing of others
    assert errors_in_time.periods(rows.head(0), 12, 20, TASK, bootstrap=200, seed=0) == []


def test_an_unreadable_answer_has_no_loss_and_does_not_hold_the_truth() -> None:
    rows = truths(4, 5).assign(value=lambda table: table["predicted"], held=1.0)
    rows.loc[0, ["predicted", "low", "high", "held"]] = np.nan
    [group] = errors_in_time.by_category(rows, np.full(4, "a"), TASK, bootstrap=100, seed=0)
    assert (group["name"], group["loss"], group["coverage"]) == ("a", 0.0, 0.75)
    [nothing] = errors_in_time.by_category(rows.head(1), np.array(["b"]), TASK, bootstrap=100, seed=0)
    assert (nothing["loss"], nothing["coverage"]) == (None, 0.0)


def test_bands_are_named_by_their_ends_and_hold_equal_parts_of_the_reference() -> None:
    rows, chance = truths(9, 6).assign(predicted=np.arange(9.0, 0.0, -1.0)), {"bootstrap": 100, "seed": 0}
    bands = errors_in_time.by_band(rows, np.arange(1.0, 10.0), 3, TASK, **chance)
    assert [band["rows"] for band in bands] == [3, 3, 3]
    assert [band["name"] for band in bands] == ["below 3.667", "3.667 to 6.333", "6.333 and more"]
    [band] = errors_in_time.by_band(rows, np.array([np.nan]), 3, TASK, **chance)
    assert (band["name"], band["rows"]) == ("all values", 9)
