"""Rollouts of proximal policy optimization: completions sampled from the policy, with their advantages.

Tensors are (rows, steps): one row per completion, one step per token of it. `counted` is True at the
tokens of a completion, its end-of-text token included, and False at the padding after it; it goes by
length, since the padding token may be the end-of-text token itself. Nothing here knows a transformer.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from components.alignment.ppo_losses import (
    Figures,
    entropy,
    explained_variance,
    gae,
    kl_per_token,
    log_probabilities,
    masked_mean,
    token_rewards,
    whiten,
)
from components.core.errors import PricewrightError
from components.core.params.align import Ppo

Policy = Literal["policy", "reference"]


class Completions(NamedTuple):
    """A batch of completions, one per prompt."""

    prompts: Tensor
    """Numbers of the prompts, int64 (rows,)."""
    actions: Tensor
    """Token ids, int64 (rows, steps)."""
    counted: Tensor
    """Which of them belong to the completion, bool (rows, steps)."""

    def rows(self, rows: Tensor) -> Completions:
        """The completions at these row numbers."""
        return Completions(*(tensor[rows] for tensor in self))


def until_end(actions: Tensor, end: int) -> Tensor:
    """Which tokens are counted, bool (rows, steps): all up to the first end-of-text token, and that too."""
    ended = (actions == end).long()
    return ended.cumsum(1) - ended == 0


class Actor(Protocol):
    """The policy, its reference, the value function and the reward model, as the loop uses them."""

    def weights(self) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
        """(those of the policy, those of the value function); no weight is in both."""

    def sample(self, prompts: Tensor) -> Completions:
        """A completion of each of these prompts, drawn from the policy at temperature 1."""

    def logits(self, policy: Policy, completions: Completions) -> Tensor:
        """(rows, steps, vocabulary): at each step, those from which its action is drawn."""

    def values(self, completions: Completions) -> Tensor:
        """Expected return before each action, (rows, steps)."""

    def scores(self, completions: Completions) -> Tensor:
        """The reward of each completion, (rows,)."""


class Rollout(NamedTuple):
    """A round's completions, and their figures under the policy that sampled them, each (rows, steps)."""

    completions: Completions
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor

    def rows(self, rows: Tensor) -> Rollout:
        """The rollout of these row numbers."""
        return Rollout(self.completions.rows(rows), *(tensor[rows] for tensor in self[1:]))


@torch.no_grad()
def rollout(actor: Actor, prompts: Tensor, beta: float, section: Ppo) -> tuple[Rollout, Figures]:
    """Sample a completion of each prompt and score it. Raises PricewrightError for a score of NaN."""
    completions = actor.sample(prompts)
    chunks = torch.arange(len(prompts)).split(section.batch_size)
    scored = zip(*(_scored(actor, completions.rows(rows)) for rows in chunks), strict=True)
    log_probs, reference, entropies, values, scores = (torch.cat(chunk) for chunk in scored)
    if not torch.isfinite(scores).all():
        raise PricewrightError("the reward model gives NaN or infinity: lower reward.learning_rate")
    kl = kl_per_token(log_probs, reference, completions.counted)
    rewards = token_rewards(scores, kl, beta, completions.counted)
    advantages, returns = gae(rewards, values, completions.counted, section.gamma, section.gae_lambda)
    figures = {
        "reward": float(scores.mean()),
        "kl": float(kl.sum(1).mean()),
        "beta": beta,
        "entropy": float(masked_mean(entropies, completions.counted)),
        "explained_variance": explained_variance(values, returns, completions.counted),
        "completion_length": float(completions.counted.sum(1).float().mean()),
    }
    return Rollout(completions, log_probs, values, whiten(advantages, completions.counted), returns), figures


def _scored(actor: Actor, completions: Completions) -> tuple[Tensor, ...]:
    """Log-probabilities of policy and reference, entropy, values, each (rows, steps), and scores (rows,)."""
    logits, reference = actor.logits("policy", completions), actor.logits("reference", completions)
    logs = (log_probabilities(logits, completions.actions), log_probabilities(reference, completions.actions))
    return (*logs, entropy(logits), actor.values(completions), actor.scores(completions))
