"""RLOO, and GRPO where the two share code: the optimum, the reference, a reward of NaN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.alignment import grpo, rloo
from components.alignment.task import AlignmentTask
from components.core.errors import PricewrightError
from components.core.params.file import Params
from tests.support.tiny_policy import WORDS, log_probabilities, one_word_task


@pytest.fixture
def one_step(tmp_path: Path, recorder: Any) -> AlignmentTask:
    """One prompt, completions of one token: a tiny Llama with an adapter."""
    return one_word_task(tmp_path, recorder)


def distribution(task: AlignmentTask) -> np.ndarray:
    return log_probabilities(task, []).exp().numpy()


def random_rewards(spread: float) -> tuple[np.ndarray, Callable[..., np.ndarray]]:
    """(the reward of each word, the function that gives it)."""
    rewards = spread * np.random.default_rng(2).normal(size=len(WORDS))
    paid = dict(zip(WORDS, rewards, strict=True))

    def reward(prompts: Sequence[str], completions: Sequence[str]) -> np.ndarray:
        return np.array([paid[text or "<end>"] for text in completions])  # the end decodes to nothing

    return rewards, reward


def distance(first: np.ndarray, second: np.ndarray) -> float:
    return float(0.5 * np.abs(first - second).sum())


def small(section: Any, **changes: Any) -> Any:
    sizes = {
        "num_generations": 512,
        "batch_size": 512,
        "max_completion_length": 1,
        "learning_rate": 2e-2,
        "beta": 0.5,
    }
    return section.model_copy(update=sizes | changes)


def test_the_optimum_of_rloo_is_the_closed_form(one_step: AlignmentTask, params: Params) -> None:
    """Reference times exp(reward / beta), scaled to 1."""
    rewards, reward = random_rewards(0.5)
    section = small(params.align.rloo, max_steps=60)
    reference = distribution(one_step)
    optimum = reference * np.exp(rewards / section.beta)
    optimum /= optimum.sum()
    report = rloo.train(one_step, section, reward)
    after = distance(distribution(one_step), optimum)
    print(f"total variation {distance(reference, optimum):.3f} before, {after:.4f} after")
    assert distance(reference, optimum) > 0.25
    assert after < 0.05
    assert report["last"]["reward"] > report["first"]["reward"]


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_without_a_reward_the_policy_stays_where_it_was(
    one_step: AlignmentTask, params: Params, method: str
) -> None:
    before = distribution(one_step)
    section = small(getattr(params.align, method), max_steps=4)
    {"rloo": rloo, "grpo": grpo}[method].train(one_step, section, random_rewards(0.0)[1])
    assert distance(distribution(one_step), before) < 1e-9


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_a_very_large_beta_keeps_the_policy_at_the_reference(
    one_step: AlignmentTask, params: Params, method: str
) -> None:
    before = distribution(one_step)
    section = small(getattr(params.align, method), max_steps=15, beta=1e4, learning_rate=2e-3)
    {"rloo": rloo, "grpo": grpo}[method].train(one_step, section, random_rewards(1.0)[1])
    print(f"total variation from the reference {distance(distribution(one_step), before):.4f}")
    assert distance(distribution(one_step), before) < 0.02


def test_grpo_moves_to_the_higher_reward(one_step: AlignmentTask, params: Params) -> None:
    rewards, reward = random_rewards(1.0)
    before = distribution(one_step)
    report = grpo.train(one_step, small(params.align.grpo, max_steps=15, beta=0.01), reward)
    assert distribution(one_step) @ rewards > before @ rewards + 0.5
    assert report["last"]["reward"] > report["first"]["reward"]


def test_a_reward_that_is_no_number_is_a_clear_stop(one_step: AlignmentTask, params: Params) -> None:
    """TRL alone would go on: it takes NaN for a completion without a reward."""
    section = small(params.align.rloo, max_steps=2)
    with pytest.raises(PricewrightError, match="NaN"):
        rloo.train(one_step, section, lambda _, completions: np.full(len(completions), np.nan))
