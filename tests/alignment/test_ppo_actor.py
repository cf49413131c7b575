"""The transformer as an actor: its adapters, its batches, its gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from components import reward as reward_stage
from components.alignment import ppo, ppo_losses
from components.alignment.ppo_actor import AdapterActor
from components.alignment.ppo_rollouts import Completions, Policy, Rollout, until_end
from components.alignment.task import AlignmentTask
from components.core.params.file import Params
from components.model import adapters
from components.model.examples import answer_ids, read_prompts
from components.model.prompt import prompt_of
from tests.support.ppo import small, unmonitored, untracked
from tests.support.project import TASK


@pytest.fixture
def actor(cheap_task: AlignmentTask, tiny_params: Params) -> AdapterActor:
    """Policy, reference, value function and reward model on the tiny base."""
    value_head = adapters.add_reward_model(cheap_task.model, "value", cheap_task.reward)
    texts = [prompt_of("word " * length, TASK) for length in (1, 9, 4)]
    prompts = read_prompts(cheap_task.tokenizer, texts, 128) + list(cheap_task.prompts["prompt"])
    models = (cheap_task.model, value_head, cheap_task.reward_model, cheap_task.tokenizer)
    return AdapterActor(*models, prompts, small(tiny_params))


def written(actor: AdapterActor) -> Completions:
    """Completions of prompts of three lengths, one ended at once, one later, one cut off."""
    end = actor.end
    actions = torch.tensor([[end, end, end, end], [40, 41, end, end], [50, 51, 52, 53]])
    return Completions(torch.arange(3), actions, until_end(actions, end))


@torch.no_grad()
def test_a_batch_has_the_figures_of_its_rows_alone_with_any_padding(actor: AdapterActor) -> None:
    together = written(actor)
    junk = together.actions.masked_fill(~together.counted, 99)
    for completions in (together, together._replace(actions=junk)):
        for place in range(3):
            alone = completions.rows(torch.tensor([place]))
            real = alone.counted[0]
            for policy in get_args(Policy):
                logits = actor.logits(policy, together)[place]
                torch.testing.assert_close(
                    actor.logits(policy, alone)[0][real], logits[real], rtol=1e-3, atol=1e-4
                )
            values = actor.values(together)[place][real]
            torch.testing.assert_close(actor.values(alone)[0][real], values, rtol=1e-3, atol=1e-4)
            scores = actor.scores(together)[place]
            torch.testing.assert_close(actor.scores(alone)[0], scores, rtol=1e-3, atol=1e-4)


def test_the_gradient_of_a_batch_is_that_of_its_rows_alone(actor: AdapterActor, tiny_params: Params) -> None:
    completions = written(actor)
    torch.manual_seed(0)
    old, advantages, returns = (torch.randn(3, 4) for _ in range(3))
    with torch.no_grad():
        logs = ppo_losses.log_probabilities(actor.logits("policy", completions), completions.actions)
        batch = Rollout(
            completions, logs + 0.1 * old, actor.values(completions) + 0.1 * old, advantages, returns
        )
    weights = [weight for group in actor.weights() for weight in group]

    def gradient(rows: list[int]) -> list[Tensor]:
        for weight in weights:
            weight.grad = None
        ppo._gradients(actor, batch.rows(torch.tensor(rows)), small(tiny_params))
        return [weight.grad.clone() for weight in weights if weight.grad is not None]

    whole = gradient([0, 1, 2])
    assert len(whole) == len(weights)
    assert sum(float(gradients.abs().sum()) for gradients in whole) > 0
    counts = completions.counted.sum(1).tolist()
    alone = [gradient([place]) for place in range(3)]
    for number, gradients in enumerate(whole):
        summed = sum(count * alone[place][number] for place, count in enumerate(counts)) / sum(counts)
        torch.testing.assert_close(summed, gradients, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("trained", ["policy", "values"])
def test_gradients_after_sampling_are_those_of_finite_differences(actor: AdapterActor, trained: str) -> None:
    """Along each weight's own gradient, at length 1. Sampling comes first: bitsandbytes then packs its
    weights for a kernel without a gradient, on processors that have it, unless that is switched off.
    """
    torch.manual_seed(0)
    completions = written(actor)
    with torch.no_grad():
        actor.sample(torch.arange(3))
    weights = actor.weights()[0 if trained == "policy" else 1]

    def loss() -> Tensor:
        if trained == "values":
            return (actor.values(completions)[completions.counted] ** 2).sum()
        return ppo_losses.log_probabilities(actor.logits("policy", completions), completions.actions)[
            completions.counted
        ].sum()

    gradients = torch.autograd.grad(loss(), weights)
    norms = [float(gradient.norm()) for gradient in gradients]
    step, ends = 1e-3, []
    for sign in (1, -2):
        for weight, gradient, norm in zip(weights, gradients, norms, strict=True):
            weight.data += sign * step * gradient / norm
        ends.append(float(loss().detach()))
    assert min(norms) > 0
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(sum(norms), rel=0.01)


@torch.no_grad()
def test_the_logits_of_a_step_are_those_of_the_plain_model_before_it(
    actor: AdapterActor, sharp_base: Path, tiny_adapter: Path
) -> None:
    completions = written(actor)
    model = adapters.load_adapted(sharp_base, tiny_adapter)  # on some processors it rounds to bfloat16
    ids = torch.tensor([[*actor.prompts[2], *completions.actions[2].tolist()]])
    plain = model(input_ids=ids).logits[0, -5:-1].float()
    torch.testing.assert_close(actor.logits("policy", completions)[2], plain, rtol=1e-3, atol=2e-2)


def test_policy_and_reference_start_at_the_sft_adapter_and_part_ways(
    actor: AdapterActor, tiny_params: Params, tmp_path: Path
) -> None:
    completions = written(actor)
    with torch.no_grad():
        start, reference = actor.logits("policy", completions), actor.logits("reference", completions)
        scores = actor.scores(completions)
    assert torch.equal(start, reference)
    torch.manual_seed(0)
    section = small(tiny_params, learning_rate=1e-2)
    ppo.optimize(actor, len(actor.prompts), section, tmp_path, untracked, unmonitored)
    with torch.no_grad():
        assert not torch.allclose(actor.logits("policy", completions), start, atol=1e-3)
        assert torch.equal(actor.logits("reference", completions), reference)
        assert torch.equal(actor.scores(completions), scores)


@torch.no_grad()
def test_scores_are_those_of_the_reward_model_itself(
    actor: AdapterActor, cheap_reward_model: tuple[Any, Path]
) -> None:
    completions = written(actor)
    end = actor.end
    texts = actor.tokenizer.batch_decode([[], [40, 41], [50, 51, 52, 53]])
    answers = [answer_ids(actor.tokenizer, text) for text in texts]
    rows = [[*prompt, *answer] for prompt, answer in zip(actor.prompts[:3], answers, strict=True)]
    expected = reward_stage.scores(cheap_reward_model[0], rows, 3, end)
    np.testing.assert_allclose(actor.scores(completions).numpy(), expected, rtol=1e-3, atol=2e-2)
    assert np.ptp(expected) > 0.5


@torch.no_grad()
def test_completions_are_drawn_from_the_policy(actor: AdapterActor) -> None:
    """Frequencies of the first token against its probabilities, whatever the generation config says."""
    actor.model.generation_config.temperature = 0.1
    actor.model.generation_config.top_k = 1
    actor.batch_size = 2000
    torch.manual_seed(0)
    completions = actor.sample(torch.zeros(2000, dtype=torch.long))
    assert torch.equal(completions.counted, until_end(completions.actions, actor.end))
    probabilities = actor.logits("policy", completions.rows(torch.tensor([0])))[0, 0].softmax(-1).double()
    observed = torch.bincount(completions.actions[:, 0], minlength=len(probabilities)) / 2000
    top = probabilities.topk(5).indices
    error = (probabilities[top] * (1 - probabilities[top]) / 2000).sqrt()
    assert ((observed[top] - probabilities[top]).abs() < 4 * error + 1e-9).all()
