"""What the methods of TRL that sample as they train, rloo and grpo, have in common."""

from __future__ import annotations

from typing import Any

from datasets import Dataset

from components.alignment.rewards import Reward, trl_reward
from components.alignment.task import AlignmentTask
from components.core.params.align import Online
from components.model import training


class OnTokens:
    """For a trainer of TRL that samples: prompts have the token ids with which a model reads them."""

    def _tokenize_prompts(self, prompts: list[list[int]]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return prompts, None, {}


def trainer_config(task: AlignmentTask, section: Online) -> dict[str, Any]:
    """Their options under TRL's names."""
    return training.trainer_options(task.scratch, section.seed) | {
        "beta": section.beta,
        "num_generations": section.num_generations,
        "per_device_train_batch_size": section.batch_size,
        "num_iterations": section.num_iterations,
        "max_completion_length": section.max_completion_length,
        "max_steps": section.max_steps,
        "learning_rate": section.learning_rate,
        "epsilon": section.epsilon,
        "temperature": 1.0,  # the policy itself, not a sharper one
        "save_strategy": "no",
        "logging_steps": 1,
    }


def train_online(task: AlignmentTask, trainer_class: Any, options: Any, reward: Reward) -> dict[str, Any]:
    """Train by a trainer of TRL; returns the figures of the first and of the last step."""
    trainer: Any = training.train(
        trainer_class,
        task.model,
        Dataset.from_dict({"prompt": [*map(list, dict.fromkeys(task.prompts["prompt"]))]}),
        options,
        task.tokenizer,
        [task.curves, task.monitor],
        reward_funcs=trl_reward(reward),
    )
    history = [line for line in trainer.state.log_history if "reward" in line]
    names = {"reward": "reward", "kl": "kl", "entropy": "entropy", "length": "completions/mean_length"}
    ends = {"first": history[0], "last": history[-1]}
    figures = {
        place: {name: line[key] for name, key in names.items() if key in line} for place, line in ends.items()
    }
    return {"prompts": len(trainer.train_dataset), "steps": trainer.state.global_step, **figures}
