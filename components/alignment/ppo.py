"""Proximal policy optimization (Schulman et al. 2017, arXiv:1707.06347) of completions, in own code.

Each round samples completions from the policy, scores them with the reward model, charges each token for
its KL from the frozen reference (Ziegler et al. 2019, arXiv:1909.08593), and updates policy and values on
advantages by generalized advantage estimation (arXiv:1506.02438). Here are the updates, the loop and its
checkpoints; a round's completions are in ppo_rollouts.py, the formulas in ppo_losses.py, and the transformer,
which none of these know, in ppo_actor.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from components.alignment.ppo_actor import AdapterActor
from components.alignment.ppo_losses import (
    Figures,
    adapt_beta,
    entropy,
    log_probabilities,
    masked_mean,
    policy_loss,
    value_loss,
)
from components.alignment.ppo_rollouts import Actor, Rollout, rollout
from components.alignment.task import AlignmentTask
from components.core.params.align import Ppo
from components.model import adapters


def align(task: AlignmentTask, section: Ppo) -> dict[str, Any]:
    """Train the policy on the prompts of the preference split; returns first and last round's figures.

    Raises PricewrightError where the reward model is not `usable`.
    """
    reward_model = task.reward_model.usable()
    value_head = adapters.add_reward_model(task.model, "value", task.reward)  # as in arXiv:2203.02155
    prompts = list(dict.fromkeys(task.prompts["prompt"]))
    actor = AdapterActor(task.model, value_head, reward_model, task.tokenizer, prompts, section)
    history = optimize(actor, len(prompts), section, task.scratch, task.curves.run.metric, task.monitor.at)
    adapters.activate(task.model, "default", frozen=False)
    return {
        "prompts": len(prompts),
        "rounds": len(history),
        "steps": int(sum(figures["updates"] for figures in history)),
        "first": history[0],
        "last": history[-1],
    }


def optimize(
    actor: Actor,
    prompts: int,
    section: Ppo,
    scratch: Path,
    track: Callable[[str, float, int], None],
    monitor: Callable[[int, int], bool],
) -> list[Figures]:
    """Run all rounds over prompts 0 to `prompts` - 1; returns the figures of each round.

    `monitor` gets rounds done and rounds in all, before the first and after each; True ends the run. A
    run that finds a checkpoint in `scratch` carries on from it, to the same result.
    """
    policy, values = actor.weights()
    rates = (section.learning_rate, section.value_learning_rate)
    optimizer = torch.optim.Adam([{"params": policy, "lr": rates[0]}, {"params": values, "lr": rates[1]}])
    checkpoint = scratch / "ppo.pt"
    weights, beta, history = [*policy, *values], section.beta, list[Figures]()
    if checkpoint.exists():
        beta, history = _load(checkpoint, weights, optimizer)
    monitor(len(history), section.steps)
    for step in tqdm(range(len(history), section.steps), desc="ppo", mininterval=2, leave=False):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (1 - step / section.steps)
        batch, figures = rollout(actor, _prompts(step, prompts, section), beta, section)
        figures |= update(actor, batch, optimizer, section)
        beta = adapt_beta(beta, figures["kl"], section.kl_target, section.kl_gain)
        history.append(figures)
        for name, value in figures.items():
            track(f"curve.{name}", value, step)
        if (step + 1) % section.save_steps == 0:
            state = {"weights": [weight.detach() for weight in weights], "optimizer": optimizer.state_dict()}
            _save(checkpoint, **state, beta=beta, history=history)
        if monitor(step + 1, section.steps):
            break
    return history


def update(actor: Actor, batch: Rollout, optimizer: torch.optim.Optimizer, section: Ppo) -> Figures:
    """The optimizer steps of a round, until the policy is too far from the one that sampled; mean figures."""
    steps: list[Figures] = []
    for _ in range(section.epochs):
        for rows in torch.randperm(len(batch.log_probs)).split(section.batch_size):
            figures = _gradients(actor, batch.rows(rows), section)
            if figures["update_kl"] > section.update_kl_max:
                optimizer.zero_grad()
                return _mean([*steps, figures]) | {"updates": len(steps)}
            for group in optimizer.param_groups:
                torch.nn.utils.clip_grad_norm_(group["params"], section.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            steps.append(figures)
    return _mean(steps) | {"updates": len(steps)}


def _gradients(actor: Actor, batch: Rollout, section: Ppo) -> Figures:
    """Add the gradients of both losses to the weights. Policy and value function share none, so that each
    loss goes backward on its own, while its adapter is the active one.
    """
    completions = batch.completions
    logits = actor.logits("policy", completions)
    log_probs = log_probabilities(logits, completions.actions)
    loss, figures = policy_loss(
        log_probs, batch.log_probs, batch.advantages, completions.counted, section.clip_range
    )
    (loss - section.entropy_coefficient * masked_mean(entropy(logits), completions.counted)).backward()
    values = actor.values(completions)
    value = value_loss(values, batch.values, batch.returns, completions.counted, section.clip_range_value)
    value.backward()
    return figures | {"policy_loss": float(loss.detach()), "value_loss": float(value.detach())}


def _mean(figures: list[Figures]) -> Figures:
    return {name: float(np.mean([step[name] for step in figures])) for name in figures[0]}


def _prompts(step: int, count: int, section: Ppo) -> Tensor:
    """Numbers of a round's prompts, by seed and step alone: none twice unless there are too few."""
    numbers = np.random.default_rng([section.seed, step]).permutation(count)
    return torch.from_numpy(np.resize(numbers, section.rollouts))


def _save(file: Path, **state: Any) -> None:
    """Write a checkpoint with the state of the random generators, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    random = {"random": torch.get_rng_state(), "random_gpu": torch.cuda.get_rng_state_all()}
    torch.save(state | random, file.with_suffix(".part"))
    os.replace(file.with_suffix(".part"), file)


def _load(
    file: Path, weights: list[torch.nn.Parameter], optimizer: torch.optim.Optimizer
) -> tuple[float, list[Figures]]:
    """(beta, history) of a checkpoint; weights, optimizer and random generators are set to it."""
    state = torch.load(file, map_location="cpu", weights_only=True)
    for weight, saved in zip(weights, state["weights"], strict=True):
        weight.data.copy_(saved)
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    torch.cuda.set_rng_state_all(state["random_gpu"])
    return state["beta"], state["history"]
