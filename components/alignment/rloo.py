"""REINFORCE leave-one-out (Ahmadian et al. 2024, arXiv:2402.14740), by TRL.

Several completions of a prompt are each other's baseline: what counts is by how much one is better than
the mean of the others. The KL from the frozen reference is charged to the reward, so that the optimum is
reference times exp(reward / beta).
"""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from trl import RLOOConfig, RLOOTrainer

from components import modeling
from components.alignment.rewards import Reward, chosen, trl_reward
from components.alignment.task import Task
from components.params import Online, Rloo


def align(task: Task, section: Rloo) -> dict[str, Any]:
    """Train the policy on the prompts of the preference split; returns first and last figures."""
    return train(task, section, chosen(section.reward, task))


def train(task: Task, section: Rloo, reward: Reward) -> dict[str, Any]:
    """The same with any reward."""
    options = RLOOConfig(**online_options(task, section))
    return online(task, RLOOTrainer, options, reward)


def online_options(task: Task, section: Online) -> dict[str, Any]:
    """What the methods of TRL that sample as they train have in common."""
    return modeling.trainer_options(task.scratch, section.seed) | {
        "beta": section.beta,
        "num_generations": section.generations,
        "per_device_train_batch_size": section.batch_size,
        "num_iterations": section.iterations,
        "max_completion_length": section.completion_tokens,
        "max_steps": section.steps,
        "learning_rate": section.learning_rate,
        "epsilon": section.clip,
        "temperature": 1.0,  # the policy itself, not a sharper one
        "save_strategy": "no",
        "logging_steps": 1,
    }


def online(task: Task, kind: Any, options: Any, reward: Reward) -> dict[str, Any]:
    """Train by one of those methods; returns the figures of the first and of the last step."""
    trainer: Any = modeling.train(
        kind,
        task.model,
        Dataset.from_dict({"prompt": list(dict.fromkeys(task.asked["prompt"]))}),
        options,
        task.tokenizer,
        [task.curves, task.watch],
        reward_funcs=trl_reward(reward),
    )
    history = [line for line in trainer.state.log_history if "reward" in line]
    names = {"reward": "reward", "kl": "kl", "entropy": "entropy", "length": "completions/mean_length"}
    ends = {"first": history[0], "last": history[-1]}
    figures = {
        place: {name: line[key] for name, key in names.items() if key in line} for place, line in ends.items()
    }
    return {"prompts": len(trainer.train_dataset), "steps": trainer.state.global_step, **figures}
