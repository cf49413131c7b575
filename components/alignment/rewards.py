"""The reward of a completion: by what is true, or by the reward model."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from components.alignment.sft_reward import SftReward
from components.core.errors import PricewrightError
from components.core.params.align import RewardSource
from components.model import adapters
from components.model.answers import AnswerSet
from components.model.distribution import answer_masses, given_an_answer
from components.model.examples import PromptIds, answer_ids
from components.model.tokens import left_padded

Reward = Callable[[Sequence[PromptIds], Sequence[str]], np.ndarray]
"""Prompts and completions to rewards, one for each."""


def read_answers(completions: Sequence[str], answers: AnswerSet) -> np.ndarray:
    """What completions answer, (rows,), NaN where they begin with no answer."""
    return np.array([answers.read(text) for text in completions], dtype=float)


def errors(
    completions: Sequence[str], true: np.ndarray, answers: AnswerSet, error_max: float, under_cost: float
) -> np.ndarray:
    """The loss of completions, (rows,), at most `error_max`, which no answer costs too."""
    off = answers.loss(true, read_answers(completions, answers), under_cost)
    return np.where(np.isnan(off), error_max, np.minimum(off, error_max))


def expected(
    masses: np.ndarray,
    sampled: Sequence[str],
    true: np.ndarray,
    answers: AnswerSet,
    error_max: float,
    under_cost: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(error, malformed) of a completion sampled at temperature 1, as expectations, each (rows,): its loss
    given that it is an answer, none of them above `error_max`, and the probability that it is none.

    `masses` are those of `answer_masses`: where a completion ends after its answer, drawing would give the
    same means with noise on top. Where the completion in `sampled` goes on, with more digits or with words,
    its own error counts: the masses know nothing of what follows an answer.
    """
    off = np.minimum(answers.loss(np.asarray(true)[:, None], answers.values, under_cost), error_max)
    readable = masses.sum(axis=1, dtype=np.float64)
    error = (masses * off).sum(axis=1, dtype=np.float64) / np.maximum(readable, 1e-9)
    read, known = read_answers(sampled, answers), {answer.strip() for answer in answers.spelled}
    goes_on = np.array([text.strip() not in known for text in sampled])
    own = np.minimum(answers.loss(true, read, under_cost), error_max)
    return np.where(goes_on & ~np.isnan(read), own, error), np.clip(1 - readable, 0, 1)


def truth(
    prompts: Sequence[PromptIds],
    true: Sequence[float],
    answers: AnswerSet,
    error_max: float,
    under_cost: float,
) -> Reward:
    """Minus the `errors`; knows the truth of these prompts only. Listings whose cut prompt is the same keep
    their own: the reward is the mean over them, all that a policy can tell apart.
    """
    known: dict[PromptIds, list[float]] = defaultdict(list)
    for prompt, target in zip(prompts, true, strict=True):
        known[prompt].append(target)

    def reward(prompts: Sequence[PromptIds], completions: Sequence[str]) -> np.ndarray:
        rows = [
            errors(
                [text] * len(known[prompt]), np.array(known[prompt]), answers, error_max, under_cost
            ).mean()
            for prompt, text in zip(prompts, completions, strict=True)
        ]
        return -np.array(rows)

    return reward


def reward_by(source: RewardSource, task: Any) -> Reward:
    """The reward that a section names: `truth`, or the reward `model`, see `RewardModel.usable`."""
    if source == "model":
        return task.reward_model.usable()
    prompts, targets = task.prompts["prompt"], task.prompts["target"]
    return truth(prompts, targets, task.answers, task.error_max, task.under_cost)


def trl_reward(reward: Reward) -> Callable[..., list[float]]:
    """The same as TRL calls it, with lists of token ids. TRL takes a reward of NaN for none and goes on; here
    it is a clear stop.
    """

    def of(prompts: list[list[int]], completions: list[str], **_: Any) -> list[float]:
        return [float(value) for value in finite(reward([*map(tuple, prompts)], completions))]

    return of


def finite(rewards: np.ndarray) -> np.ndarray:
    """The rewards themselves. Raises PricewrightError where one is NaN or infinite."""
    if not np.isfinite(rewards).all():
        raise PricewrightError("the reward is NaN or infinite: lower reward.learning_rate, run again")
    return rewards


class Standing(NamedTuple):
    """A reward model's start, and its accuracy on pairs that were held out: reward.json in its folder."""

    slope: float
    """Of `SftReward` in the reward."""
    under_cost: float
    pairs: int
    """Held out."""
    accuracy: float
    accuracy_low: float
    accuracy_high: float

    @property
    def better_than_chance(self) -> bool:
        """Whether the 95% interval of the accuracy is above a half."""
        return self.accuracy_low > 0.5

    def save(self, folder: Path) -> None:
        """Write it into the folder of the reward model."""
        (folder / STANDING).write_text(json.dumps(self._asdict(), indent=2) + "\n", encoding="utf-8")


STANDING = "reward.json"


def load_standing(folder: Path) -> Standing:
    """That of the reward model in `folder`. Raises PricewrightError where there is none."""
    try:
        return Standing(**json.loads((folder / STANDING).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise PricewrightError(
            f"{folder / STANDING} does not load: {error}. Run the stage reward again"
        ) from error


class RewardModel:
    """The adapter `reward` on the policy's own base and its scalar head, on top of what the frozen SFT model,
    the adapter `reference`, knows of the answer.
    """

    def __init__(
        self,
        model: Any,
        head: torch.nn.Linear,
        tokenizer: Any,
        batch_size: int,
        standing: Standing,
        answers: AnswerSet,
    ) -> None:
        self.model, self.head, self.tokenizer, self.batch_size = model, head, tokenizer, batch_size
        self.standing, self.answers = standing, answers
        self.start = SftReward(self._distributions, answers, under_cost=standing.under_cost)

    def usable(self) -> RewardModel:
        """Itself. Raises PricewrightError where its accuracy may be that of a coin: a policy that learns
        from such a reward learns noise.
        """
        own = self.standing
        if own.better_than_chance:
            return self
        raise PricewrightError(
            f"the reward model may be a coin: it is right on {own.accuracy:.2f} of {own.pairs} held-out "
            f"pairs (95% interval {own.accuracy_low:.2f} to {own.accuracy_high:.2f}), and is barred as a "
            "reward. Collect more pairs, or set `reward: truth` and take ppo out of align.methods"
        )

    def __call__(self, prompts: Sequence[PromptIds], completions: Sequence[str]) -> np.ndarray:
        """The reward of each completion, (rows,): read, as in training, at the last token that is not the
        padding token.
        """
        rows = [
            [*prompt, *answer_ids(self.tokenizer, text)]
            for prompt, text in zip(prompts, completions, strict=True)
        ]
        scores = torch.zeros(len(rows))
        if self.standing.slope:
            scores += torch.from_numpy(self.standing.slope * self.start(prompts, completions)).float()
        with adapters.use_adapter(self.model, "reward"):
            for batch in torch.arange(len(rows)).split(self.batch_size):
                scores[batch] += self._of_batch([rows[place] for place in batch])
        return scores.numpy()

    def _distributions(self, prompts: list[PromptIds]) -> np.ndarray:
        reading: Any = (self.model, self.tokenizer, prompts, self.answers.spelled)
        with adapters.use_adapter(self.model, "reference"):
            masses = answer_masses(*reading, batch_size=self.batch_size, title="reading")
        return given_an_answer(masses)

    def _of_batch(self, rows: list[list[int]]) -> Tensor:
        tokens, real, positions = left_padded(rows)
        last = (torch.arange(tokens.shape[1]) * (tokens != self.tokenizer.pad_token_id)).argmax(1)
        device = self.model.device
        hidden = self.model.get_base_model().base_model(
            input_ids=tokens.to(device),
            attention_mask=real.to(device),
            position_ids=positions.to(device),
            use_cache=False,
        )
        return self.head(hidden.last_hidden_state[torch.arange(len(rows)), last].float())[:, 0].cpu()
