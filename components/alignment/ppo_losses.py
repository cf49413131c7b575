"""The formulas of proximal policy optimization (Schulman et al. 2017, arXiv:1707.06347), on plain tensors.

Tensors are (rows, steps): one row per completion, one step per token of it. `counted` is True at the tokens
of a completion, its end-of-text token included, and False at the padding after it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

Figures = dict[str, float]


def masked_mean(x: Tensor, counted: Tensor) -> Tensor:
    """Mean over the counted tokens."""
    return x.masked_fill(~counted, 0.0).sum() / counted.sum()


def whiten(x: Tensor, counted: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the counted tokens, 0 at the others; zeros stay zeros."""
    centred = x - masked_mean(x, counted)
    return (centred * torch.rsqrt(masked_mean(centred**2, counted) + 1e-8)).masked_fill(~counted, 0.0)


def log_probabilities(logits: Tensor, actions: Tensor) -> Tensor:
    """Log-probability of each action, (rows, steps), from logits (rows, steps, vocabulary)."""
    return torch.log_softmax(logits, dim=-1).gather(-1, actions[..., None])[..., 0]


def entropy(logits: Tensor) -> Tensor:
    """Entropy in nats of each token's distribution, (rows, steps)."""
    logs = torch.log_softmax(logits, dim=-1)
    return -(logs.exp() * logs).sum(-1)


def kl_per_token(log_probs: Tensor, reference: Tensor, counted: Tensor) -> Tensor:
    """The sampled tokens' log-ratio of policy and reference, whose expectation is the KL; 0 at padding."""
    return (log_probs - reference).masked_fill(~counted, 0.0)


def token_rewards(scores: Tensor, kl: Tensor, beta: float, counted: Tensor) -> Tensor:
    """Minus beta times the KL at each token, plus the score (rows,) at the last counted one."""
    last = counted.sum(1) - 1
    return (-beta * kl).scatter_add(1, last[:, None], scores[:, None].to(kl.dtype))


def gae(
    rewards: Tensor, values: Tensor, counted: Tensor, gamma: float, gae_lambda: float
) -> tuple[Tensor, Tensor]:
    """(advantages, returns): returns are advantages plus values. What follows the last token is worth 0."""
    advantages = torch.zeros_like(rewards)
    after_advantage = after_value = torch.zeros_like(rewards[:, 0])
    for step in reversed(range(rewards.shape[1])):
        real = counted[:, step].to(rewards.dtype)
        delta = rewards[:, step] + gamma * after_value - values[:, step]
        after_advantage = (delta + gamma * gae_lambda * after_advantage) * real
        after_value = values[:, step] * real
        advantages[:, step] = after_advantage
    return advantages, (advantages + values).masked_fill(~counted, 0.0)


def policy_loss(
    log_probs: Tensor, old: Tensor, advantages: Tensor, counted: Tensor, clip: float
) -> tuple[Tensor, Figures]:
    """Clipped surrogate loss; the share of tokens whose clipped side counted, and the KL from `old` (the
    estimator ratio - 1 - log ratio, which is never negative).
    """
    log_ratio = (log_probs - old).masked_fill(~counted, 0.0)
    ratio = log_ratio.exp()
    free, clipped = -advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip)
    figures = {
        "clip_fraction": float(masked_mean((clipped > free).to(ratio.dtype), counted)),
        "update_kl": float(masked_mean(ratio - 1 - log_ratio, counted).detach()),
    }
    return masked_mean(torch.maximum(free, clipped), counted), figures


def value_loss(values: Tensor, old: Tensor, returns: Tensor, counted: Tensor, clip: float) -> Tensor:
    """Half the squared error, at the worse of the value and the value kept within `clip` of the old one."""
    near = old + (values - old).clamp(-clip, clip)
    return 0.5 * masked_mean(torch.maximum((values - returns) ** 2, (near - returns) ** 2), counted)


def adapt_beta(beta: float, kl: float, target: float, gain: float) -> float:
    """The next beta: larger where the KL is above its target, by at most a fifth of `gain`."""
    return beta * (1 + gain * float(np.clip(kl / target - 1, -0.2, 0.2)))


def explained_variance(values: Tensor, returns: Tensor, counted: Tensor) -> float:
    """Share of the returns' variance that the values explain; 0 where the returns do not vary."""
    targets, predicted = returns[counted], values[counted]
    variance = targets.var(correction=0)
    return float(1 - (targets - predicted).var(correction=0) / variance) if variance > 1e-12 else 0.0
