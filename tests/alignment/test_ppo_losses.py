"""The formulas of proximal policy optimization, worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from components.alignment import ppo_losses
from components.alignment.ppo_rollouts import until_end

ALL = torch.ones(1, 3, dtype=torch.bool)


def row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float)


def test_advantages_are_those_worked_out_by_hand() -> None:
    # gamma 0.5, lambda 0.5; last: 4 - 3 = 1; middle: 0 + 0.5*3 - 2 + 0.25*1 = -0.25;
    # first: 1 + 0.5*2 - 1 + 0.25*(-0.25) = 0.9375
    advantages, returns = ppo_losses.gae(row(1, 0, 4), row(1, 2, 3), ALL, 0.5, 0.5)
    torch.testing.assert_close(advantages, row(0.9375, -0.25, 1))
    torch.testing.assert_close(returns, row(1.9375, 1.75, 4))


def test_with_lambda_one_the_return_is_the_discounted_sum_of_rewards() -> None:
    _, returns = ppo_losses.gae(row(1, 2, 4), row(7, -3, 5), ALL, 0.5, 1.0)
    torch.testing.assert_close(returns, row(1 + 0.5 * 2 + 0.25 * 4, 2 + 0.5 * 4, 4))


def test_padding_after_a_completion_changes_no_advantage() -> None:
    short = ppo_losses.gae(row(1, 4), row(1, 3), ALL[:, :2], 0.9, 0.8)
    counted = torch.tensor([[True, True, False, False]])
    padded = ppo_losses.gae(row(1, 4, 50, 60), row(1, 3, 70, 80), counted, 0.9, 0.8)
    for alone, wide in zip(short, padded, strict=True):
        torch.testing.assert_close(wide[:, :2], alone)
        assert torch.equal(wide[:, 2:], torch.zeros(1, 2))


def test_kl_is_the_log_ratio_and_nothing_at_padding() -> None:
    kl = ppo_losses.kl_per_token(row(-1, -2, -9), row(-1.5, -1, -1), torch.tensor([[True, True, False]]))
    torch.testing.assert_close(kl, row(0.5, -1, 0))


def test_the_expected_log_ratio_is_the_kl_divergence() -> None:
    policy, reference = torch.tensor([0.5, 0.25, 0.25]), torch.tensor([0.25, 0.5, 0.25])
    kl = ppo_losses.kl_per_token(policy.log()[None], reference.log()[None], ALL)
    assert float((policy * kl[0]).sum()) == pytest.approx(0.25 * math.log(2))


def test_whitening_counts_no_padding() -> None:
    counted = torch.tensor([[True, True], [True, False]])
    white = ppo_losses.whiten(torch.tensor([[1.0, 2.0], [3.0, 1e6]]), counted)
    step = math.sqrt(1.5)  # mean 2, variance 2/3
    torch.testing.assert_close(white, torch.tensor([[-step, 0.0], [step, 0.0]]))
    assert torch.equal(ppo_losses.whiten(torch.zeros(2, 2), counted), torch.zeros(2, 2))


def test_the_score_stands_on_the_last_counted_token() -> None:
    end = 7  # the padding token as well, and a token that the second row is full of
    actions = torch.tensor([[3, 5, end, end], [end, end, end, end], [1, 2, 3, 4]])
    counted = until_end(actions, end)
    assert counted.int().tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]]
    kl = torch.tensor([[1.0, 1, 1, 0], [2, 0, 0, 0], [0, 0, 0, 3]])
    rewards = ppo_losses.token_rewards(torch.tensor([10.0, 20, 30]), kl, 0.5, counted)
    torch.testing.assert_close(rewards, torch.tensor([[-0.5, -0.5, 9.5, 0], [19, 0, 0, 0], [0, 0, 0, 28.5]]))


def test_the_policy_loss_clips_gains_and_not_losses() -> None:
    ratios = row(1.5, 0.5, 1.5, 0.5)  # gain clipped, loss kept; loss kept, gain clipped
    advantages = row(1, 1, -1, -1)
    counted = torch.ones(1, 4, dtype=torch.bool)
    loss, figures = ppo_losses.policy_loss(ratios.log(), row(0, 0, 0, 0), advantages, counted, 0.2)
    assert float(loss) == pytest.approx(-(1.2 + 0.5 - 1.5 - 0.8) / 4)
    assert figures["clip_fraction"] == 0.5
    kl = sum(ratio - 1 - math.log(ratio) for ratio in (1.5, 0.5, 1.5, 0.5)) / 4
    assert figures["update_kl"] == pytest.approx(kl)


def test_a_clipped_token_and_padding_have_no_gradient() -> None:
    logs = row(math.log(1.5), 0.0, 0.0).requires_grad_()
    counted = torch.tensor([[True, True, False]])
    ppo_losses.policy_loss(logs, row(0, 0, 0), row(1, 1, 1), counted, 0.2)[0].backward()
    torch.testing.assert_close(logs.grad, row(0, -0.5, 0))


def test_the_value_loss_takes_the_worse_of_two_errors() -> None:
    # free: (1-0)^2 = 1 and (0.1-0)^2; kept near: (0.2)^2 and the same; then a value that moved away
    loss = ppo_losses.value_loss(row(1, 0.1, 3), row(0, 0, 0), row(0, 0, 2), ALL, 0.2)
    assert float(loss) == pytest.approx(0.5 * (1 + 0.01 + 1.8**2) / 3)
    masked = ppo_losses.value_loss(row(1, 9), row(0, 0), row(0, 0), torch.tensor([[True, False]]), 0.2)
    assert float(masked) == pytest.approx(0.5)


def test_entropy_and_log_probability_of_a_known_distribution() -> None:
    logits = torch.tensor([[[0.5, 0.25, 0.25]]]).log() + 3
    assert float(ppo_losses.entropy(logits)) == pytest.approx(1.5 * math.log(2))
    assert float(ppo_losses.log_probabilities(logits, torch.tensor([[2]]))) == pytest.approx(math.log(0.25))


def test_beta_follows_the_kl_by_small_steps() -> None:
    assert ppo_losses.adapt_beta(0.1, 6.0, 6.0, 0.1) == 0.1
    assert ppo_losses.adapt_beta(0.1, 6.6, 6.0, 0.1) == pytest.approx(0.1 * 1.01)
    assert ppo_losses.adapt_beta(0.1, 600.0, 6.0, 0.1) == pytest.approx(0.1 * 1.02)
    assert ppo_losses.adapt_beta(0.1, 0.0, 6.0, 0.1) == pytest.approx(0.1 * 0.98)
    assert ppo_losses.adapt_beta(0.1, 600.0, 6.0, 0.0) == 0.1


def test_explained_variance_is_one_for_the_truth_and_zero_for_a_constant() -> None:
    returns = row(1, 2, 3)
    assert ppo_losses.explained_variance(returns, returns, ALL) == 1
    assert ppo_losses.explained_variance(row(5, 5, 5), returns, ALL) == 0
    assert ppo_losses.explained_variance(row(2, 2, 4), returns, ALL) == pytest.approx(2 / 3)
    assert ppo_losses.explained_variance(returns, row(4, 4, 4), ALL) == 0


@pytest.mark.parametrize("name", ["policy", "entropy", "value"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    """`gradcheck` compares with central differences, in double precision; no ratio stands on a kink."""
    torch.manual_seed(3)
    counted = torch.tensor([[True, True, True], [True, True, False]])
    actions = torch.tensor([[0, 3, 1], [2, 2, 0]])
    logits = torch.randn(2, 3, 4, dtype=torch.double)
    old = ppo_losses.log_probabilities(logits, actions) + 0.3 * torch.randn(2, 3, dtype=torch.double)
    advantages = torch.randn(2, 3, dtype=torch.double)

    def policy(logits: Tensor) -> Tensor:
        return ppo_losses.policy_loss(
            ppo_losses.log_probabilities(logits, actions), old, advantages, counted, 0.2
        )[0]

    def mean_entropy(logits: Tensor) -> Tensor:
        return ppo_losses.masked_mean(ppo_losses.entropy(logits), counted)

    def value(values: Tensor) -> Tensor:
        return ppo_losses.value_loss(values, old, advantages, counted, 0.2)

    function: Callable[[Tensor], Tensor] = {"policy": policy, "entropy": mean_entropy, "value": value}[name]
    start = torch.randn(2, 3, dtype=torch.double) if name == "value" else logits
    assert torch.autograd.gradcheck(function, start.requires_grad_())
    gradient = torch.autograd.grad(function(start), start)[0]
    assert gradient[counted].abs().sum() > 0
    assert gradient[~counted].abs().sum() == 0
