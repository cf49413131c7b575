"""The reward of a completion."""

from __future__ import annotations

import numpy as np
import pytest

from components.alignment import rewards
from components.core.errors import PricewrightError


def test_the_true_reward_is_minus_the_error_and_no_price_counts_as_the_largest() -> None:
    reward = rewards.truth(["p", "q"], [100.0, 50.0], 200.0)
    result = reward(["p", "q", "p", "q"], ["90", "50 or so", "cheap", "9999"])
    assert result.tolist() == [-10, 0, -200, -200]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_reward_that_is_no_number_is_a_clear_stop(value: float) -> None:
    reward = rewards.trl_reward(lambda prompts, completions: np.array([1.0, value]))
    with pytest.raises(PricewrightError, match="NaN or infinite"):
        reward(prompts=["p", "p"], completions=["1", "2"], completion_ids=[[1], [2]])


def test_the_expected_error_is_the_mean_over_all_completions() -> None:
    masses = np.array([[0.1, 0.2, 0.0, 0.5]])  # prices 0 to 3; a fifth is no price
    for text in ("3", " 1", "cheap"):
        error, malformed = rewards.expected(masses, [text], np.array([1.0]), 1.5)
        assert malformed[0] == pytest.approx(0.2)
        assert error[0] == pytest.approx((0.1 * 1 + 0.2 * 0 + 0.5 * 1.5) / 0.8)
    error, malformed = rewards.expected(np.zeros((1, 4)), ["?"], np.array([1.0]), 1.5)
    assert (error[0], malformed[0]) == (0, 1)


@pytest.mark.parametrize(("text", "error"), [("3 or so", 2.0), ("3.50", 2.5), ("1234", 99.0)])
def test_a_completion_that_goes_on_after_its_price_counts_by_itself(text: str, error: float) -> None:
    masses = np.array([[0.0, 1.0, 0.0, 0.0]])
    assert rewards.expected(masses, [text], np.array([1.0]), 99.0)[0].tolist() == [error]
