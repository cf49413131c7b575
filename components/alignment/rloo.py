"""REINFORCE leave-one-out (Ahmadian et al. 2024, arXiv:2402.14740), by TRL.

Several completions of a prompt are each other's baseline: what counts is by how much one is better than
the mean of the others. The KL from the frozen reference is charged to the reward, so that the optimum is
reference times exp(reward / beta).
"""

from __future__ import annotations

from typing import Any

from trl import RLOOConfig, RLOOTrainer

from components.alignment.online import OnTokens, train_online, trainer_config
from components.alignment.rewards import Reward, reward_by
from components.alignment.task import AlignmentTask
from components.core.params.align import Rloo


class Trainer(OnTokens, RLOOTrainer):
    """RLOOTrainer on the token ids that a model reads."""


def align(task: AlignmentTask, section: Rloo) -> dict[str, Any]:
    """Train the policy on the prompts of the preference split; returns first and last figures."""
    return train(task, section, reward_by(section.reward, task))


def train(task: AlignmentTask, section: Rloo, reward: Reward) -> dict[str, Any]:
    """The same with any reward."""
    options = RLOOConfig(**trainer_config(task, section))
    return train_online(task, Trainer, options, reward)
