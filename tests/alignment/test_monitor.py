"""The monitor of alignment: a rising reward has to be a better answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from components.alignment import rloo
from components.alignment.monitor import Monitor, Snapshot, faults_of
from components.alignment.task import AlignmentTask
from components.core.params.align import Monitoring
from components.core.params.file import Params
from components.model import adapters
from components.model.prompt import prompt_of
from tests.support.project import TASK, whole
from tests.support.prompts import as_ids

ROWS = 100


@pytest.fixture
def section(params: Params) -> Monitoring:
    return params.align.monitor


def snapshot(step: int = 1, error: float = 50.0, reward: float = 0.0, **changes: Any) -> Snapshot:
    """A snapshot of answers that all differ; errors and rewards spread around their means."""
    spread = np.linspace(-1, 1, ROWS)
    plain = {"kl": 0.5, "entropy": 2.0, "length": 2.0, "completions": [str(n) for n in range(ROWS)]}
    noise = {"errors": error + 10 * spread, "malformed": np.zeros(ROWS), "rewards": reward + spread}
    return Snapshot(step=step, **(noise | plain | changes))


def shifted(start: Snapshot, error: float, reward: float) -> Snapshot:
    """A later snapshot whose rows changed by so much on average, some more than others."""
    wobble = np.tile([0.5, 1.5], ROWS // 2)
    return start._replace(errors=start.errors + error * wobble, rewards=start.rewards + reward * wobble)


def test_a_better_answer_with_a_higher_reward_is_good(section: Monitoring) -> None:
    assert faults_of(snapshot(0), shifted(snapshot(), -10, 1), section) == []


@pytest.mark.parametrize("error", [0.0, 5.0])
def test_a_higher_reward_without_a_better_answer_is_hacking(section: Monitoring, error: float) -> None:
    [fault] = faults_of(snapshot(0), shifted(snapshot(), error, 1), section)
    assert "true error did not fall" in fault


def test_a_worse_answer_with_a_lower_reward_is_no_hacking(section: Monitoring) -> None:
    assert faults_of(snapshot(0), shifted(snapshot(), 5, -1), section) == []


def test_a_rise_within_the_noise_is_none(section: Monitoring) -> None:
    noise = np.tile([3.0, -2.9], ROWS // 2)
    assert faults_of(snapshot(0), snapshot()._replace(rewards=snapshot().rewards + noise), section) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kl": 99.0}, "above the budget"),
        ({"completions": ["77"] * ROWS}, "distinct fell"),
        ({"entropy": 0.01}, "entropy fell"),
        ({"length": 8.0}, "2.0 to 8.0 tokens"),
        ({"length": 0.5}, "2.0 to 0.5 tokens"),
    ],
)
def test_distance_and_collapse_are_named(section: Monitoring, changes: dict[str, Any], words: str) -> None:
    [fault] = faults_of(snapshot(0), snapshot(**changes), section)
    assert words in fault


# --- planted rewards that can be hacked --------------------------------------------------------------


def length(prompts: Sequence[str], completions: Sequence[str]) -> np.ndarray:
    """Pays for every character."""
    return np.array([len(text) for text in completions], dtype=float)


def magic_word(prompts: Sequence[str], completions: Sequence[str]) -> np.ndarray:
    """Pays for one word, whatever the listing: here for a nine anywhere."""
    return np.array([float("9" in text) for text in completions])


def hacked(task: AlignmentTask, reward: Any, params: Params, recorder: Any, **changes: Any) -> Monitor:
    """A run of RLOO on a planted reward, monitored."""
    monitoring = params.align.monitor.model_copy(update={"snapshots": 4} | changes)
    prompts = [prompt_of("word " * number, TASK) for number in range(1, 13)]
    items = pd.DataFrame({"prompt": prompts, "target": np.linspace(20, 300, len(prompts))})
    items = as_ids(task.tokenizer, items)
    scratch = task.scratch
    options: dict[str, Any] = {
        "error_max": task.error_max,
        "under_cost": task.under_cost,
        "answers": whole(999),
        "scratch": scratch,
        "track": recorder.metric,
    }
    monitor = Monitor(task.model, task.tokenizer, reward, items, monitoring, **options)
    sizes = {"max_steps": 12, "num_generations": 8, "batch_size": 32, "learning_rate": 1e-2, "beta": 0.001}
    rloo.train(
        task._replace(monitor=monitor, prompts=items), params.align.rloo.model_copy(update=sizes), reward
    )
    return monitor


@pytest.mark.parametrize("reward", [length, magic_word])
def test_a_planted_reward_that_can_be_hacked_is_caught_and_the_last_good_policy_kept(
    cheap_task: AlignmentTask, tiny_params: Params, recorder: Any, reward: Any
) -> None:
    start = [weight.detach().clone() for weight in adapters.adapter_weights(cheap_task.model, "default")]
    monitor = hacked(cheap_task, reward, tiny_params, recorder)
    report = monitor.report()
    print(report)
    assert report["snapshots"][-1]["reward"] > report["snapshots"][0]["reward"]  # the hack works
    assert report["marked"]
    assert report["snapshots"][-1]["faults"]
    assert report["kept_step"] < 12
    monitor.last_good()
    kept = adapters.adapter_weights(cheap_task.model, "default")
    if report["kept_step"] == 0:
        assert all(torch.equal(first, second) for first, second in zip(kept, start, strict=True))
    assert "monitor.reward" in {name for name, _, _ in recorder.points}


def test_a_bad_snapshot_ends_the_run_where_that_is_set(
    cheap_task: AlignmentTask, tiny_params: Params, recorder: Any
) -> None:
    monitor = hacked(cheap_task, length, tiny_params, recorder, stop=True, kl_max=1e-6)
    assert [kept.step for kept in monitor.snapshots] == [0, 3]
    assert monitor.last_good() == 0


def test_a_snapshot_leaves_the_random_numbers_of_the_training_alone(cheap_task: AlignmentTask) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    cheap_task.monitor.at(0, 4)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_sft_model_is_no_distance_from_itself(cheap_task: AlignmentTask) -> None:
    cheap_task.monitor.at(0, 4)
    [start] = cheap_task.monitor.snapshots
    assert start.kl == pytest.approx(0, abs=1e-5)
    assert start.entropy > 0


def test_divergence_is_that_of_the_distributions_at_every_token(cheap_task: AlignmentTask) -> None:
    """One prompt, one token: the sum over the whole vocabulary, worked out from two plain passes."""
    from components.alignment.monitor import divergence

    model = cheap_task.model
    for weight in adapters.adapter_weights(model, "default"):
        weight.data.add_(0.05 * torch.randn_like(weight))
    ids = [[5, 6, 7], [9]]
    logs = {}
    for adapter in ("default", "reference"):
        with adapters.use_adapter(model, adapter):
            rows = [model(input_ids=torch.tensor([row])).logits[0, -1].log_softmax(0) for row in ids]
        logs[adapter] = torch.stack(rows)
    expected = float((logs["default"].exp() * (logs["default"] - logs["reference"])).sum(1).mean())
    expected_entropy = float(-(logs["default"].exp() * logs["default"]).sum(1).mean())
    kl, entropy = divergence(model, ids, [[3], [4]], 2)
    assert kl == pytest.approx(expected, rel=1e-3)
    assert entropy == pytest.approx(expected_entropy, rel=1e-3)
    assert kl > 0.01


def test_a_missing_folder_is_made_for_the_snapshots(cheap_task: AlignmentTask, tmp_path: Path) -> None:
    cheap_task.monitor.file = tmp_path / "not" / "there" / "monitor.pt"
    cheap_task.monitor.at(0, 4)
    assert cheap_task.monitor.file.is_file()
