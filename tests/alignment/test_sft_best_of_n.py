"""Rejection sampling."""

from __future__ import annotations

import pytest

from components.alignment import rewards, sft_best_of_n
from components.alignment.task import AlignmentTask
from components.core.params.file import Params
from tests.support.project import whole


def test_the_best_completion_of_each_prompt_is_kept_the_first_of_equals() -> None:
    reward = rewards.truth(["p", "q"], [100.0, 50.0], whole(999), 200.0, 1.0)
    best, figures = sft_best_of_n.best_of(["p", "q"], [["90", "99", "1"], ["60", "40", "x"]], reward)
    assert best == ["99", "60"]
    assert figures["mean_best_reward"] == -5.5
    assert figures["mean_reward"] == pytest.approx(-(10 + 1 + 99 + 10 + 10 + 200) / 6)


@pytest.mark.parametrize("source", ["truth", "model"])
def test_best_of_n_trains_the_policy_towards_what_was_best(
    cheap_task: AlignmentTask, tiny_params: Params, source: str
) -> None:
    changes = {"reward": source, "completions": 4, "temperature": 1.0, "epochs": 4.0, "learning_rate": 5e-3}
    report = sft_best_of_n.align(cheap_task, tiny_params.align.sft_best_of_n.model_copy(update=changes))
    assert report["mean_best_reward"] > report["mean_reward"]
    start, end = cheap_task.monitor.snapshots
    assert end.kl > start.kl + 0.01
