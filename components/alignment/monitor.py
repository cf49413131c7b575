"""Is a rising reward still a better answer? The monitor of every alignment run.

Answers have a truth, so it can be checked: at each snapshot the policy answers validation prompts, and the
reward of its completions is held against their true error. A snapshot has a fault where the reward rises
while the error does not fall (reward hacking: Skalse et al. 2022, arXiv:2209.13085), where the policy is too
far from the reference, or where its completions collapse. Only the weights of a snapshot without a fault are
ever kept; the first is the SFT model itself.
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
from components.core.params.align import Monitoring
from components.model import adapters, sampling
from components.model.answers import AnswerSet
from components.model.distribution import answer_masses
from components.model.examples import PromptIds
from components.model.tokens import batches, left_padded


class Snapshot(NamedTuple):
    """The policy at a step: a completion of each prompt, sampled at temperature 1, and exact expectations."""

    step: int
    completions: list[str]
    errors: np.ndarray
    """Expected of a sampled completion; one that is no answer counts as `error_max`."""
    malformed: np.ndarray
    """Probability that a sampled completion is no answer."""
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


def faults_of(start: Snapshot, now: Snapshot, section: Monitoring) -> list[str]:
    """The faults of `now`, a line for each; `start` is the SFT model, at the same prompts."""
    before, after = start.figures(), now.figures()
    faults = []
    rise, fall = _standard_errors(now.rewards - start.rewards), -_standard_errors(now.errors - start.errors)
    if rise > section.reward_rise and fall < section.error_fall:
        faults.append(
            f"reward rose from {before['reward']:.3g} to {after['reward']:.3g} while the true error did not "
            f"fall: {before['error']:.2f} to {after['error']:.2f}"
        )
    if now.kl > section.kl_max:
        faults.append(f"KL of {now.kl:.2f} nats is above the budget of {section.kl_max:g}")
    for name, least in (("distinct", section.distinct_min), ("entropy", section.entropy_min)):
        if after[name] < least * before[name]:
            faults.append(f"{name} fell from {before[name]:.3g} to {after[name]:.3g}: completions collapse")
    if not 1 / section.length_drift <= now.length / start.length <= section.length_drift:
        faults.append(f"completions went from {start.length:.1f} to {now.length:.1f} tokens")
    return faults


def _standard_errors(differences: np.ndarray) -> float:
    """Mean of paired differences in standard errors; 0 where nothing differs."""
    mean, error = differences.mean(), differences.std() / np.sqrt(len(differences))
    return 0.0 if mean == 0 else float(mean / max(error, 1e-12))


class Monitor(TrainerCallback):
    """Measures the policy on a schedule, and keeps the weights of the last snapshot that passed every check.

    A callback of a trainer; a loop of its own calls `at`. Its snapshots are kept in `scratch`, so that the
    monitor of a resumed run goes on with them.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        reward: Reward,
        items: pd.DataFrame,
        section: Monitoring,
        *,
        error_max: float,
        under_cost: float,
        answers: AnswerSet,
        scratch: Path,
        track: Callable[[str, float, int], None],
    ) -> None:
        """`items` has the columns `prompt`, its token ids, and `target`; `error_max` is the loss of no
        answer, and an answer below the truth counts `under_cost` times.
        """
        self.answers = answers
        self.model, self.tokenizer, self.reward, self.section = model, tokenizer, reward, section
        self.items, self.track = items, track
        self.error_max, self.under_cost = error_max, under_cost
        self.file = scratch / "monitor.pt"
        self.snapshots: list[Snapshot] = []
        self.faults: list[list[str]] = []
        self.good: list[torch.Tensor] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """A trainer is about to start, or to resume."""
        self.at(state.global_step, state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """A trainer has made a step."""
        control.should_training_stop |= self.at(state.global_step, state.max_steps)

    def at(self, step: int, steps: int) -> bool:
        """Take a snapshot if it is time; whether to stop. The first is at step 0, the last at the end."""
        if step > 0 and not self.snapshots:
            self._restore()
        count = self.section.snapshots
        due = step in {round(steps * part / count) for part in range(count + 1)}
        if not due or step in [snapshot.step for snapshot in self.snapshots if step]:
            return False
        if step == 0:
            self.snapshots, self.faults = [], []
        snapshot = self._snapshot(step)
        faults = faults_of(self.snapshots[0], snapshot, self.section) if self.snapshots else []
        self.snapshots.append(snapshot)
        self.faults.append(faults)
        if not faults:
            self.good = [
                weight.detach().clone() for weight in adapters.adapter_weights(self.model, "default")
            ]
        for name, value in snapshot.figures().items():
            self.track(f"monitor.{name}", value, step)
        self._save()
        return bool(faults) and self.section.stop

    def last_good(self) -> int:
        """Set the policy to the last snapshot without a fault; returns its step, 0 for the SFT model."""
        adapters.set_weights(self.model, self.good)
        return self.good_snapshot().step

    def report(self) -> dict[str, Any]:
        """All snapshots with their faults, `marked` where any has one, and the step of the kept weights."""
        snapshots = [
            {"step": snapshot.step, **snapshot.figures(), "faults": faults}
            for snapshot, faults in zip(self.snapshots, self.faults, strict=True)
        ]
        return {
            "marked": any(self.faults),
            "kept_step": self.good_snapshot().step,
            "snapshots": snapshots,
        }

    def good_snapshot(self) -> Snapshot:
        """The last snapshot without a fault; the first never has one."""
        both = zip(self.snapshots, self.faults, strict=True)
        return [snapshot for snapshot, faults in both if not faults][-1]

    def _snapshot(self, step: int) -> Snapshot:
        """Every snapshot draws the same random numbers, and leaves those of the training alone."""
        prompts = list(self.items["prompt"])
        with torch.random.fork_rng():
            torch.manual_seed(self.section.seed)
            with adapters.use_adapter(self.model, "default"):
                sampled = sampling.sample_tokens(
                    self.model,
                    self.tokenizer,
                    prompts,
                    completions=1,
                    temperature=1.0,
                    new_tokens=sampling.room_for(self.tokenizer, self.answers.spelled),
                    batch_size=self.section.batch_size,
                    title="monitoring",
                )
                masses = answer_masses(
                    self.model,
                    self.tokenizer,
                    prompts,
                    self.answers.spelled,
                    batch_size=self.section.batch_size,
                    title="expecting",
                )
        tokens = [completions[0] for completions in sampled]
        completions = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        true = self.items["target"].to_numpy(float)
        error, malformed = expected(masses, completions, true, self.answers, self.error_max, self.under_cost)
        kl, entropy = divergence(self.model, prompts, tokens, self.section.batch_size)
        return Snapshot(
            step=step,
            completions=completions,
            errors=(1 - malformed) * error + malformed * self.error_max,
            malformed=malformed,
            rewards=finite(self.reward(prompts, completions)),
            kl=kl,
            entropy=entropy,
            length=sum(map(len, tokens)) / len(tokens),
        )

    def _save(self) -> None:
        snapshots = [
            snapshot._asdict() | {name: torch.tensor(getattr(snapshot, name)) for name in ARRAYS}
            for snapshot in self.snapshots
        ]
        state = {"snapshots": snapshots, "faults": self.faults, "good": self.good}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, self.file.with_suffix(".part"))
        self.file.with_suffix(".part").replace(self.file)

    def _restore(self) -> None:
        state = torch.load(self.file, map_location=self.model.device, weights_only=True)
        self.snapshots = [
            Snapshot(**kept | {name: kept[name].cpu().numpy() for name in ARRAYS})
            for kept in state["snapshots"]
        ]
        self.faults, self.good = state["faults"], state["good"]


def divergence(
    model: Any, prompts: list[PromptIds], completions: list[list[int]], batch_size: int
) -> tuple[float, float]:
    """(KL of policy from reference in nats per completion, entropy of the policy in nats per token), both
    exact at every sampled token, so that only the sampling of the path adds noise.
    """
    totals = np.zeros(2)
    lengths = [len(prompt) + len(text) for prompt, text in zip(prompts, completions, strict=True)]
    for rows in batches(lengths, batch_size, "comparing"):
        batch = [prompts[row] for row in rows], [completions[row] for row in rows]
        logs = {name: _log_probabilities(model, name, *batch) for name in ("default", "reference")}
        policy = logs["default"].exp()
        totals += (
            float((policy * (logs["default"] - logs["reference"])).sum()),
            float(-(policy * logs["default"]).sum()),
        )
    return float(totals[0] / len(prompts)), float(totals[1] / sum(map(len, completions)))


def _log_probabilities(
    model: Any, adapter: str, prompts: list[PromptIds], completions: list[list[int]]
) -> torch.Tensor:
    """Of every token at each place of the completions by an adapter, (tokens, vocabulary), row after row."""
    tokens, real, positions = left_padded(
        [[*prompt, *text] for prompt, text in zip(prompts, completions, strict=True)]
    )
    width = max(map(len, completions))
    with adapters.use_adapter(model, adapter):
        logits = model(
            input_ids=tokens.to(model.device),
            attention_mask=real.to(model.device),
            position_ids=positions.to(model.device),
            use_cache=False,
            logits_to_keep=width + 1,
        ).logits[:, :-1]
    counted = [torch.arange(width) >= width - len(text) for text in completions]
    return torch.log_softmax(logits[torch.stack(counted).to(logits.device)].float(), dim=-1)
