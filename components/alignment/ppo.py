"""Proximal policy optimization (Schulman et al. 2017, arXiv:1707.06347) of completions, in own code.

Each round samples completions from the policy, scores them with the reward model, charges each token for
its KL from the frozen reference (Ziegler et al. 2019, arXiv:1909.08593), and updates policy and values on
advantages by generalized advantage estimation (arXiv:1506.02438). From top to bottom: the formulas, a
round and the loop, which know no transformer; then the transformer, four adapters on one 4-bit base.

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

from components.alignment.rewards import RewardModel
from components.alignment.task import Task
from components.core.errors import PricewrightError
from components.core.params.align import Ppo
from components.model import adapters
from components.model.tokens import left_padded, prompt_ids

Figures = dict[str, float]
Part = Literal["policy", "reference"]

# --- the formulas ------------------------------------------------------------------------------------


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


def adapted(beta: float, kl: float, target: float, gain: float) -> float:
    """The next beta: larger where the KL is above its target, by at most a fifth of `gain`."""
    return beta * (1 + gain * float(np.clip(kl / target - 1, -0.2, 0.2)))


def explained_variance(values: Tensor, returns: Tensor, counted: Tensor) -> float:
    """Share of the returns' variance that the values explain; 0 where the returns do not vary."""
    real, guessed = returns[counted], values[counted]
    variance = real.var(correction=0)
    return float(1 - (real - guessed).var(correction=0) / variance) if variance > 1e-12 else 0.0


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

    def logits(self, part: Part, said: Completions) -> Tensor:
        """(rows, steps, vocabulary): those of a step before its action is known."""

    def values(self, said: Completions) -> Tensor:
        """Expected return before each action, (rows, steps)."""

    def scores(self, said: Completions) -> Tensor:
        """The reward of each completion, (rows,)."""


class Rollout(NamedTuple):
    """A round's completions, and what was thought of them when they were sampled: each (rows, steps)."""

    said: Completions
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor

    def rows(self, rows: Tensor) -> Rollout:
        """Some of them."""
        return Rollout(self.said.rows(rows), *(tensor[rows] for tensor in self[1:]))


@torch.no_grad()
def rollout(actor: Actor, prompts: Tensor, beta: float, section: Ppo) -> tuple[Rollout, Figures]:
    """Sample a completion of each prompt and judge it. Raises PricewrightError for a score of NaN."""
    said = actor.sample(prompts)
    chunks = torch.arange(len(prompts)).split(section.batch_size)
    judged = zip(*(_judged(actor, said.rows(rows)) for rows in chunks), strict=True)
    log_probs, reference, spread, values, scores = (torch.cat(chunk) for chunk in judged)
    if not torch.isfinite(scores).all():
        raise PricewrightError("the reward model gives NaN or infinity: lower reward.learning_rate")
    kl = kl_per_token(log_probs, reference, said.counted)
    rewards = token_rewards(scores, kl, beta, said.counted)
    advantages, returns = gae(rewards, values, said.counted, section.gamma, section.gae_lambda)
    figures = {
        "reward": float(scores.mean()),
        "kl": float(kl.sum(1).mean()),
        "beta": beta,
        "entropy": float(masked_mean(spread, said.counted)),
        "explained_variance": explained_variance(values, returns, said.counted),
        "completion_length": float(said.counted.sum(1).float().mean()),
    }
    return Rollout(said, log_probs, values, whiten(advantages, said.counted), returns), figures


def _judged(actor: Actor, said: Completions) -> tuple[Tensor, ...]:
    logits, reference = actor.logits("policy", said), actor.logits("reference", said)
    logs = (log_probabilities(logits, said.actions), log_probabilities(reference, said.actions))
    return (*logs, entropy(logits), actor.values(said), actor.scores(said))


def update(actor: Actor, batch: Rollout, optimizer: torch.optim.Optimizer, section: Ppo) -> Figures:
    """A round's optimizer steps until the policy is too far from the one that sampled; their mean figures."""
    done: list[Figures] = []
    for _ in range(section.epochs):
        for rows in torch.randperm(len(batch.log_probs)).split(section.batch_size):
            figures = _gradients(actor, batch.rows(rows), section)
            if figures["update_kl"] > section.update_kl_max:
                optimizer.zero_grad()
                return _mean([*done, figures]) | {"updates": len(done)}
            for group in optimizer.param_groups:
                torch.nn.utils.clip_grad_norm_(group["params"], section.gradient_norm_max)
            optimizer.step()
            optimizer.zero_grad()
            done.append(figures)
    return _mean(done) | {"updates": len(done)}


def _gradients(actor: Actor, part: Rollout, section: Ppo) -> Figures:
    """Add the gradients of both losses to the weights. Policy and values share none, so that each loss
    goes backward on its own, while its adapter is the one that answers.
    """
    said = part.said
    logits = actor.logits("policy", said)
    log_probs = log_probabilities(logits, said.actions)
    loss, figures = policy_loss(log_probs, part.log_probs, part.advantages, said.counted, section.clip)
    (loss - section.entropy * masked_mean(entropy(logits), said.counted)).backward()
    values = actor.values(said)
    fit = value_loss(values, part.values, part.returns, said.counted, section.value_clip)
    fit.backward()
    return figures | {"policy_loss": float(loss.detach()), "value_loss": float(fit.detach())}


def _mean(figures: list[Figures]) -> Figures:
    return {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}


def optimize(
    actor: Actor,
    prompts: int,
    section: Ppo,
    scratch: Path,
    track: Callable[[str, float, int], None],
    watch: Callable[[int, int], bool],
) -> list[Figures]:
    """Run all rounds over prompts 0 to `prompts` - 1; the figures of each round.

    `watch` is told rounds done and rounds in all, before the first and after each; True ends the run. A
    run that finds a checkpoint in `scratch` carries on from it, to the same result.
    """
    policy, values = actor.weights()
    rates = (section.learning_rate, section.value_learning_rate)
    optimizer = torch.optim.Adam([{"params": policy, "lr": rates[0]}, {"params": values, "lr": rates[1]}])
    checkpoint = scratch / "ppo.pt"
    weights, beta, history = [*policy, *values], section.beta, list[Figures]()
    if checkpoint.exists():
        beta, history = _restored(checkpoint, weights, optimizer)
    watch(len(history), section.steps)
    for step in tqdm(range(len(history), section.steps), desc="ppo", mininterval=2, leave=False):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (1 - step / section.steps)
        batch, figures = rollout(actor, _prompts(step, prompts, section), beta, section)
        figures |= update(actor, batch, optimizer, section)
        beta = adapted(beta, figures["kl"], section.kl_target, section.kl_gain)
        history.append(figures)
        for name, value in figures.items():
            track(f"curve.{name}", value, step)
        if (step + 1) % section.checkpoint_steps == 0:
            state = {"weights": [weight.detach() for weight in weights], "optimizer": optimizer.state_dict()}
            _save(checkpoint, **state, beta=beta, history=history)
        if watch(step + 1, section.steps):
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
        self.width, self.batch_size = section.completion_tokens, section.batch_size
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

    def logits(self, part: Part, said: Completions) -> Tensor:
        """See `Actor`."""
        self._turn("default" if part == "policy" else part)
        logits = self.model(**self._inputs(said), use_cache=False, logits_to_keep=self.width + 1).logits
        return logits[:, :-1].float().cpu()

    def values(self, said: Completions) -> Tensor:
        """See `Actor`."""
        self._turn("value")
        hidden = self.model.get_base_model().base_model(**self._inputs(said), use_cache=False)
        return self.value_head(hidden.last_hidden_state[:, -1 - self.width : -1].float())[..., 0].cpu()

    def scores(self, said: Completions) -> Tensor:
        """See `Actor`. As the reward model was trained: with an end-of-text token, even after a completion
        that was cut off.
        """
        rows = [
            [*self.prompts[prompt], *(token for token in row[real].tolist() if token != self.end), self.end]
            for prompt, row, real in zip(*said, strict=True)
        ]
        return self.reward_model.of_tokens(rows)

    def _turn(self, part: str) -> None:
        learning = torch.is_grad_enabled()
        adapters.activate(self.model, part, frozen=not learning)
        self.model.train(learning)  # gradient checkpointing only works in training; dropout is off

    def _inputs(self, said: Completions) -> dict[str, Tensor]:
        tokens, real, _ = left_padded([self.prompts[prompt] for prompt in said.prompts])
        mask = torch.cat([real, said.counted.long()], dim=1)
        inputs = {
            "input_ids": torch.cat([tokens, said.actions], dim=1),
            "attention_mask": mask,
            "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
        }
        return {name: tensor.to(self.model.device) for name, tensor in inputs.items()}


def align(task: Task, section: Ppo) -> dict[str, Any]:
    """Train the policy on the prompts of the preference split; returns first and last round's figures."""
    value_head = adapters.add_reward_model(
        task.model, "value", task.reward
    )  # arXiv:2203.02155 starts it there
    prompts = list(dict.fromkeys(task.asked["prompt"]))
    actor = Completer(task.model, value_head, task.reward_model, task.tokenizer, prompts, section)
    history = optimize(actor, len(prompts), section, task.scratch, task.curves.run.metric, task.watch.at)
    adapters.activate(task.model, "default", frozen=False)
    return {"prompts": len(prompts), "steps": len(history), "first": history[0], "last": history[-1]}
