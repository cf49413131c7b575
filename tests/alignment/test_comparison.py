"""Aligned against SFT."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from components.alignment.comparison import against_sft, measure
from components.alignment.rewards import expected

SFT = {
    "median": np.full(4, 10.0),
    "greedy": np.full(4, 20.0),
    "sampled": np.full(4, 50.0),
    "malformed": np.full(4, 0.1),
}
BETTER = {name: 0.5 * values for name, values in SFT.items()}


def evaluated(aligned: dict[str, np.ndarray]) -> dict[str, Any]:
    return against_sft(SFT, aligned, bootstrap=200, seed=0)


def test_differences_are_aligned_minus_sft() -> None:
    result = evaluated(BETTER)
    assert result["sampled"] == {
        "sft": 50,
        "aligned": 25,
        "aligned_low": 25,
        "aligned_high": 25,
        "difference": {"mean": -25, "low": -25, "high": -25},
    }
    assert result["may_win"]


def test_the_aligned_mean_has_an_interval_of_its_own() -> None:
    result = evaluated(BETTER | {"sampled": np.array([10.0, 20.0, 30.0, 40.0])})["sampled"]
    assert 10 <= result["aligned_low"] < result["aligned"] == 25 < result["aligned_high"] <= 40


def test_a_row_that_one_could_not_answer_is_left_out_of_both_means() -> None:
    result = evaluated(BETTER | {"greedy": np.array([np.nan, 8.0, 10.0, 12.0])})
    assert result["greedy"]["aligned"] == 10
    assert not result["may_win"]  # SFT could answer it


def test_where_neither_has_an_answer_nothing_is_compared_and_nothing_is_worse() -> None:
    silent = {"greedy": np.full(4, np.nan)}
    result = against_sft(SFT | silent, BETTER | silent, bootstrap=200, seed=0)
    assert set(result["greedy"].values()) == {None}
    assert result["may_win"]


@pytest.mark.parametrize("way", ["median", "greedy"])
def test_what_is_worse_without_drawing_may_not_win_however_well_it_samples(way: str) -> None:
    assert not evaluated(BETTER | {way: SFT[way] + 0.01})["may_win"]


def test_the_expected_error_is_what_sampling_comes_to() -> None:
    masses = np.array([[0.1, 0.2, 0.0, 0.5]])  # prices 0 to 3; a fifth is no price
    for samples in ("3", " 1", "cheap"):
        error, malformed = expected(masses, [samples], np.array([1.0]), 1.5)
        assert malformed[0] == pytest.approx(0.2)
        assert error[0] == pytest.approx((0.1 * 1 + 0.2 * 0 + 0.5 * 1.5) / 0.8)
    nothing, all_of_it = expected(np.zeros((1, 4)), ["?"], np.array([1.0]), 1.5)
    assert (nothing[0], all_of_it[0]) == (0, 1)


@pytest.mark.parametrize(("samples", "error"), [("3 or so", 2.0), ("3.50", 2.5), ("1234", 99.0)])
def test_a_completion_that_goes_on_after_its_price_counts_by_itself(samples: str, error: float) -> None:
    masses = np.array([[0.0, 1.0, 0.0, 0.0]])
    assert expected(masses, [samples], np.array([1.0]), 99.0)[0].tolist() == [error]


def test_the_two_adapters_stand_alike_before_training(cheap_task: Any) -> None:
    prompts, prices = list(cheap_task.prompts["prompt"][:3]), np.full(3, 100.0)
    options: dict[str, Any] = {"price_max": 999, "batch_size": 2, "seed": 0}
    both = [
        measure(cheap_task.model, cheap_task.tokenizer, part, prompts, prices, **options)
        for part in ("reference", "default")
    ]
    for way in SFT:
        np.testing.assert_array_equal(both[0][way], both[1][way])
        assert both[0][way].shape == (3,)
