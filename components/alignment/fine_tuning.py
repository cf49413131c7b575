"""The policy fine-tuned on completions of its prompts: on the best of its own, or on right answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from components.alignment.task import AlignmentTask
from components.model import training
from components.model.examples import PromptIds, answer_ids, labelled_ids


def fine_tune(
    task: AlignmentTask,
    prompts: Sequence[PromptIds],
    completions: Sequence[str],
    callbacks: list[TrainerCallback],
    *,
    seed: int,
    **options: Any,
) -> int:
    """Train `task.model` on a completion of each prompt by SFTTrainer; returns its optimizer steps.

    `options` are those of SFTConfig: for how long, the batch size, the learning rate.
    """
    answers = (answer_ids(task.tokenizer, completion) for completion in completions)
    rows = [labelled_ids(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    config = SFTConfig(
        **training.trainer_options(task.scratch, seed), save_strategy="no", max_length=None, **options
    )
    trainer = training.train(
        SFTTrainer, task.model, Dataset.from_list(rows), config, task.tokenizer, callbacks
    )
    return int(trainer.state.global_step)
