"""Section `reward` of params.yaml: the reward model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.core.params.section import Count, Rate, Section, Seed, Share


class Reward(Section):
    """The reward model: the SFT adapter trained on with a scalar head, on pairs (Bradley-Terry)."""

    seed: Seed
    epochs: Annotated[float, Field(gt=0)]
    batch_size: Count
    learning_rate: Rate
    center_rewards_coefficient: Annotated[float, Field(ge=0)]
    """Weight of the penalty that keeps the mean reward at zero (arXiv:2312.09244)."""
    held_out: Share
    """Share of the prompts on which pair accuracy is measured."""
