"""Proximal policy optimization: its formulas by hand, its optimum in closed form, its transformer."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from components import reward as reward_stage
from components.alignment import ppo, ppo_losses
from components.alignment.monitor import Monitor
from components.alignment.rewards import RewardModel
from components.alignment.task import Task
from components.core.errors import PricewrightError
from components.core.params.align import Ppo
from components.core.params.file import Params
from components.model import adapters, training
from components.model.prompt import price_prompt
from components.model.tokens import prompt_ids
from tests.support.project import QUESTION

ALL = torch.ones(1, 3, dtype=torch.bool)


def row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float)


# --- the formulas, by hand ---------------------------------------------------------------------------


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
    counted = ppo.until_end(actions, end)
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
    assert ppo_losses.adapted(0.1, 6.0, 6.0, 0.1) == 0.1
    assert ppo_losses.adapted(0.1, 6.6, 6.0, 0.1) == pytest.approx(0.1 * 1.01)
    assert ppo_losses.adapted(0.1, 600.0, 6.0, 0.1) == pytest.approx(0.1 * 1.02)
    assert ppo_losses.adapted(0.1, 0.0, 6.0, 0.1) == pytest.approx(0.1 * 0.98)
    assert ppo_losses.adapted(0.1, 600.0, 6.0, 0.0) == 0.1


def test_explained_variance_is_one_for_the_truth_and_zero_for_a_constant() -> None:
    returns = row(1, 2, 3)
    assert ppo_losses.explained_variance(returns, returns, ALL) == 1
    assert ppo_losses.explained_variance(row(5, 5, 5), returns, ALL) == 0
    assert ppo_losses.explained_variance(row(2, 2, 4), returns, ALL) == pytest.approx(2 / 3)
    assert ppo_losses.explained_variance(returns, row(4, 4, 4), ALL) == 0


@pytest.mark.parametrize("part", ["policy", "entropy", "value"])
def test_gradients_are_those_of_finite_differences(part: str) -> None:
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

    def spread(logits: Tensor) -> Tensor:
        return ppo_losses.masked_mean(ppo_losses.entropy(logits), counted)

    def value(values: Tensor) -> Tensor:
        return ppo_losses.value_loss(values, old, advantages, counted, 0.2)

    function: Callable[[Tensor], Tensor] = {"policy": policy, "entropy": spread, "value": value}[part]
    start = torch.randn(2, 3, dtype=torch.double) if part == "value" else logits
    assert torch.autograd.gradcheck(function, start.requires_grad_())
    gradient = torch.autograd.grad(function(start), start)[0]
    assert gradient[counted].abs().sum() > 0
    assert gradient[~counted].abs().sum() == 0


# --- the optimum, in closed form ---------------------------------------------------------------------


class Table:
    """A policy that is a table of logits, one row per prompt and first token; token 0 ends a completion."""

    def __init__(self, *, prompts: int, vocabulary: int, width: int, spread: float = 1.0) -> None:
        draw = torch.Generator().manual_seed(7)
        states = 1 if width == 1 else vocabulary + 1
        self.frozen = torch.randn(prompts, states, vocabulary, generator=draw)
        self.policy = torch.nn.Parameter(self.frozen.clone())
        self.worth = torch.nn.Parameter(torch.zeros(prompts, states))
        self.rewards = spread * torch.randn(prompts, states, vocabulary, generator=draw)
        self.width = width

    def weights(self) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
        return [self.policy], [self.worth]

    def sample(self, prompts: Tensor) -> ppo.Completions:
        actions = torch.zeros(len(prompts), self.width, dtype=torch.long)
        for step in range(self.width):
            logits = self.policy[prompts[:, None], self._states(actions)][:, step]
            actions[:, step] = torch.multinomial(logits.softmax(-1), 1)[:, 0]
        counted = ppo.until_end(actions, 0) if self.width > 1 else torch.ones_like(actions, dtype=torch.bool)
        return ppo.Completions(prompts, actions, counted)

    def logits(self, adapter: ppo.Adapter, completions: ppo.Completions) -> Tensor:
        table = self.policy if adapter == "policy" else self.frozen
        return table[completions.prompts[:, None], self._states(completions.actions)]

    def values(self, completions: ppo.Completions) -> Tensor:
        return self.worth[completions.prompts[:, None], self._states(completions.actions)]

    def scores(self, completions: ppo.Completions) -> Tensor:
        last = completions.counted.sum(1, keepdim=True) - 1
        state = self._states(completions.actions).gather(1, last)[:, 0]
        return self.rewards[completions.prompts, state, completions.actions.gather(1, last)[:, 0]]

    def _states(self, actions: Tensor) -> Tensor:
        """0 before the first token, 1 and that token after it."""
        return torch.cat([torch.zeros_like(actions[:, :1]), 1 + actions[:, :-1]], dim=1)

    def completions(self, logits: Tensor) -> Tensor:
        """Probability of every completion, (prompts, completions)."""
        chances = logits.detach().double().softmax(-1)
        if self.width == 1:
            return chances[:, 0]
        longer = chances[:, 0, 1:, None] * chances[:, 2:]
        return torch.cat([chances[:, 0, :1], longer.flatten(1)], dim=1)

    def optimum(self, beta: float) -> Tensor:
        """Reference times exp(reward / beta), scaled to 1."""
        longer = self.rewards[:, 2:].flatten(1) if self.width > 1 else self.rewards[:, 0, 1:]
        rewards = torch.cat([self.rewards[:, 0, :1], longer], dim=1).double()
        return (self.completions(self.frozen).log() + rewards / beta).softmax(-1)

    def distance(self, target: Tensor) -> float:
        """The largest total variation over prompts."""
        return float(0.5 * (self.completions(self.policy) - target).abs().sum(1).max())


def tabular(params: Params, **changes: Any) -> Ppo:
    """The committed section, without the controller, for a table: larger steps, more rollouts."""
    table = {
        "steps": 120,
        "rollouts": 1024,
        "batch_size": 256,
        "epochs": 4,
        "learning_rate": 0.03,
        "value_learning_rate": 0.05,
        "gae_lambda": 1.0,
        "clip_range_value": 10.0,
        "beta": 0.5,
        "kl_gain": 0.0,
    }
    return params.align.ppo.model_copy(update=table | changes)


def ignored(*_: Any) -> None:
    """Nobody watches the curves."""


def unmonitored(*_: Any) -> bool:
    """No gate: the run goes on."""
    return False


@pytest.mark.parametrize("width", [1, 2])
def test_the_optimum_is_the_closed_form(params: Params, tmp_path: Path, width: int) -> None:
    torch.manual_seed(0)
    actor = Table(prompts=2, vocabulary=8 if width == 1 else 4, width=width)
    section = tabular(params)
    before = actor.distance(actor.optimum(section.beta))
    history = ppo.optimize(actor, 2, section, tmp_path, ignored, unmonitored)
    after = actor.distance(actor.optimum(section.beta))
    print(f"width {width}: total variation {before:.3f} before, {after:.4f} after")
    assert before > 0.25
    assert after < 0.05
    assert history[-1]["reward"] > history[0]["reward"]
    assert history[-1]["kl"] > 0.1


def test_without_a_reward_the_policy_stays_where_it_was(params: Params, tmp_path: Path) -> None:
    torch.manual_seed(0)
    actor = Table(prompts=2, vocabulary=4, width=2, spread=0.0)
    history = ppo.optimize(actor, 2, tabular(params, steps=20), tmp_path, ignored, unmonitored)
    assert torch.equal(actor.policy, actor.frozen)
    assert history[-1]["kl"] == 0
    assert history[-1]["updates"] == 16


def test_a_very_large_beta_keeps_the_policy_at_the_reference(params: Params, tmp_path: Path) -> None:
    torch.manual_seed(0)
    actor = Table(prompts=2, vocabulary=8, width=1)
    start = actor.completions(actor.frozen)
    ppo.optimize(actor, 2, tabular(params, beta=1e4), tmp_path, ignored, unmonitored)
    print(f"total variation from the reference {actor.distance(start):.4f}")
    assert 0 < actor.distance(start) < 0.02


def test_the_controller_brings_the_kl_to_its_target(params: Params, tmp_path: Path) -> None:
    torch.manual_seed(0)
    actor = Table(prompts=2, vocabulary=8, width=1)
    section = tabular(params, beta=0.05, kl_target=0.3, kl_gain=0.3, steps=150)
    history = ppo.optimize(actor, 2, section, tmp_path, ignored, unmonitored)
    peak = max(figures["kl"] for figures in history)
    assert peak > 0.6
    assert history[-1]["kl"] < 0.75 * peak
    assert history[-1]["beta"] > 2 * section.beta


def test_an_entropy_bonus_keeps_the_policy_flatter(params: Params, tmp_path: Path) -> None:
    last = []
    for weight in (0.0, 1.0):
        torch.manual_seed(0)
        actor = Table(prompts=1, vocabulary=8, width=1)
        section = tabular(params, entropy_coefficient=weight, steps=40)
        last.append(
            ppo.optimize(actor, 1, section, tmp_path / str(weight), ignored, unmonitored)[-1]["entropy"]
        )
    assert last[1] > last[0] + 0.2


def test_an_update_ends_early_where_the_policy_has_moved_too_far(params: Params, tmp_path: Path) -> None:
    torch.manual_seed(0)
    actor = Table(prompts=1, vocabulary=8, width=1)
    section = tabular(params, steps=1, learning_rate=0.5, update_kl_max=0.01)
    figures = ppo.optimize(actor, 1, section, tmp_path, ignored, unmonitored)[0]
    assert figures["updates"] == 1
    assert figures["update_kl"] > 0


def test_a_reward_that_is_no_number_is_a_clear_stop(params: Params, tmp_path: Path) -> None:
    actor = Table(prompts=1, vocabulary=4, width=1, spread=math.nan)
    with pytest.raises(PricewrightError, match="NaN"):
        ppo.optimize(actor, 1, tabular(params), tmp_path, ignored, unmonitored)


class Killed(Exception):
    """The process is gone."""


def killed_at(step: int) -> Callable[[str, float, int], None]:
    """A tracker that ends the run in the middle of a round's curves."""

    def track(name: str, value: float, now: int) -> None:
        if now == step:
            raise Killed

    return track


@pytest.mark.parametrize("step", [3, 5, 6])
def test_a_killed_run_resumes_with_the_same_result(params: Params, tmp_path: Path, step: int) -> None:
    section = tabular(params, steps=9, save_steps=3, kl_gain=0.1, rollouts=64, batch_size=16)

    def run(folder: str, track: Callable[[str, float, int], None]) -> tuple[Table, list[ppo.Figures]]:
        torch.manual_seed(1)
        actor = Table(prompts=2, vocabulary=4, width=2)
        return actor, ppo.optimize(actor, 2, section, tmp_path / folder, track, unmonitored)

    whole, history = run("whole", ignored)
    with pytest.raises(Killed):
        run("killed", killed_at(step))
    torch.rand(5)
    resumed, pieced = run("killed", killed_at(step - 3))  # an earlier round does not come again
    assert pieced == history
    assert torch.equal(resumed.policy, whole.policy)
    assert torch.equal(resumed.worth, whole.worth)


# --- the transformer ---------------------------------------------------------------------------------


def small(params: Params, **changes: Any) -> Ppo:
    sizes = {"steps": 2, "rollouts": 6, "max_completion_length": 4, "batch_size": 3, "save_steps": 1}
    return params.align.ppo.model_copy(update=sizes | changes)


@pytest.fixture
def completer(cheap_task: Task, tiny_params: Params) -> ppo.Completer:
    """The four parts on the tiny base."""
    value_head = adapters.add_reward_model(cheap_task.model, "value", cheap_task.reward)
    prompts = [price_prompt("word " * length, QUESTION) for length in (1, 9, 4)] + list(
        cheap_task.prompts["prompt"]
    )
    parts = (cheap_task.model, value_head, cheap_task.reward_model, cheap_task.tokenizer)
    return ppo.Completer(*parts, prompts, small(tiny_params))


def written(completer: ppo.Completer) -> ppo.Completions:
    """Completions of prompts of three lengths, one ended at once, one later, one cut off."""
    end = completer.end
    actions = torch.tensor([[end, end, end, end], [40, 41, end, end], [50, 51, 52, 53]])
    return ppo.Completions(torch.arange(3), actions, ppo.until_end(actions, end))


@torch.no_grad()
def test_a_batch_is_judged_as_its_rows_one_by_one_with_any_padding(completer: ppo.Completer) -> None:
    together = written(completer)
    junk = together.actions.masked_fill(~together.counted, 99)
    for completions in (together, together._replace(actions=junk)):
        for place in range(3):
            alone = completions.rows(torch.tensor([place]))
            real = alone.counted[0]
            for part in ("policy", "reference"):
                logits = completer.logits(part, together)[place]  # type: ignore[arg-type]
                mine = completer.logits(part, alone)[0]  # type: ignore[arg-type]
                torch.testing.assert_close(mine[real], logits[real], rtol=1e-3, atol=1e-4)
            values = completer.values(together)[place][real]
            torch.testing.assert_close(completer.values(alone)[0][real], values, rtol=1e-3, atol=1e-4)
            scores = completer.scores(together)[place]
            torch.testing.assert_close(completer.scores(alone)[0], scores, rtol=1e-3, atol=1e-4)


def test_the_gradient_of_a_batch_is_that_of_its_rows_one_by_one(
    completer: ppo.Completer, tiny_params: Params
) -> None:
    completions = written(completer)
    torch.manual_seed(0)
    old, advantages, returns = (torch.randn(3, 4) for _ in range(3))
    with torch.no_grad():
        logs = ppo_losses.log_probabilities(completer.logits("policy", completions), completions.actions)
        batch = ppo.Rollout(
            completions, logs + 0.1 * old, completer.values(completions) + 0.1 * old, advantages, returns
        )
    weights = [weight for part in completer.weights() for weight in part]

    def gradient(rows: list[int]) -> list[Tensor]:
        for weight in weights:
            weight.grad = None
        ppo._gradients(completer, batch.rows(torch.tensor(rows)), small(tiny_params))
        return [weight.grad.clone() for weight in weights if weight.grad is not None]

    whole = gradient([0, 1, 2])
    assert len(whole) == len(weights)
    assert sum(float(part.abs().sum()) for part in whole) > 0
    counts = completions.counted.sum(1).tolist()
    alone = [gradient([place]) for place in range(3)]
    for number, first in enumerate(whole):
        summed = sum(count * alone[place][number] for place, count in enumerate(counts)) / sum(counts)
        torch.testing.assert_close(summed, first, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("part", ["policy", "values"])
def test_gradients_after_sampling_are_those_of_finite_differences(
    completer: ppo.Completer, tiny_params: Params, part: str
) -> None:
    """Along each weight's own gradient, at length 1. Sampling comes first: bitsandbytes then packs its
    weights for a kernel that knows no gradient, on processors that have it, unless it is told not to.
    """
    torch.manual_seed(0)
    completions = written(completer)
    with torch.no_grad():
        completer.sample(torch.arange(3))
    weights = completer.weights()[0 if part == "policy" else 1]

    def loss() -> Tensor:
        if part == "values":
            return (completer.values(completions)[completions.counted] ** 2).sum()
        return ppo_losses.log_probabilities(completer.logits("policy", completions), completions.actions)[
            completions.counted
        ].sum()

    gradient = torch.autograd.grad(loss(), weights)
    lengths = [float(first.norm()) for first in gradient]
    step, ends = 1e-3, []
    for sign in (1, -2):
        for weight, first, length in zip(weights, gradient, lengths, strict=True):
            weight.data += sign * step * first / length
        ends.append(float(loss().detach()))
    assert min(lengths) > 0
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(sum(lengths), rel=0.01)


@torch.no_grad()
def test_the_logits_of_a_step_are_those_of_the_plain_model_before_it(
    completer: ppo.Completer, sharp_base: Path, tiny_adapter: Path
) -> None:
    completions = written(completer)
    model = adapters.load_adapted(sharp_base, tiny_adapter)  # on some processors it rounds to bfloat16
    ids = torch.tensor([[*completer.prompts[2], *completions.actions[2].tolist()]])
    plain = model(input_ids=ids).logits[0, -5:-1].float()
    torch.testing.assert_close(completer.logits("policy", completions)[2], plain, rtol=1e-3, atol=2e-2)


def test_policy_and_reference_start_at_the_sft_adapter_and_part_ways(
    completer: ppo.Completer, tiny_params: Params, tmp_path: Path
) -> None:
    completions = written(completer)
    with torch.no_grad():
        start, reference = completer.logits("policy", completions), completer.logits("reference", completions)
        scores = completer.scores(completions)
    assert torch.equal(start, reference)
    torch.manual_seed(0)
    section = small(tiny_params, learning_rate=1e-2)
    ppo.optimize(completer, len(completer.prompts), section, tmp_path, ignored, unmonitored)
    with torch.no_grad():
        assert not torch.allclose(completer.logits("policy", completions), start, atol=1e-3)
        assert torch.equal(completer.logits("reference", completions), reference)
        assert torch.equal(completer.scores(completions), scores)


@torch.no_grad()
def test_scores_are_those_of_the_reward_model_itself(
    completer: ppo.Completer, cheap_judge: tuple[Any, Path]
) -> None:
    completions = written(completer)
    end = completer.end
    ends = [[end], [40, 41, end], [50, 51, 52, 53, end]]
    rows = [[*completer.prompts[place], *tokens] for place, tokens in enumerate(ends)]
    expected = reward_stage.scores(cheap_judge[0], rows, 3, end)
    np.testing.assert_allclose(completer.scores(completions).numpy(), expected, rtol=1e-3, atol=2e-2)
    assert np.ptp(expected) > 0.5


@torch.no_grad()
def test_completions_are_drawn_from_the_policy(completer: ppo.Completer) -> None:
    """Frequencies of the first token against its probabilities, whatever the generation config says."""
    completer.model.generation_config.temperature = 0.1
    completer.model.generation_config.top_k = 1
    completer.batch_size = 2000
    torch.manual_seed(0)
    completions = completer.sample(torch.zeros(2000, dtype=torch.long))
    assert torch.equal(completions.counted, ppo.until_end(completions.actions, completer.end))
    chances = completer.logits("policy", completions.rows(torch.tensor([0])))[0, 0].softmax(-1).double()
    observed = torch.bincount(completions.actions[:, 0], minlength=len(chances)) / 2000
    top = chances.topk(5).indices
    error = (chances[top] * (1 - chances[top]) / 2000).sqrt()
    assert ((observed[top] - chances[top]).abs() < 4 * error + 1e-9).all()


def test_the_mean_reward_rises_and_the_sft_adapter_stays(
    cheap_task: Task, sharp_base: Path, tiny_adapter: Path, tiny_params: Params, tmp_path: Path, recorder: Any
) -> None:
    before = (tiny_adapter / "adapter_model.safetensors").read_bytes()
    steps = {"steps": 10, "rollouts": 96, "batch_size": 48, "epochs": 4, "max_completion_length": 2}
    rates = {"learning_rate": 2e-2, "value_learning_rate": 1e-2, "beta": 0.01}
    torch.manual_seed(0)
    report = ppo.align(cheap_task, small(tiny_params, **steps, **rates))
    print(f"reward {report['first']['reward']:.3f} -> {report['last']['reward']:.3f}, {report['last']}")
    assert report["last"]["reward"] > report["first"]["reward"] + 0.3
    assert report["last"]["kl"] > 0.05
    assert (tiny_adapter / "adapter_model.safetensors").read_bytes() == before
    tracked = {name.removeprefix("curve.") for name, _, _ in recorder.points if name.startswith("curve.")}
    assert tracked == set(report["last"])
    assert {"reward", "kl", "entropy", "clip_fraction", "value_loss", "explained_variance"} <= tracked
    assert [snapshot["step"] for snapshot in cheap_task.monitor.report()["snapshots"]] == [0, 10]
    model = cheap_task.model.eval()
    adapters.save_adapter(model, tmp_path / "aligned")
    files = sorted(file.name for file in (tmp_path / "aligned").iterdir())
    assert files == ["adapter_config.json", "adapter_model.safetensors"]
    prompt = cheap_task.prompts["prompt"][0]
    ids = torch.tensor([prompt_ids(cheap_task.tokenizer, prompt, 128)])
    with torch.no_grad():
        aligned = model(input_ids=ids).logits
        saved = adapters.load_adapted(sharp_base, tmp_path / "aligned")(input_ids=ids).logits
        sft = adapters.load_adapted(sharp_base, tiny_adapter)(input_ids=ids).logits
    torch.testing.assert_close(saved, aligned, rtol=1e-3, atol=5e-2)
    assert (saved - sft).abs().max() > 1


def test_a_killed_run_of_the_transformer_resumes_with_the_same_result(
    cheap_task: Task, sharp_base: Path, tiny_adapter: Path, tiny_params: Params, tmp_path: Path, recorder: Any
) -> None:
    section = small(tiny_params, steps=4, save_steps=2, learning_rate=1e-3)

    class Fatal:
        def metric(self, name: str, value: float, step: int) -> None:
            if name.startswith("curve.") and step == 2:
                raise Killed

    def run(folder: str, tracked: Any) -> tuple[dict[str, Any], list[Tensor], dict[str, Any]]:
        model, head = adapters.load_policy(sharp_base, tiny_adapter, cheap_task.reward)
        reward_model = RewardModel(model, head, cheap_task.tokenizer, 16)
        monitoring = cheap_task.monitor.section.model_copy(update={"snapshots": 2})
        items, scratch = cheap_task.monitor.items[:10], tmp_path / folder
        options: dict[str, Any] = {"error_max": 999.0, "price_max": 999, "scratch": scratch}
        options["track"] = tracked.metric
        monitor = Monitor(model, cheap_task.tokenizer, reward_model, items, monitoring, **options)
        changed = {"model": model, "reward_model": reward_model, "scratch": scratch, "monitor": monitor}
        torch.manual_seed(0)
        report = ppo.align(
            cheap_task._replace(**changed, curves=training.Curves(tracked)),
            section,
        )
        return report, adapters.adapter_weights(model, "default"), monitor.report()

    whole, weights, selected = run("whole", recorder)
    with pytest.raises(Killed):
        run("killed", Fatal())
    again, resumed, snapshots_again = run("killed", recorder)
    assert again == whole
    assert snapshots_again == selected
    assert [snapshot["step"] for snapshot in selected["snapshots"]] == [0, 2, 4]
    for first, second in zip(weights, resumed, strict=True):
        assert torch.equal(first, second)


def test_a_folder_without_a_score_head_is_no_reward_model(sharp_base: Path, tiny_adapter: Path) -> None:
    with pytest.raises(PricewrightError, match="no score head"):
        adapters.load_policy(sharp_base, tiny_adapter, tiny_adapter)
