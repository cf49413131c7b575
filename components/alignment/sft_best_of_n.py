"""Rejection sampling (as in arXiv:2307.09288): sample, keep the best, fine-tune on it.

The baseline that every alignment method has to beat: no reference, no ratio, no clip.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from components.alignment.fine_tuning import fine_tune
from components.alignment.rewards import Reward, finite, reward_by
from components.alignment.task import AlignmentTask
from components.core.params.align import SftBestOfN
from components.model import adapters, sampling
from components.model.examples import PromptIds


def align(task: AlignmentTask, section: SftBestOfN) -> dict[str, Any]:
    """Fine-tune the policy on the best of its own completions; returns the mean reward of all and of best."""
    prompts = list(task.prompts["prompt"])
    with adapters.use_adapter(task.model, "default"):
        sampled = sampling.complete(
            task.model,
            task.tokenizer,
            prompts,
            completions=section.completions,
            temperature=section.temperature,
            batch_size=section.sample_batch_size,
            new_tokens=sampling.room_for(task.tokenizer, task.answers.spelled),
            title="sampling",
        )
    best, figures = best_of(prompts, sampled, reward_by(section.reward, task))
    steps = fine_tune(
        task,
        prompts,
        best,
        [task.curves, task.monitor],
        seed=section.seed,
        num_train_epochs=section.epochs,
        per_device_train_batch_size=section.batch_size,
        learning_rate=section.learning_rate,
    )
    return {"prompts": len(prompts), "steps": steps, **figures}


def best_of(
    prompts: list[PromptIds], sampled: list[list[str]], reward: Reward
) -> tuple[list[str], dict[str, float]]:
    """Of each prompt's completions the one with the highest reward, the first of equals; and mean rewards."""
    flat = [(prompt, text) for prompt, texts in zip(prompts, sampled, strict=True) for text in texts]
    rewards = finite(reward([prompt for prompt, _ in flat], [text for _, text in flat]))
    by_prompt = np.split(rewards, np.cumsum([len(texts) for texts in sampled])[:-1])
    best = [texts[int(own.argmax())] for texts, own in zip(sampled, by_prompt, strict=True)]
    figures = {
        "mean_reward": float(rewards.mean()),
        "mean_best_reward": float(np.mean([own.max() for own in by_prompt])),
    }
    return best, figures
