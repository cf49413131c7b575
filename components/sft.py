"""SFT: supervised fine-tuning with QLoRA (arXiv:2305.14314).

Reads artifacts/base/ and the train split, writes the adapter to artifacts/sft/. The loss is on the
completion only: the model is to answer the question about a listing, not to write listings. Where a label is
predicted, a second adapter is trained with a classification head, to artifacts/sft/label_head/: which of the
two reads better, validation decides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from datasets import Dataset
from transformers import EarlyStoppingCallback, Trainer, TrainingArguments
from trl import SFTConfig, SFTTrainer

from components.core import stage
from components.core.params.sft import Sft
from components.model import adapters, loading, training
from components.model.examples import labelled
from components.model.label_head import LABEL_HEAD
from components.model.prompt import prompt_of
from components.model.tokens import prompt_ids
from components.tasks import AnyTask, load_task
from components.tasks.label import LabelTask


def sft(
    items: pd.DataFrame, section: Sft, task: AnyTask, base: Path, scratch: Path, curves: training.Curves
) -> Any:
    """Fine-tune an adapter on the base; returns the PEFT model.

    `items` needs the columns `text`, `target` and `product`. Checkpoints go to `scratch`; a run that finds
    some there carries on from the last that is whole. Where some products are held out, training stops when
    their loss no longer falls, and the adapter with the lowest is returned.
    """
    loading.seed_everything(section.seed)
    tokenizer = loading.load_tokenizer(base)
    model = adapters.new_adapter(base, **section.lora.model_dump())
    parts = divided(items, section.held_out, section.seed)
    rows = [examples(tokenizer, part, task) for part in parts]
    # prompts are cut by prompt_ids, which keeps the question whole
    options = SFTConfig(max_length=None, **options_of(section, scratch, *map(len, parts)))
    return _train(SFTTrainer, model, rows, options, tokenizer, section, curves)


def classify(
    items: pd.DataFrame, section: Sft, task: LabelTask, base: Path, scratch: Path, curves: training.Curves
) -> Any:
    """The same with a head for the labels in place of the vocabulary's (`adapters.new_classifier`), whose
    loss is the cross-entropy of the label.
    """
    loading.seed_everything(section.seed)
    tokenizer = loading.load_tokenizer(base)
    count, pad = len(task.answers.names), int(tokenizer.pad_token_id)
    model = adapters.new_classifier(base, count, pad, **section.lora.model_dump())
    parts = divided(items, section.held_out, section.seed)
    rows = [class_examples(tokenizer, part, task) for part in parts]
    options = TrainingArguments(**options_of(section, scratch, *map(len, parts)))
    return _train(Trainer, model, rows, options, tokenizer, section, curves)


def options_of(section: Sft, scratch: Path, trained: int, held_out: int) -> dict[str, Any]:
    """The options of a trainer for so many rows."""
    steps = -(-trained // (section.batch_size * section.gradient_accumulation_steps)) * section.epochs
    return {
        **training.trainer_options(scratch, section.seed),
        "num_train_epochs": section.epochs,
        "per_device_train_batch_size": section.batch_size,
        "gradient_accumulation_steps": section.gradient_accumulation_steps,
        "learning_rate": section.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": int(steps * section.warmup_ratio),
        "weight_decay": section.weight_decay,
        "save_steps": section.save_steps,
        **(training.until_no_better(section.save_steps) if held_out else {}),
    }


def _train(
    trainer_class: Any,
    model: Any,
    rows: list[list[dict[str, Any]]],
    options: Any,
    tokenizer: Any,
    section: Sft,
    curves: training.Curves,
) -> Any:
    """Train on the first of `rows`, stop by the second where there is one; returns the model."""
    trained, held_out = rows
    trainer = training.train(
        trainer_class,
        model,
        Dataset.from_list(trained),
        options,
        tokenizer,
        [curves, *([EarlyStoppingCallback(section.patience)] if held_out else [])],
        training.last_checkpoint(Path(options.output_dir)),
        eval_dataset=Dataset.from_list(held_out) if held_out else None,
    )
    return trainer.model


def divided(items: pd.DataFrame, share: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(rows to train on, rows held out): about `share` of them, no product in both; none for a share of 0."""
    products = items["product"].drop_duplicates().sample(frac=share, random_state=seed)
    held_out = items["product"].isin(products)
    return items[~held_out], items[held_out]


def examples(tokenizer: Any, items: pd.DataFrame, task: AnyTask) -> list[dict[str, list[int]]]:
    """Token ids and labels of each item; the labels of the prompt are ignored by the loss."""
    return [
        labelled(tokenizer, prompt_of(text, task), task.completion(target), task.tokens)
        for text, target in zip(items["text"], items["target"], strict=True)
    ]


def class_examples(tokenizer: Any, items: pd.DataFrame, task: LabelTask) -> list[dict[str, Any]]:
    """Token ids of each item's prompt, and the place of its label."""
    prompts = [prompt_ids(tokenizer, prompt_of(text, task), task.tokens) for text in items["text"]]
    places = task.answers.places(items["target"]).tolist()
    return [{"input_ids": ids, "labels": place} for ids, place in zip(prompts, places, strict=True)]


def main() -> None:
    """Read the train split and the base, write the adapter."""
    with stage.run(Sft) as frame:
        items, task, base = stage.read("artifacts/curate/train.parquet"), load_task(), Path("artifacts/base")
        curves = training.Curves(frame.tracked)
        model = sft(items, frame.section, task, base, frame.scratch, curves)
        adapters.save_adapter(model, frame.folder)
        losses = {"losses": curves.losses, "losses_held_out": curves.held_out}
        report = {"rows": len(items), **adapters.parameter_counts(model), **losses}
        if isinstance(task, LabelTask):
            del model
            curves = training.Curves(frame.tracked)
            model = classify(items, frame.section, task, base, frame.scratch / LABEL_HEAD, curves)
            adapters.save_classifier(model, frame.folder / LABEL_HEAD)
            report[LABEL_HEAD] = {"losses": curves.losses, "losses_held_out": curves.held_out}
        frame.report(report)
        frame.discard_scratch()


if __name__ == "__main__":
    main()
