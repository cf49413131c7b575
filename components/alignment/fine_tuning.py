"""The policy fine-tuned on completions of its prompts: on the best of its own, or on true prices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from components.alignment.task import Task
from components.model import training
from components.model.examples import labelled


def fine_tune(
    task: Task,
    prompts: Sequence[str],
    completions: Sequence[str],
    callbacks: list[TrainerCallback],
    *,
    seed: int,
    **options: Any,
) -> int:
    """Train `task.model` on a completion of each prompt by SFTTrainer; returns its optimizer steps.

    `options` are those of SFTConfig: for how long, the batch size, the learning rate.
    """
    limit = task.tokenizer.model_max_length  # prompts are cut already
    rows = [labelled(task.tokenizer, *row, limit) for row in zip(prompts, completions, strict=True)]
    config = SFTConfig(
        **training.trainer_options(task.scratch, seed), save_strategy="no", max_length=None, **options
    )
    trainer = training.train(
        SFTTrainer, task.model, Dataset.from_list(rows), config, task.tokenizer, callbacks
    )
    return int(trainer.state.global_step)
