"""What the SFT model knows of an answer already: the start of the reward model.

A few hundred pairs teach a scalar head nothing that the SFT model's own distribution does not say
better. The loss expected of an answer under that distribution is therefore a part of the reward, by a
slope that makes Bradley and Terry's probabilities come true (Platt 1999); head and adapter learn the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize_scalar

from components.evaluation.resampling import Floats
from components.model.answers import AnswerSet
from components.model.examples import PromptIds

SLOPE_MAX = 100.0  # in mean leads: surer than exp(-100) no pair can make it


class SftReward:
    """Minus the loss expected of a completion, less that of an average completion of the same prompt."""

    def __init__(
        self, distributions: Callable[[list[PromptIds]], np.ndarray], answers: AnswerSet, *, under_cost: float
    ) -> None:
        """`distributions` gives those of the SFT model, (prompts, answers): `answer_distribution`."""
        self.distributions, self.answers, self.under_cost = distributions, answers, under_cost
        self.known: dict[PromptIds, np.ndarray] = {}

    def __call__(self, prompts: Sequence[PromptIds], completions: Sequence[str]) -> Floats:
        """The reward of each completion, (rows,), on the scale of the answers; each prompt is read once."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self.known]
        if new:
            rewards = rewards_by_answer(self.distributions(new), self.answers, self.under_cost)
            self.known |= dict(zip(new, rewards.astype(np.float32), strict=True))
        columns = [column_of(text, self.answers) for text in completions]
        return np.array(
            [self.known[prompt][column] for prompt, column in zip(prompts, columns, strict=True)], dtype=float
        )


def rewards_by_answer(distributions: np.ndarray, answers: AnswerSet, under_cost: float) -> Floats:
    """Of each answer, (rows, answers + 1): minus the loss that the row's distribution expects of it
    (`AnswerSet.expected_losses`), less the mean of this under the distribution. The last column is that of no
    answer at all: the worst. A row of NaN gives zeros.
    """
    masses = np.nan_to_num(np.asarray(distributions, dtype=float))
    rewards = -answers.expected_losses(distributions, under_cost)
    rewards -= (masses * rewards).sum(axis=1, keepdims=True)
    return np.concatenate([rewards, rewards.min(axis=1, keepdims=True)], axis=1)


def column_of(completion: str, answers: AnswerSet) -> int:
    """The column of `rewards_by_answer`: that of the nearest answer, the last of none."""
    answer = answers.read(completion)
    return len(answers.values) if answer is None else int(answers.places(answer))


def fitted_slope(leads: Floats) -> float:
    """The factor, 0 or more, by which leads (chosen minus rejected, one a pair) are log-odds that come true.

    Maximum likelihood with Platt's targets: n pairs in order count as (n + 1) / (n + 2) of one, so that pairs
    which are all in order do not make it certain of the next.
    """
    size = float(np.abs(leads).mean()) if len(leads) else 0.0
    if size == 0:
        return 0.0
    target = (len(leads) + 1) / (len(leads) + 2)

    def loss(slope: float) -> float:
        odds = slope * leads / size
        return float((target * np.logaddexp(0, -odds) + (1 - target) * np.logaddexp(0, odds)).mean())

    return float(minimize_scalar(loss, bounds=(0.0, SLOPE_MAX), method="bounded").x) / size
