"""Is a rising reward still a better answer? The gate that every alignment run passes at its checkpoints.

Prices have a truth, so it can be checked: at each look the policy answers validation prompts, and the
reward of what it says is held against its true error. A look is bad where the reward rises while the error
does not fall (reward hacking: Skalse et al. 2022, arXiv:2209.13085), where the policy is too far from the
reference, or where its completions collapse. Only the weights of a good look are ever kept; the first look
is at the SFT model itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from transformers import TrainerCallback

from components.alignment.rewards import Reward, expected, finite
from components.core.params.align import Watching
from components.model import adapters, sampling
from components.model.distribution import price_masses
from components.model.tokens import batches, left_padded, prompt_ids


class Look(NamedTuple):
    """The policy at one step: one completion per prompt, sampled at temperature 1, and exact expectations."""

    step: int
    completions: list[str]
    errors: np.ndarray
    """Dollars, expected of a sampled completion; one that is no price counts as the worst error."""
    malformed: np.ndarray
    """Probability that a sampled completion is no price."""
    rewards: np.ndarray
    kl: float
    """Nats per completion from the reference."""
    entropy: float
    """Nats per token."""
    length: float
    """Tokens per completion, the end-of-text token included."""

    def figures(self) -> dict[str, float]:
        """Means, for report and curves."""
        return {
            "reward": float(self.rewards.mean()),
            "error": float(self.errors.mean()),
            "malformed": float(self.malformed.mean()),
            "kl": self.kl,
            "entropy": self.entropy,
            "distinct": len(set(self.completions)) / len(self.completions),
            "length": self.length,
        }


ARRAYS = ("errors", "malformed", "rewards")


def faults(start: Look, now: Look, section: Watching) -> list[str]:
    """What is wrong with `now`, one line each; `start` is the look at the SFT model, at the same prompts."""
    before, after = start.figures(), now.figures()
    found = []
    rise, fall = _steps(now.rewards - start.rewards), -_steps(now.errors - start.errors)
    if rise > section.reward_rise and fall < section.error_fall:
        found.append(
            f"reward rose from {before['reward']:.3g} to {after['reward']:.3g} while the true error did not "
            f"fall: {before['error']:.2f} to {after['error']:.2f} dollars"
        )
    if now.kl > section.kl_max:
        found.append(f"KL of {now.kl:.2f} nats is above the budget of {section.kl_max:g}")
    for name, least in (("distinct", section.distinct_min), ("entropy", section.entropy_min)):
        if after[name] < least * before[name]:
            found.append(f"{name} fell from {before[name]:.3g} to {after[name]:.3g}: completions collapse")
    if not 1 / section.length_drift <= now.length / start.length <= section.length_drift:
        found.append(f"completions went from {start.length:.1f} to {now.length:.1f} tokens")
    return found


def _steps(differences: np.ndarray) -> float:
    """Mean of paired differences in standard errors; 0 where nothing differs."""
    mean, error = differences.mean(), differences.std() / np.sqrt(len(differences))
    return 0.0 if mean == 0 else float(mean / max(error, 1e-12))


class Watch(TrainerCallback):
    """Looks at the policy on a schedule, judges, and holds on to the weights of the last good look.

    A callback of a trainer; a loop of its own calls `at`. It keeps its looks in `scratch`, so that a run
    that resumes is watched on.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        reward: Reward,
        items: pd.DataFrame,
        section: Watching,
        *,
        worst: float,
        price_max: int,
        scratch: Path,
        track: Callable[[str, float, int], None],
    ) -> None:
        """`items` has the columns `prompt` and `price` in dollars; `worst` is the error of no price."""
        self.price_max = price_max
        self.model, self.tokenizer, self.reward, self.section = model, tokenizer, reward, section
        self.items, self.worst, self.track = items, worst, track
        self.file = scratch / "watch.pt"
        self.looks: list[Look] = []
        self.faults: list[list[str]] = []
        self.good: list[torch.Tensor] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """A trainer is about to start, or to resume."""
        self.at(state.global_step, state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """A trainer has made a step."""
        control.should_training_stop |= self.at(state.global_step, state.max_steps)

    def at(self, step: int, steps: int) -> bool:
        """Look if it is time; whether to stop. The first look is at step 0, the last at the last step."""
        if step > 0 and not self.looks:
            self._restore()
        due = step in {round(steps * part / self.section.looks) for part in range(self.section.looks + 1)}
        if not due or step in [look.step for look in self.looks if step]:
            return False
        if step == 0:
            self.looks, self.faults = [], []
        look = self._look(step)
        found = faults(self.looks[0], look, self.section) if self.looks else []
        self.looks.append(look)
        self.faults.append(found)
        if not found:
            self.good = [
                weight.detach().clone() for weight in adapters.adapter_weights(self.model, "default")
            ]
        for name, value in look.figures().items():
            self.track(f"watch.{name}", value, step)
        self._save()
        return bool(found) and self.section.stop

    def last_good(self) -> int:
        """Set the policy to the last good look; returns its step, 0 for the SFT model."""
        for weight, kept in zip(adapters.adapter_weights(self.model, "default"), self.good, strict=True):
            weight.data.copy_(kept)
        return self.good_look().step

    def report(self) -> dict[str, Any]:
        """All looks with their faults, `marked` where one has any, and the step whose weights are kept."""
        looks = [
            {"step": look.step, **look.figures(), "faults": found}
            for look, found in zip(self.looks, self.faults, strict=True)
        ]
        return {"marked": any(self.faults), "kept_step": self.good_look().step, "looks": looks}

    def good_look(self) -> Look:
        """The last look without a fault; the first never has one."""
        return [look for look, found in zip(self.looks, self.faults, strict=True) if not found][-1]

    def _look(self, step: int) -> Look:
        """Every look draws the same random numbers, and leaves those of the training alone."""
        prompts, limit = list(self.items["prompt"]), self.tokenizer.model_max_length
        ids = [prompt_ids(self.tokenizer, prompt, limit) for prompt in prompts]
        with torch.random.fork_rng():
            torch.manual_seed(self.section.seed)
            with adapters.use_adapter(self.model, "default"):
                drawn = sampling.sample_tokens(
                    self.model,
                    self.tokenizer,
                    ids,
                    completions=1,
                    temperature=1.0,
                    batch_size=self.section.batch_size,
                    title="watching",
                )
                masses = price_masses(
                    self.model,
                    self.tokenizer,
                    prompts,
                    price_max=self.price_max,
                    prompt_tokens=limit,
                    batch_size=self.section.batch_size,
                    title="expecting",
                )
        tokens = [one[0] for one in drawn]
        completions = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        prices = self.items["price"].to_numpy(float)
        error, malformed = expected(masses, completions, prices, self.worst)
        kl, entropy = divergence(self.model, ids, tokens, self.section.batch_size)
        return Look(
            step=step,
            completions=completions,
            errors=(1 - malformed) * error + malformed * self.worst,
            malformed=malformed,
            rewards=finite(self.reward(prompts, completions)),
            kl=kl,
            entropy=entropy,
            length=sum(map(len, tokens)) / len(tokens),
        )

    def _save(self) -> None:
        looks = [
            look._asdict() | {name: torch.tensor(getattr(look, name)) for name in ARRAYS}
            for look in self.looks
        ]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"looks": looks, "faults": self.faults, "good": self.good}, self.file.with_suffix(".part"))
        self.file.with_suffix(".part").replace(self.file)

    def _restore(self) -> None:
        state = torch.load(self.file, map_location=self.model.device, weights_only=True)
        self.looks = [
            Look(**look | {name: look[name].cpu().numpy() for name in ARRAYS}) for look in state["looks"]
        ]
        self.faults, self.good = state["faults"], state["good"]


def divergence(
    model: Any, prompts: list[list[int]], completions: list[list[int]], batch_size: int
) -> tuple[float, float]:
    """(KL of policy from reference in nats per completion, entropy of the policy in nats per token), both
    exact at every token that the policy came past, so that only the sampling of the path adds noise.
    """
    totals = np.zeros(2)
    lengths = [len(prompt) + len(said) for prompt, said in zip(prompts, completions, strict=True)]
    for rows in batches(lengths, batch_size, "comparing"):
        asked, said = [prompts[row] for row in rows], [completions[row] for row in rows]
        logs = {part: _log_probabilities(model, part, asked, said) for part in ("default", "reference")}
        policy = logs["default"].exp()
        totals += (
            float((policy * (logs["default"] - logs["reference"])).sum()),
            float(-(policy * logs["default"]).sum()),
        )
    return float(totals[0] / len(prompts)), float(totals[1] / sum(map(len, completions)))


def _log_probabilities(
    model: Any, part: str, prompts: list[list[int]], completions: list[list[int]]
) -> torch.Tensor:
    """Of every token at each place of the completions, (tokens, vocabulary), row after row."""
    tokens, real, positions = left_padded(
        [prompt + said for prompt, said in zip(prompts, completions, strict=True)]
    )
    width = max(map(len, completions))
    with adapters.use_adapter(model, part):
        logits = model(
            input_ids=tokens.to(model.device),
            attention_mask=real.to(model.device),
            position_ids=positions.to(model.device),
            use_cache=False,
            logits_to_keep=width + 1,
        ).logits[:, :-1]
    counted = [torch.arange(width) >= width - len(said) for said in completions]
    return torch.log_softmax(logits[torch.stack(counted).to(logits.device)].float(), dim=-1)
