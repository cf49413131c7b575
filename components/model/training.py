"""What TRL's trainers have in common: their options, their curves, one way to run them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import PeftModel
from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
)

from components.core.tracking import Run
from components.model.frozen_layers import computed_once
from components.model.loading import COMPUTE, ON_GPU

if TYPE_CHECKING:
    from datasets import Dataset  # a served model needs none

WHOLE = "whole"
"""The mark: an empty file in the folder of a checkpoint."""


def trainer_options(scratch: Path, seed: int) -> dict[str, Any]:
    """What every trainer has in common: where it runs, what it writes, no reporting of its own."""
    return {
        "output_dir": str(scratch),
        "seed": seed,
        "report_to": "none",
        "use_cpu": not ON_GPU,
        "bf16": ON_GPU and COMPUTE is torch.bfloat16,
        "gradient_checkpointing": ON_GPU,
        "logging_steps": 10,
        "save_only_model": False,
        "save_total_limit": 2,  # the one before the last is whole while the last is written
        "dataloader_pin_memory": ON_GPU,
    }


def until_no_better(steps: int) -> dict[str, Any]:
    """Options that measure the loss on the rows held out every `steps` steps, and keep the weights with the
    lowest; EarlyStoppingCallback ends the training.
    """
    return {
        "eval_strategy": "steps",
        "eval_steps": steps,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "prediction_loss_only": True,
    }


@contextmanager
def full_precision(model: PeftModel) -> Iterator[None]:
    """Keep the adapter as it is while a TRL trainer is built on it.

    TRL rounds the trainable weights of a quantized model to bfloat16, which the small learning rates of
    alignment cannot move and a float32 head cannot be multiplied with.
    """
    before = {
        name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad
    }
    yield
    for name, weight in model.named_parameters():
        if name in before:
            weight.data = before[name]


class Curves(TrainerCallback):
    """Sends a trainer's log lines to the tracked run as curves, and keeps its `losses`, [{step, loss}], and
    those on rows held out.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.losses: list[dict[str, float]] = []
        self.held_out: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        """Called by the trainer with each log line."""
        for name, value in (logs or {}).items():
            if isinstance(value, int | float):
                self.run.metric(f"curve.{name}", float(value), step=state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Called by the trainer as it ends; its state knows what was logged before a kill, too."""
        self.losses, self.held_out = (
            [{"step": line["step"], "loss": line[name]} for line in state.log_history if name in line]
            for name in ("loss", "eval_loss")
        )


class WholeCheckpoints(TrainerCallback):
    """Marks a checkpoint once all of it is written: a kill or a full disk leaves one without the mark."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Called by the trainer after the last file of a checkpoint."""
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / WHOLE).touch()


def last_checkpoint(scratch: Path) -> str | None:
    """The checkpoint of the most steps that is whole; None where `scratch` holds none."""
    steps = {int(mark.parent.name.rpartition("-")[2]): mark for mark in scratch.glob(f"checkpoint-*/{WHOLE}")}
    return str(steps[max(steps)].parent) if steps else None


class QuietProgress(ProgressCallback):
    """A trainer's progress bar without the dictionary that it prints at every log line."""

    def on_log(self, *_: Any, **__: Any) -> None:
        """The curves are tracked."""


def train(
    trainer_class: type[Trainer],
    model: PeftModel,
    rows: Dataset,
    options: Any,
    tokenizer: PreTrainedTokenizerBase,
    callbacks: list[TrainerCallback],
    checkpoint: str | None = None,
    **arguments: Any,
) -> Trainer:
    """Train by a trainer of TRL in full precision, from a checkpoint where one is named; returns the trainer.

    `options` is the configuration of its class, `arguments` what else its constructor takes.
    """
    with full_precision(model):
        trainer: Any = trainer_class(
            model,
            args=options,
            train_dataset=rows,
            processing_class=tokenizer,
            callbacks=callbacks,
            **arguments,
        )
    for callback in list(trainer.callback_handler.callbacks):
        if isinstance(callback, ProgressCallback | PrinterCallback):
            trainer.remove_callback(callback)
    trainer.add_callback(QuietProgress())
    trainer.add_callback(WholeCheckpoints())
    with computed_once(model):
        trainer.train(resume_from_checkpoint=checkpoint)
    return trainer
