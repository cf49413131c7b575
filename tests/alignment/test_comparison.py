"""The aligned policy against the SFT model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from components.alignment.comparison import against_sft, measure

SFT = {
    "median": np.full(4, 10.0),
    "greedy": np.full(4, 20.0),
    "sampled": np.full(4, 50.0),
    "malformed": np.full(4, 0.1),
}
BETTER = {name: 0.5 * values for name, values in SFT.items()}


def evaluated(aligned: dict[str, np.ndarray]) -> dict[str, Any]:
    return against_sft(SFT, aligned, np.arange(4), bootstrap=200, seed=0)


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


def test_the_verdict_counts_products_and_not_their_rows() -> None:
    gains = np.array([-3.0, -1.0, 2.0, -4.0, 1.0, -2.0, -5.0, 1.5])
    once = against_sft(
        {"median": np.full(8, 50.0), "greedy": np.full(8, 50.0)},
        {"median": 50 + gains, "greedy": 50 + gains},
        np.arange(8),
        bootstrap=400,
        seed=0,
    )
    often = against_sft(
        {"median": np.full(80, 50.0), "greedy": np.full(80, 50.0)},
        {"median": 50 + np.tile(gains, 10), "greedy": 50 + np.tile(gains, 10)},
        np.tile(np.arange(8), 10),
        bootstrap=400,
        seed=0,
    )
    assert often["median"]["difference"] == once["median"]["difference"]


def test_a_row_without_a_price_by_either_is_left_out_of_both_means() -> None:
    result = evaluated(BETTER | {"greedy": np.array([np.nan, 8.0, 10.0, 12.0])})
    assert result["greedy"]["aligned"] == 10
    assert not result["may_win"]  # SFT could answer it


def test_where_neither_has_an_answer_nothing_is_compared_and_nothing_is_worse() -> None:
    unreadable = {"greedy": np.full(4, np.nan)}
    result = against_sft(SFT | unreadable, BETTER | unreadable, np.arange(4), bootstrap=200, seed=0)
    assert set(result["greedy"].values()) == {None}
    assert result["may_win"]


@pytest.mark.parametrize("way", ["median", "greedy"])
def test_what_is_worse_without_sampling_may_not_win_however_well_it_samples(way: str) -> None:
    assert not evaluated(BETTER | {way: SFT[way] + 0.01})["may_win"]


def test_policy_and_reference_measure_the_same_before_training(cheap_task: Any) -> None:
    prompts, prices = list(cheap_task.prompts["prompt"][:3]), np.full(3, 100.0)
    options: dict[str, Any] = {"price_max": 999, "batch_size": 2, "seed": 0}
    both = [
        measure(cheap_task.model, cheap_task.tokenizer, adapter, prompts, prices, **options)
        for adapter in ("reference", "default")
    ]
    for way in SFT:
        np.testing.assert_array_equal(both[0][way], both[1][way])
        assert both[0][way].shape == (3,)
