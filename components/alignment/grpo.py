"""Group relative policy optimization (Shao et al. 2024, arXiv:2402.03300), by TRL.

Like rloo.py a baseline from the group of a prompt's completions, its rewards divided by their standard
deviation where `scale_rewards` is on (without it: arXiv:2503.20783); the KL is charged to
the loss of each token.
"""

from __future__ import annotations

from typing import Any

from trl import GRPOConfig, GRPOTrainer

from components.alignment.online import OnTokens, train_online, trainer_config
from components.alignment.rewards import Reward, reward_by
from components.alignment.task import AlignmentTask
from components.core.params.align import Grpo


class Trainer(OnTokens, GRPOTrainer):
    """GRPOTrainer on the token ids that a model reads."""


def align(task: AlignmentTask, section: Grpo) -> dict[str, Any]:
    """Train the policy on the prompts of the preference split; returns first and last figures."""
    return train(task, section, reward_by(section.reward, task))


def train(task: AlignmentTask, section: Grpo, reward: Reward) -> dict[str, Any]:
    """The same with any reward."""
    scale = "group" if section.scale_rewards else "none"
    options = GRPOConfig(**trainer_config(task, section), scale_rewards=scale, loss_type="grpo")
    return train_online(task, Trainer, options, reward)
