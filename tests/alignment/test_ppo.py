"""Proximal policy optimization: its optimum in closed form, its checkpoints, and a run of a transformer."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from components.alignment import ppo
from components.alignment.monitor import Monitor
from components.alignment.ppo_losses import Figures
from components.alignment.ppo_rollouts import Completions, Policy, until_end
from components.alignment.rewards import RewardModel
from components.alignment.task import AlignmentTask
from components.core.errors import PricewrightError
from components.core.params.align import Ppo
from components.core.params.file import Params
from components.model import adapters, training
from tests.support.ppo import Killed, small, unmonitored, untracked
from tests.support.project import whole
from tests.support.reward import GOOD


class Table:
    """A policy that is a table of logits, one row per prompt and first token; token 0 ends a completion."""

    def __init__(self, *, prompts: int, vocabulary: int, width: int, spread: float = 1.0) -> None:
        draw = torch.Generator().manual_seed(7)
        states = 1 if width == 1 else vocabulary + 1
        self.frozen = torch.randn(prompts, states, vocabulary, generator=draw)
        self.policy = torch.nn.Parameter(self.frozen.clone())
        self.value = torch.nn.Parameter(torch.zeros(prompts, states))
        self.rewards = spread * torch.randn(prompts, states, vocabulary, generator=draw)
        self.width = width

    def weights(self) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
        return [self.policy], [self.value]

    def sample(self, prompts: Tensor) -> Completions:
        actions = torch.zeros(len(prompts), self.width, dtype=torch.long)
        for step in range(self.width):
            logits = self.policy[prompts[:, None], self._states(actions)][:, step]
            actions[:, step] = torch.multinomial(logits.softmax(-1), 1)[:, 0]
        counted = until_end(actions, 0) if self.width > 1 else torch.ones_like(actions, dtype=torch.bool)
        return Completions(prompts, actions, counted)

    def logits(self, policy: Policy, completions: Completions) -> Tensor:
        table = self.policy if policy == "policy" else self.frozen
        return table[completions.prompts[:, None], self._states(completions.actions)]

    def values(self, completions: Completions) -> Tensor:
        return self.value[completions.prompts[:, None], self._states(completions.actions)]

    def scores(self, completions: Completions) -> Tensor:
        last = completions.counted.sum(1, keepdim=True) - 1
        state = self._states(completions.actions).gather(1, last)[:, 0]
        return self.rewards[completions.prompts, state, completions.actions.gather(1, last)[:, 0]]

    def _states(self, actions: Tensor) -> Tensor:
        """0 before the first token, 1 and that token after it."""
        return torch.cat([torch.zeros_like(actions[:, :1]), 1 + actions[:, :-1]], dim=1)

    def completions(self, logits: Tensor) -> Tensor:
        """Probability of every completion, (prompts, completions)."""
        probabilities = logits.detach().double().softmax(-1)
        if self.width == 1:
            return probabilities[:, 0]
        longer = probabilities[:, 0, 1:, None] * probabilities[:, 2:]
        return torch.cat([probabilities[:, 0, :1], longer.flatten(1)], dim=1)

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


@pytest.mark.parametrize("width", [1, 2])
def test_the_optimum_is_the_closed_form(params: Params, tmp_path: Path, width: int) -> None:
    torch.manual_seed(0)
    actor = Table(prompts=2, vocabulary=8 if width == 1 else 4, width=width)
    section = tabular(params)
    before = actor.distance(actor.optimum(section.beta))
    history = ppo.optimize(actor, 2, section, tmp_path, untracked, unmonitored)
    after = actor.distance(actor.optimum(section.beta))
    print(f"width {width}: total variation {before:.3f} before, {after:.4f} after")
    assert before > 0.25
    assert after < 0.05
    assert history[-1]["reward"] > history[0]["reward"]
    assert history[-1]["kl"] > 0.1


def test_without_a_reward_the_policy_stays_where_it_was(params: Params, tmp_path: Path) -> None:
    torch.manual_seed(0)
    actor = Table(prompts=2, vocabulary=4, width=2, spread=0.0)
    history = ppo.optimize(actor, 2, tabular(params, steps=20), tmp_path, untracked, unmonitored)
    assert torch.equal(actor.policy, actor.frozen)
    assert history[-1]["kl"] == 0
    assert history[-1]["updates"] == 16


def test_a_very_large_beta_keeps_the_policy_at_the_reference(params: Params, tmp_path: Path) -> None:
    torch.manual_seed(0)
    actor = Table(prompts=2, vocabulary=8, width=1)
    start = actor.completions(actor.frozen)
    ppo.optimize(actor, 2, tabular(params, beta=1e4), tmp_path, untracked, unmonitored)
    print(f"total variation from the reference {actor.distance(start):.4f}")
    assert 0 < actor.distance(start) < 0.02


def test_the_controller_brings_the_kl_to_its_target(params: Params, tmp_path: Path) -> None:
    torch.manual_seed(0)
    actor = Table(prompts=2, vocabulary=8, width=1)
    section = tabular(params, beta=0.05, kl_target=0.3, kl_gain=0.3, steps=150)
    history = ppo.optimize(actor, 2, section, tmp_path, untracked, unmonitored)
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
            ppo.optimize(actor, 1, section, tmp_path / str(weight), untracked, unmonitored)[-1]["entropy"]
        )
    assert last[1] > last[0] + 0.2


def test_an_update_ends_early_where_the_policy_has_moved_too_far(params: Params, tmp_path: Path) -> None:
    torch.manual_seed(0)
    actor = Table(prompts=1, vocabulary=8, width=1)
    section = tabular(params, steps=1, learning_rate=0.5, update_kl_max=0.01)
    figures = ppo.optimize(actor, 1, section, tmp_path, untracked, unmonitored)[0]
    assert figures["updates"] == 1
    assert figures["update_kl"] > 0


def test_a_reward_that_is_no_number_is_a_clear_stop(params: Params, tmp_path: Path) -> None:
    actor = Table(prompts=1, vocabulary=4, width=1, spread=math.nan)
    with pytest.raises(PricewrightError, match="NaN"):
        ppo.optimize(actor, 1, tabular(params), tmp_path, untracked, unmonitored)


def killed_at(step: int) -> Callable[[str, float, int], None]:
    """A tracker that ends the run in the middle of a round's curves."""

    def track(name: str, value: float, now: int) -> None:
        if now == step:
            raise Killed

    return track


@pytest.mark.parametrize("step", [3, 5, 6])
def test_a_killed_run_resumes_with_the_same_result(params: Params, tmp_path: Path, step: int) -> None:
    section = tabular(params, steps=9, save_steps=3, kl_gain=0.1, rollouts=64, batch_size=16)

    def run(folder: str, track: Callable[[str, float, int], None]) -> tuple[Table, list[Figures]]:
        torch.manual_seed(1)
        actor = Table(prompts=2, vocabulary=4, width=2)
        return actor, ppo.optimize(actor, 2, section, tmp_path / folder, track, unmonitored)

    whole, history = run("whole", untracked)
    with pytest.raises(Killed):
        run("killed", killed_at(step))
    torch.rand(5)
    resumed, continued = run("killed", killed_at(step - 3))  # an earlier round does not come again
    assert continued == history
    assert torch.equal(resumed.policy, whole.policy)
    assert torch.equal(resumed.value, whole.value)


# --- a transformer ----------------------------------------------------------------------------------


def test_the_mean_reward_rises_and_the_sft_adapter_stays(
    cheap_task: AlignmentTask,
    sharp_base: Path,
    tiny_adapter: Path,
    tiny_params: Params,
    tmp_path: Path,
    recorder: Any,
) -> None:
    before = (tiny_adapter / "adapter_model.safetensors").read_bytes()
    steps = {"steps": 10, "rollouts": 96, "batch_size": 48, "epochs": 4, "max_completion_length": 2}
    rates = {"learning_rate": 2e-2, "value_learning_rate": 1e-2, "beta": 0.01}
    torch.manual_seed(0)
    report = ppo.align(cheap_task, small(tiny_params, **steps, **rates))
    print(f"reward {report['first']['reward']:.3f} -> {report['last']['reward']:.3f}, {report['last']}")
    assert report["last"]["reward"] > report["first"]["reward"] + 0.3
    assert report["last"]["kl"] > 0.05
    assert report["rounds"] == 10 < report["steps"] <= 80
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
    ids = torch.tensor([prompt])
    with torch.no_grad():
        aligned = model(input_ids=ids).logits
        saved = adapters.load_adapted(sharp_base, tmp_path / "aligned")(input_ids=ids).logits
        sft = adapters.load_adapted(sharp_base, tiny_adapter)(input_ids=ids).logits
    torch.testing.assert_close(saved, aligned, rtol=1e-3, atol=5e-2)
    assert (saved - sft).abs().max() > 1


def test_a_killed_run_of_the_transformer_resumes_with_the_same_result(
    cheap_task: AlignmentTask,
    sharp_base: Path,
    tiny_adapter: Path,
    tiny_params: Params,
    tmp_path: Path,
    recorder: Any,
) -> None:
    section = small(tiny_params, steps=4, save_steps=2, learning_rate=1e-3)

    class Fatal:
        def metric(self, name: str, value: float, step: int) -> None:
            if name.startswith("curve.") and step == 2:
                raise Killed

    def run(folder: str, tracked: Any) -> tuple[dict[str, Any], list[Tensor], dict[str, Any]]:
        model, head = adapters.load_policy(sharp_base, tiny_adapter, cheap_task.reward)
        reward_model = RewardModel(model, head, cheap_task.tokenizer, 16, GOOD, whole(999))
        monitoring = cheap_task.monitor.section.model_copy(update={"snapshots": 2})
        items, scratch = cheap_task.monitor.items[:10], tmp_path / folder
        options: dict[str, Any] = {"error_max": 999.0, "under_cost": 1.0, "answers": whole(999)}
        options["scratch"] = scratch
        options["track"] = tracked.metric
        monitor = Monitor(model, cheap_task.tokenizer, reward_model, items, monitoring, **options)
        changed = {"model": model, "reward_model": reward_model, "scratch": scratch, "monitor": monitor}
        torch.manual_seed(0)
        report = ppo.align(
            cheap_task._replace(**changed, curves=training.Curves(tracked)),
            section,
        )
        return report, adapters.adapter_weights(model, "default"), monitor.report()

    unbroken, weights, selected = run("whole", recorder)
    with pytest.raises(Killed):
        run("killed", Fatal())
    again, resumed, snapshots_again = run("killed", recorder)
    assert again == unbroken
    assert snapshots_again == selected
    assert [snapshot["step"] for snapshot in selected["snapshots"]] == [0, 2, 4]
    for first, second in zip(weights, resumed, strict=True):
        assert torch.equal(first, second)
