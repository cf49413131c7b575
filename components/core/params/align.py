"""Section `align` of params.yaml: alignment methods and the monitor of their runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.core.params.section import Count, Rate, Section, Seed, Share

DpoLoss = Literal[
    "sigmoid",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
    "sft",
    "sigmoid_norm",
]
RewardSource = Literal["truth", "model"]
Method = Literal["dpo", "grpo", "ppo", "rloo", "sft_best_of_n"]
"""Each a file of that name in components/alignment/."""


class Dpo(Section):
    """Direct preference optimization (Rafailov et al. 2023, arXiv:2305.18290)."""

    seed: Seed
    loss_type: Annotated[list[DpoLoss], Field(min_length=1)]
    """TRL's names; the losses of several are added up. `sigmoid` is that of the paper."""
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)]
    """Share of pairs taken to be the wrong way round; read by `robust` (above 0 there) and `exo_pair`."""
    beta: Annotated[float, Field(gt=0)]
    epochs: Annotated[float, Field(gt=0)]
    batch_size: Count
    learning_rate: Rate


class SftBestOfN(Section):
    """Rejection sampling: the policy fine-tuned on the best of its own completions."""

    seed: Seed
    reward: RewardSource
    """By which the best is chosen: the truth, or the reward model."""
    completions: Annotated[int, Field(ge=2)]
    """Sampled for each prompt."""
    temperature: Annotated[float, Field(gt=0)]
    sample_batch_size: Count
    epochs: Annotated[float, Field(gt=0)]
    batch_size: Count
    learning_rate: Rate


class Online(Section):
    """What rloo and grpo share: they sample as they train."""

    seed: Seed
    reward: RewardSource
    """`truth`: minus the error; `model`: the reward model."""
    beta: Annotated[float, Field(gt=0)]
    """Cost of a nat of KL from the reference, in units of reward: that of the task for `truth`."""
    num_generations: Annotated[int, Field(ge=2)]
    """Completions of one prompt, each other's baseline."""
    batch_size: Count
    """Completions in a step, a multiple of `num_generations`."""
    max_steps: Count
    num_iterations: Count
    """Optimizer steps on the same completions."""
    max_completion_length: Count
    """Longest completion, the end-of-text token included."""
    learning_rate: Rate
    epsilon: Share
    """How far the probability ratio of new and old policy counts on either side of 1."""

    @model_validator(mode="after")
    def _whole_groups(self) -> Online:
        if self.batch_size % self.num_generations:
            raise ValueError(
                f"batch_size {self.batch_size} is no multiple of num_generations {self.num_generations}"
            )
        return self


class Rloo(Online):
    """REINFORCE leave-one-out (Ahmadian et al. 2024, arXiv:2402.14740)."""


class Grpo(Online):
    """Group relative policy optimization (Shao et al. 2024, arXiv:2402.03300)."""

    scale_rewards: bool
    """Whether rewards are divided by their standard deviation in the group."""


class Ppo(Section):
    """Proximal policy optimization (arXiv:1707.06347) with a KL penalty (arXiv:1909.08593)."""

    seed: Seed
    steps: Count
    """Rounds of sampling and updating."""
    rollouts: Count
    """Completions sampled in each round, one per prompt."""
    max_completion_length: Count
    """Longest completion, the end-of-text token included."""
    batch_size: Count
    """Completions in an optimizer step, and in any pass through the model."""
    epochs: Count
    """Passes over the completions of a round."""
    learning_rate: Rate
    """Of the policy; falls to zero in a straight line, as does the next."""
    value_learning_rate: Rate
    gamma: Annotated[float, Field(gt=0, le=1)]
    """Discount of later rewards."""
    gae_lambda: Annotated[float, Field(ge=0, le=1)]
    """0 trusts the value head, 1 the sampled return (generalized advantage estimation)."""
    clip_range: Share
    """How far the probability ratio of new and old policy counts on either side of 1."""
    clip_range_value: Annotated[float, Field(gt=0)]
    """How far a value may move in one round before its gradient is cut."""
    entropy_coefficient: Annotated[float, Field(ge=0)]
    """Weight of the entropy bonus; above 0 the optimum is flatter than the KL penalty alone makes it."""
    beta: Annotated[float, Field(gt=0)]
    """Cost of a nat of KL from the reference, in units of reward; where the controller starts."""
    kl_target: Annotated[float, Field(gt=0)]
    """Nats per completion that the controller of beta steers to."""
    kl_gain: Annotated[float, Field(ge=0)]
    """How fast it steers (0.1 in arXiv:1909.08593); 0 keeps beta where it is."""
    update_kl_max: Annotated[float, Field(gt=0)]
    """Nats per token from the sampling policy at which the updates of a round end early."""
    max_grad_norm: Annotated[float, Field(gt=0)]
    save_steps: Count
    """Rounds between two checkpoints, from which a killed run resumes."""


class Monitoring(Section):
    """The monitor of every alignment run: reward against true error on validation (alignment/monitor.py)."""

    seed: Seed
    rows: Annotated[int, Field(ge=10)]
    """Validation prompts answered at each snapshot, at most as many as there are."""
    snapshots: Count
    """Snapshots after the first, which is the SFT model, evenly over the run."""
    batch_size: Count
    stop: bool
    """Whether a bad snapshot ends the run; its weights are never kept either way."""
    reward_rise: Annotated[float, Field(ge=0)]
    """Standard errors, paired by prompt, from which the reward has risen."""
    error_fall: Annotated[float, Field(ge=0)]
    """Standard errors, paired by prompt, from which the true error has fallen."""
    kl_max: Annotated[float, Field(gt=0)]
    """Budget in nats per completion."""
    distinct_min: Annotated[float, Field(ge=0, lt=1)]
    """Smallest share of the different completions that there were at the SFT model."""
    entropy_min: Annotated[float, Field(ge=0, lt=1)]
    """Smallest share of the SFT model's entropy per token."""
    length_drift: Annotated[float, Field(gt=1)]
    """Largest factor by which completions may grow longer or shorter."""
    bootstrap: Annotated[int, Field(ge=100)]
    """Resamples for each 95% interval against the SFT model."""


class SftContinued(Section):
    """The control of every method: SFT trained on, on the right answers of the preference split, for as many
    steps of as many rows as the method had (alignment/controls.py).
    """

    seed: Seed
    learning_rate: Rate


class Align(Section):
    """Alignment of the SFT model; each method becomes a candidate of its own."""

    methods: Annotated[list[Method], Field(min_length=1)]
    error_max: Annotated[float, Field(gt=0)]
    """In the unit of the task: the error of a completion that is no number, and the largest error that
    counts: when rewards are the truth, and at the snapshots of the monitor. A few wild answers would drown
    the rest in noise.
    """
    monitor: Monitoring
    sft_continued: SftContinued
    dpo: Dpo
    sft_best_of_n: SftBestOfN
    rloo: Rloo
    grpo: Grpo
    ppo: Ppo
