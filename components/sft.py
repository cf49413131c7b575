"""SFT: supervised fine-tuning with QLoRA (arXiv:2305.14314).

Reads artifacts/base/ and the train split, writes the adapter to artifacts/sft/. The loss is on the
completion only: the model is to answer the question about a listing, not to write listings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from datasets import Dataset
from transformers import EarlyStoppingCallback
from trl import SFTConfig, SFTTrainer

from components.core import stage
from components.core.params.sft import Sft
from components.model import adapters, loading, training
from components.model.examples import labelled
from components.model.prompt import prompt_of
from components.tasks import load_task
from components.tasks.number import NumberTask


def sft(
    items: pd.DataFrame, section: Sft, task: NumberTask, base: Path, scratch: Path, curves: training.Curves
) -> Any:
    """Fine-tune an adapter on the base; returns the PEFT model.

    `items` needs the columns `text`, `target` and `product`. Checkpoints go to `scratch`; a run that finds
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


def examples(tokenizer: Any, items: pd.DataFrame, task: NumberTask) -> list[dict[str, list[int]]]:
    """Token ids and labels of each item; the labels of the prompt are ignored by the loss."""
    return [
        labelled(tokenizer, prompt_of(text, task), task.completion(target), task.tokens)
        for text, target in zip(items["text"], items["target"], strict=True)
    ]


def main() -> None:
    """Read the train split and the base, write the adapter."""
    with stage.run(Sft) as frame:
        items = stage.read("artifacts/curate/train.parquet")
        curves = training.Curves(frame.tracked)
        model = sft(items, frame.section, load_task(), Path("artifacts/base"), frame.scratch, curves)
        adapters.save_adapter(model, frame.folder)
        losses = {"losses": curves.losses, "losses_held_out": curves.held_out}
        frame.report({"rows": len(items), **adapters.parameter_counts(model), **losses})
        frame.discard_scratch()


if __name__ == "__main__":
    main()
