"""What an alignment method has to beat."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from components.align import continue_as_long
from components.alignment.controls import (
    TEMPERATURE_MIN,
    continue_sft,
    entropy,
    matching_temperature,
    tempered,
)
from components.alignment.task import AlignmentTask
from components.core.params.file import Params
from components.model import adapters
from components.model.distribution import answer_masses
from tests.support.project import whole

MASSES = np.array([[0.1, 0.4, 0.3, 0.0], [0.0, 0.2, 0.2, 0.6]], dtype=np.float32)


def test_a_temperature_sharpens_the_prices_and_leaves_how_many_answers_are_one() -> None:
    np.testing.assert_allclose(tempered(MASSES, 1.0), MASSES, rtol=1e-6)
    np.testing.assert_allclose(tempered(MASSES, 0.5)[0], 0.8 * np.array([1, 16, 9, 0]) / 26, rtol=1e-6)
    cold = tempered(np.array([[1e-30, 2e-30, 0.0]], dtype=np.float32), TEMPERATURE_MIN)
    np.testing.assert_allclose(cold, [[0, 3e-30, 0]], rtol=1e-4, atol=1e-40)
    assert not tempered(np.zeros((1, 4), dtype=np.float32), 0.5).any()


def test_entropy_is_that_of_the_price_given_that_there_is_one() -> None:
    assert entropy(np.full((3, 4), 0.1)) == pytest.approx(np.log(4))
    assert entropy(np.array([[0.0, 0.3]])) == 0


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
def test_the_temperature_gives_the_entropy_that_was_asked_for(share: float) -> None:
    target = share * entropy(MASSES)
    temperature = matching_temperature(MASSES, target)
    assert TEMPERATURE_MIN < temperature < 1
    assert entropy(tempered(MASSES, temperature)) == pytest.approx(target, rel=1e-6)


def test_a_target_out_of_reach_gives_the_nearest_temperature() -> None:
    assert matching_temperature(MASSES, 2 * entropy(MASSES)) == 1
    assert matching_temperature(np.full((1, 4), 0.2), 0.0) == TEMPERATURE_MIN


def test_sft_continued_learns_the_true_prices_and_leaves_policy_and_reference_alone(
    cheap_task: AlignmentTask, tiny_params: Params
) -> None:
    model = cheap_task.model
    policy = adapters.adapter_weights(model, "default")
    policy[1].data.add_(0.5)  # as if a method had trained it
    before, start = (
        [weight.clone() for weight in adapters.adapter_weights(model, name)]
        for name in ("default", "reference")
    )
    section = tiny_params.align.sft_continued.model_copy(update={"learning_rate": 1e-2})
    weights = continue_sft(cheap_task, section, steps=12, batch_size=16)
    for name, kept in {"default": before, "reference": start}.items():
        for weight, other in zip(adapters.adapter_weights(model, name), kept, strict=True):
            torch.testing.assert_close(weight, other, rtol=0, atol=0)
    with adapters.policy_at(model, start):
        sft = probability_of_truth(cheap_task)
    with adapters.policy_at(model, weights):
        assert probability_of_truth(cheap_task) > 1.5 * sft


def probability_of_truth(task: AlignmentTask) -> float:
    prompts = list(task.prompts["prompt"])
    with adapters.use_adapter(task.model, "default"):
        masses = answer_masses(
            task.model, task.tokenizer, prompts, whole(999).spelled, batch_size=16, title=""
        )
    prices = whole(999).places(task.prompts["target"])
    return float(masses[np.arange(len(prices)), prices].mean())


def test_the_control_has_the_steps_and_the_rows_of_the_method(
    cheap_task: AlignmentTask, tiny_params: Params
) -> None:
    section = tiny_params.align
    own = continue_as_long(cheap_task, {"steps": 2}, section, "dpo")
    by_hand = [
        continue_sft(cheap_task, section.sft_continued, steps=steps, batch_size=section.dpo.batch_size)
        for steps in (2, 3)
    ]
    assert all(torch.equal(left, right) for left, right in zip(own, by_hand[0], strict=True))
    assert not all(torch.equal(left, right) for left, right in zip(own, by_hand[1], strict=True))
