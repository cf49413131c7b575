"""Measures of rewards on pairs, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from components.alignment import reward_quality


def test_pairs_of_unknown_margin_count_overall_and_in_no_quarter() -> None:
    report = reward_quality.quality(np.array([2.0, 0]), np.ones(2), np.array([np.nan, 5]), np.arange(2))
    assert report["accuracy"] == 0.5
    assert [quarter["pairs"] for quarter in report["by_margin"]] == [1]
    assert reward_quality.by_margin(np.array([True]), np.array([np.nan])) == []


def test_accuracy_by_margin_is_that_of_each_quarter() -> None:
    chosen, rejected = np.array([0.0, 2, 2, 2, 2, 2, 2, 2]), np.ones(8)
    report = reward_quality.quality(chosen, rejected, np.arange(8.0), np.arange(8))
    assert report["accuracy"] == 7 / 8
    assert [quarter["accuracy"] for quarter in report["by_margin"]] == [0.5, 1, 1, 1]
    assert [quarter["pairs"] for quarter in report["by_margin"]] == [2, 2, 2, 2]
    assert (report["by_margin"][0]["margin_low"], report["by_margin"][0]["margin_high"]) == (0, 1)


def test_equal_margins_are_one_group_and_equal_rewards_are_wrong() -> None:
    report = reward_quality.quality(np.ones(4), np.ones(4), np.full(4, 9.0), np.arange(4))
    assert [quarter["pairs"] for quarter in report["by_margin"]] == [4]
    assert report["accuracy"] == 0
    assert report["calibration"]["expected_error"] == 0  # even odds, and no side


def test_the_calibration_error_is_the_gap_between_how_sure_and_how_often_right() -> None:
    lead = np.log(4) * np.array([1, 1, 1, -1, -1])  # 80 percent sure each time, three of five right
    report = reward_quality.calibration(lead)
    assert report["expected_error"] == pytest.approx(0.2)
    assert report["confidence"] == pytest.approx(0.8)


def test_outcomes_drawn_at_the_predicted_odds_are_calibrated() -> None:
    draw = np.random.default_rng(0)
    lead = draw.normal(0, 2, 20_000)
    won = draw.random(len(lead)) < 1 / (1 + np.exp(-lead))
    signed = np.where(won, lead, -lead)
    assert reward_quality.calibration(signed)["expected_error"] < 0.02
    assert reward_quality.calibration(3 * signed)["expected_error"] > 0.08


def test_a_correlation_leaves_out_what_is_no_number_and_a_constant_has_none() -> None:
    assert reward_quality.correlation(np.array([1.0, 2, 3, 9]), np.array([3.0, 2, 1, np.nan])) == -1
    assert reward_quality.correlation(np.ones(4), np.arange(4.0)) is None


def test_the_interval_of_the_accuracy_counts_products_not_pairs() -> None:
    chosen, rejected = np.repeat(np.tile([1.0, 1, 1, 0], 2), 20), np.full(160, 0.5)
    products = (np.repeat(np.arange(8), 20), np.arange(160))
    wide, narrow = (reward_quality.quality(chosen, rejected, np.ones(160), own) for own in products)
    assert wide["accuracy_low"] < 0.5 < narrow["accuracy_low"] < narrow["accuracy"] == 0.75


def test_what_a_calibrated_reward_errs_by_chance_falls_with_the_pairs_and_bounds_it() -> None:
    draw = np.random.default_rng(1)
    above = 0
    for _ in range(40):
        lead = np.abs(draw.normal(0, 2, 71))
        won = draw.random(71) < 1 / (1 + np.exp(-lead))
        report = reward_quality.calibration(np.where(won, lead, -lead))
        above += report["expected_error"] > report["expected_error_by_chance"]
    assert above <= 6
    many = reward_quality.calibration(np.tile(np.where(won, lead, -lead), 50))
    assert many["expected_error_by_chance"] < 0.3 * report["expected_error_by_chance"]
    sure = reward_quality.calibration(4 * np.where(won, lead, -lead))
    assert sure["expected_error"] > sure["expected_error_by_chance"]


def test_a_rule_is_judged_where_it_has_a_centre_and_a_tie_is_half_right() -> None:
    chosen, rejected = np.array([1.0, 5, 2, np.nan]), np.array([np.inf, 5, 1, np.nan])
    assert reward_quality.nearer(chosen, rejected) == {"accuracy": 0.5, "pairs": 3}
    assert reward_quality.nearer(np.full(4, np.nan), np.full(4, np.nan)) is None
