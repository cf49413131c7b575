"""Proximal policy optimization (Schulman et al. 2017, arXiv:1707.06347) of completions, in own code.

Each round samples completions from the policy, scores them with the reward model, charges each token for
its KL from the frozen reference (Ziegler et al. 2019, arXiv:1909.08593), and updates policy and values on
advantages by generalized advantage estimation (arXiv:1506.02438). From top to bottom: a round and the loop,
which know no transformer; then the transformer, four adapters on one 4-bit base. The formulas are in
ppo_losses.py.

Tensors are (rows, steps): one row per completion, one step per token of it. `counted` is True at the
tokens of a completion, its end-of-text token included, and False at the padding after it; it goes by
length, since the padding token may be the end-of-text token itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from components.alignment.ppo_losses import (
    Figures,
    adapted,
    entropy,
    explained_variance,
    gae,
    kl_per_token,
    log_probabilities,
    masked_mean,
    policy_loss,
    token_rewards,
    value_loss,
    whiten,
)
from components.alignment.rewards import RewardModel
from components.alignment.task import Task
from components.core.errors import PricewrightError
from components.core.params.align import Ppo
from components.model import adapters
from components.model.tokens import left_padded, prompt_ids

Adapter = Literal["policy", "reference"]

# --- a round, and the loop ---------------------------------------------------------------------------


class Completions(NamedTuple):
    """Numbers of prompts, int64 (rows,), and a completion of each as token ids, int64 (rows, steps)."""

    prompts: Tensor
    actions: Tensor
    counted: Tensor

    def rows(self, rows: Tensor) -> Completions:
        """Some of them."""
        return Completions(*(tensor[rows] for tensor in self))


class Actor(Protocol):
    """What the loop needs to know of a policy."""

    def weights(self) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
        """Of policy and values, with no weight in both."""

    def sample(self, prompts: Tensor) -> Completions:
        """Drawn from the policy at temperature 1, one for each number of a prompt."""

    def logits(self, adapter: Adapter, completions: Completions) -> Tensor:
        """(rows, steps, vocabulary): those of a step before its action is known."""

    def values(self, completions: Completions) -> Tensor:
        """Expected return before each action, (rows, steps)."""

    def scores(self, completions: Completions) -> Tensor:
        """The reward of each completion, (rows,)."""


class Rollout(NamedTuple):
    """A round's completions, and their figures when they were sampled: each (rows, steps)."""

    completions: Completions
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor

    def rows(self, rows: Tensor) -> Rollout:
        """Some of them."""
        return Rollout(self.completions.rows(rows), *(tensor[rows] for tensor in self[1:]))


@torch.no_grad()
def rollout(actor: Actor, prompts: Tensor, beta: float, section: Ppo) -> tuple[Rollout, Figures]:
    """Sample a completion of each prompt and score it. Raises PricewrightError for a score of NaN."""
    completions = actor.sample(prompts)
    chunks = torch.arange(len(prompts)).split(section.batch_size)
    scored = zip(*(_scored(actor, completions.rows(rows)) for rows in chunks), strict=True)
    log_probs, reference, spread, values, scores = (torch.cat(chunk) for chunk in scored)
    if not torch.isfinite(scores).all():
        raise PricewrightError("the reward model gives NaN or infinity: lower reward.learning_rate")
    kl = kl_per_token(log_probs, reference, completions.counted)
    rewards = token_rewards(scores, kl, beta, completions.counted)
    advantages, returns = gae(rewards, values, completions.counted, section.gamma, section.gae_lambda)
    figures = {
        "reward": float(scores.mean()),
        "kl": float(kl.sum(1).mean()),
        "beta": beta,
        "entropy": float(masked_mean(spread, completions.counted)),
        "explained_variance": explained_variance(values, returns, completions.counted),
        "completion_length": float(completions.counted.sum(1).float().mean()),
    }
    return Rollout(completions, log_probs, values, whiten(advantages, completions.counted), returns), figures


def _scored(actor: Actor, completions: Completions) -> tuple[Tensor, ...]:
    logits, reference = actor.logits("policy", completions), actor.logits("reference", completions)
    logs = (log_probabilities(logits, completions.actions), log_probabilities(reference, completions.actions))
    return (*logs, entropy(logits), actor.values(completions), actor.scores(completions))


def update(actor: Actor, batch: Rollout, optimizer: torch.optim.Optimizer, section: Ppo) -> Figures:
    """A round's optimizer steps until the policy is too far from the one that sampled; their mean figures."""
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
    """Add the gradients of both losses to the weights. Policy and values share none, so that each loss
    goes backward on its own, while its adapter is the one that answers.
    """
    completions = batch.completions
    logits = actor.logits("policy", completions)
    log_probs = log_probabilities(logits, completions.actions)
    loss, figures = policy_loss(
        log_probs, batch.log_probs, batch.advantages, completions.counted, section.clip_range
    )
    (loss - section.entropy_coefficient * masked_mean(entropy(logits), completions.counted)).backward()
    values = actor.values(completions)
    fit = value_loss(values, batch.values, batch.returns, completions.counted, section.clip_range_value)
    fit.backward()
    return figures | {"policy_loss": float(loss.detach()), "value_loss": float(fit.detach())}


def _mean(figures: list[Figures]) -> Figures:
    return {name: float(np.mean([step[name] for step in figures])) for name in figures[0]}


def optimize(
    actor: Actor,
    prompts: int,
    section: Ppo,
    scratch: Path,
    track: Callable[[str, float, int], None],
    monitor: Callable[[int, int], bool],
) -> list[Figures]:
    """Run all rounds over prompts 0 to `prompts` - 1; the figures of each round.

    `monitor` gets rounds done and rounds in all, before the first and after each; True ends the run. A
    run that finds a checkpoint in `scratch` carries on from it, to the same result.
    """
    policy, values = actor.weights()
    rates = (section.learning_rate, section.value_learning_rate)
    optimizer = torch.optim.Adam([{"params": policy, "lr": rates[0]}, {"params": values, "lr": rates[1]}])
    checkpoint = scratch / "ppo.pt"
    weights, beta, history = [*policy, *values], section.beta, list[Figures]()
    if checkpoint.exists():
        beta, history = _restored(checkpoint, weights, optimizer)
    monitor(len(history), section.steps)
    for step in tqdm(range(len(history), section.steps), desc="ppo", mininterval=2, leave=False):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (1 - step / section.steps)
        batch, figures = rollout(actor, _prompts(step, prompts, section), beta, section)
        figures |= update(actor, batch, optimizer, section)
        beta = adapted(beta, figures["kl"], section.kl_target, section.kl_gain)
        history.append(figures)
        for name, value in figures.items():
            track(f"curve.{name}", value, step)
        if (step + 1) % section.save_steps == 0:
            state = {"weights": [weight.detach() for weight in weights], "optimizer": optimizer.state_dict()}
            _save(checkpoint, **state, beta=beta, history=history)
        if monitor(step + 1, section.steps):
            break
    return history


def _prompts(step: int, count: int, section: Ppo) -> Tensor:
    """Numbers of a round's prompts, known from seed and step: none twice unless there are too few."""
    numbers = np.random.default_rng([section.seed, step]).permutation(count)
    return torch.from_numpy(np.resize(numbers, section.rollouts))


def _save(file: Path, **state: Any) -> None:
    """Write a checkpoint with the state of the random generators, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    random = {"random": torch.get_rng_state(), "random_gpu": torch.cuda.get_rng_state_all()}
    torch.save(state | random, file.with_suffix(".part"))
    os.replace(file.with_suffix(".part"), file)


def _restored(
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


# --- the transformer ---------------------------------------------------------------------------------


def until_end(actions: Tensor, end: int) -> Tensor:
    """The counted tokens: all up to the first end-of-text token, and that one too."""
    ended = (actions == end).long()
    return ended.cumsum(1) - ended == 0


class Completer:
    """Policy, reference, values and reward model as adapters that take turns on one base."""

    def __init__(
        self,
        model: Any,
        value_head: Any,
        reward_model: RewardModel,
        tokenizer: Any,
        prompts: list[str],
        section: Ppo,
    ):
        self.model, self.value_head, self.reward_model = model, value_head, reward_model
        self.end = tokenizer.eos_token_id
        self.width, self.batch_size = section.max_completion_length, section.batch_size
        self.prompts = [prompt_ids(tokenizer, text, tokenizer.model_max_length) for text in prompts]

    def weights(self) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
        """The adapter of the policy; that of the values, and their head."""
        values = [*adapters.adapter_weights(self.model, "value"), *self.value_head.parameters()]
        return adapters.adapter_weights(self.model, "default"), values

    def sample(self, prompts: Tensor) -> Completions:
        """See `Actor`; all rows are `completion_tokens` wide."""
        self._turn("default")
        actions = torch.full((len(prompts), self.width), self.end)
        for rows in torch.arange(len(prompts)).split(self.batch_size):
            tokens, real, _ = left_padded([self.prompts[prompt] for prompt in prompts[rows]])
            output = self.model.generate(
                input_ids=tokens.to(self.model.device),
                attention_mask=real.to(self.model.device),
                do_sample=True,  # from the policy as it is: whatever its generation_config.json says
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                repetition_penalty=1.0,
                max_new_tokens=self.width,
                eos_token_id=self.end,
                pad_token_id=self.end,
            )[:, tokens.shape[1] :].cpu()
            actions[rows, : output.shape[1]] = output
        return Completions(prompts, actions, until_end(actions, self.end))

    def logits(self, adapter: Adapter, completions: Completions) -> Tensor:
        """See `Actor`."""
        self._turn("default" if adapter == "policy" else adapter)
        logits = self.model(
            **self._inputs(completions), use_cache=False, logits_to_keep=self.width + 1
        ).logits
        return logits[:, :-1].float().cpu()

    def values(self, completions: Completions) -> Tensor:
        """See `Actor`."""
        self._turn("value")
        hidden = self.model.get_base_model().base_model(**self._inputs(completions), use_cache=False)
        return self.value_head(hidden.last_hidden_state[:, -1 - self.width : -1].float())[..., 0].cpu()

    def scores(self, completions: Completions) -> Tensor:
        """See `Actor`. As the reward model was trained: with an end-of-text token, even after a completion
        that was cut off.
        """
        rows = [
            [*self.prompts[prompt], *(token for token in row[real].tolist() if token != self.end), self.end]
            for prompt, row, real in zip(*completions, strict=True)
        ]
        return self.reward_model.of_tokens(rows)

    def _turn(self, adapter: str) -> None:
        learning = torch.is_grad_enabled()
        adapters.activate(self.model, adapter, frozen=not learning)
        self.model.train(learning)  # gradient checkpointing only works in training; dropout is off

    def _inputs(self, completions: Completions) -> dict[str, Tensor]:
        tokens, real, _ = left_padded([self.prompts[prompt] for prompt in completions.prompts])
        mask = torch.cat([real, completions.counted.long()], dim=1)
        inputs = {
            "input_ids": torch.cat([tokens, completions.actions], dim=1),
            "attention_mask": mask,
            "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
        }
        return {name: tensor.to(self.model.device) for name, tensor in inputs.items()}


def align(task: Task, section: Ppo) -> dict[str, Any]:
    """Train the policy on the prompts of the preference split; returns first and last round's figures."""
    value_head = adapters.add_reward_model(task.model, "value", task.reward)  # as in arXiv:2203.02155
    prompts = list(dict.fromkeys(task.prompts["prompt"]))
    actor = Completer(task.model, value_head, task.reward_model, task.tokenizer, prompts, section)
    history = optimize(actor, len(prompts), section, task.scratch, task.curves.run.metric, task.monitor.at)
    adapters.activate(task.model, "default", frozen=False)
    return {"prompts": len(prompts), "steps": len(history), "first": history[0], "last": history[-1]}
