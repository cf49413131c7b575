"""SFT: supervised fine-tuning with QLoRA (arXiv:2305.14314).

Reads artifacts/base/ and the train split, writes the adapter to artifacts/sft/. The loss is on the
completion only: the model is to say what a listing costs, not to write listings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from datasets import Dataset
from transformers import EarlyStoppingCallback
from trl import SFTConfig, SFTTrainer

from components.core import stage
from components.core.params.section import load_section
from components.core.params.sft import Sft
from components.core.params.task import Task
from components.model import adapters, loading, training
from components.model.examples import labelled
from components.model.prompt import price_completion, price_prompt


def sft(
    items: pd.DataFrame, section: Sft, task: Task, base: Path, scratch: Path, curves: training.Curves
) -> Any:
    """Fine-tune an adapter on the base; returns the PEFT model.

    `items` needs the columns `text`, `price` and `product`. Checkpoints go to `scratch`; a run that finds
    some there carries on from the last that is whole. Where some products are held out, training stops when
    their loss no longer falls, and the adapter with the lowest is returned.
    """
    loading.seed_everything(section.seed)
    tokenizer = loading.load_tokenizer(base)
    model = adapters.new_adapter(base, **section.lora.model_dump())
    trained, held_out = divided(items, section.held_out, section.seed)
    steps = -(-len(trained) // (section.batch_size * section.gradient_accumulation_steps)) * section.epochs
    options = SFTConfig(
        **training.trainer_options(scratch, section.seed),
        num_train_epochs=section.epochs,
        per_device_train_batch_size=section.batch_size,
        gradient_accumulation_steps=section.gradient_accumulation_steps,
        learning_rate=section.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(steps * section.warmup_ratio),
        weight_decay=section.weight_decay,
        save_steps=section.save_steps,
        max_length=None,  # prompts are cut by prompt_ids, which keeps the question whole
        **(training.until_no_better(section.save_steps) if len(held_out) else {}),
    )
    trainer = training.train(
        SFTTrainer,
        model,
        Dataset.from_list(examples(tokenizer, trained, task)),
        options,
        tokenizer,
        [curves, *([EarlyStoppingCallback(section.patience)] if len(held_out) else [])],
        training.last_checkpoint(scratch),
        eval_dataset=Dataset.from_list(examples(tokenizer, held_out, task)) if len(held_out) else None,
    )
    return trainer.model


def divided(items: pd.DataFrame, share: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(rows to train on, rows held out): about `share` of them, no product in both; none for a share of 0."""
    products = items["product"].drop_duplicates().sample(frac=share, random_state=seed)
    held_out = items["product"].isin(products)
    return items[~held_out], items[held_out]


def examples(tokenizer: Any, items: pd.DataFrame, task: Task) -> list[dict[str, list[int]]]:
    """Token ids and labels of each item; the labels of the prompt are ignored by the loss."""
    return [
        labelled(tokenizer, price_prompt(text, task.question), price_completion(price), task.tokens)
        for text, price in zip(items["text"], items["target"], strict=True)
    ]


def main() -> None:
    """Read the train split and the base, write the adapter."""
    with stage.run(Sft) as frame:
        items = stage.read("artifacts/curate/train.parquet")
        curves = training.Curves(frame.tracked)
        model = sft(items, frame.section, load_section(Task), Path("artifacts/base"), frame.scratch, curves)
        adapters.save_adapter(model, frame.folder)
        losses = {"losses": curves.losses, "losses_held_out": curves.held_out}
        frame.report({"rows": len(items), **adapters.parameter_counts(model), **losses})
        frame.discard_scratch()


if __name__ == "__main__":
    main()
