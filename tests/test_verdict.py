"""Aligned against SFT."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from components.alignment.verdict import answers, verdict
from components.alignment.watch import Look

PRICES = np.full(4, 100.0)
SFT = {"median": np.array([90.0, 90, 90, 90]), "greedy": np.array([80.0, 80, 80, 80])}


def look(*completions: str) -> Look:
    return Look(0, list(completions), np.zeros(4), np.zeros(4), 0.0, 1.0, 2.0)


def judged(aligned: dict[str, np.ndarray], before: Look, after: Look) -> dict[str, Any]:
    return verdict(PRICES, 999, SFT, aligned, before, after, bootstrap=200, seed=0)


def test_differences_are_aligned_minus_sft_over_rows_that_both_could_answer() -> None:
    result = judged(SFT, look("50", "no", "60", "70"), look("90", "90", "?", "70"))
    assert result["sampled"]["sft"] == 40  # the first and the last row
    assert result["sampled"]["difference"]["mean"] == -20
    assert result["malformed"]["sft"] == result["malformed"]["aligned"] == 0.25
    assert result["median"]["difference"] == {"mean": 0, "low": 0, "high": 0}
    assert result["may_win"]


def test_one_wild_answer_is_not_all_that_the_mean_shows() -> None:
    result = judged(SFT, look("90", "90", "90", "90"), look("90", "90", "90", "123456789"))
    assert result["sampled"]["aligned"] == (30 + 899) / 4


@pytest.mark.parametrize("way", ["median", "greedy"])
@pytest.mark.parametrize("worse", [79.0, np.nan])
def test_what_is_worse_without_drawing_may_not_win_however_well_it_samples(way: str, worse: float) -> None:
    aligned = SFT | {way: np.array([worse, *SFT[way][1:]])}
    assert not judged(aligned, look("1", "1", "1", "1"), look("100", "100", "100", "100"))["may_win"]


def test_answers_of_the_two_adapters_are_alike_before_training(cheap_task: Any) -> None:
    prompts = list(cheap_task.asked["prompt"][:3])
    both = [
        answers(cheap_task.model, cheap_task.tokenizer, part, prompts, price_max=999, batch_size=2)
        for part in ("reference", "default")
    ]
    for way in SFT:
        np.testing.assert_array_equal(both[0][way], both[1][way])
        assert both[0][way].shape == (3,)
