"""SFT: supervised fine-tuning with QLoRA (arXiv:2305.14314).

Reads artifacts/base/ and the train split, writes the adapter to artifacts/sft/. The loss is on the
completion only: the model is to say what a listing costs, not to write listings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from datasets import Dataset
from transformers.trainer_utils import get_last_checkpoint
from trl import SFTConfig, SFTTrainer

from components import modeling, pricing, stage
from components.params import Sft

IGNORED_LABEL = -100


def sft(items: pd.DataFrame, section: Sft, base: Path, scratch: Path, curves: modeling.Curves) -> Any:
    """Fine-tune an adapter on the base; returns the PEFT model.

    `items` needs the columns `text` and `price`. Checkpoints go to `scratch`; a run that finds some there
    carries on from the last.
    """
    modeling.seed_everything(section.seed)
    tokenizer = modeling.load_tokenizer(base)
    model = modeling.trainable(base, section.lora)
    steps = -(-len(items) // (section.batch_size * section.accumulation)) * section.epochs
    options = SFTConfig(
        **modeling.trainer_options(scratch, section.seed),
        num_train_epochs=section.epochs,
        per_device_train_batch_size=section.batch_size,
        gradient_accumulation_steps=section.accumulation,
        learning_rate=section.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(steps * section.warmup_ratio),
        weight_decay=section.weight_decay,
        save_steps=section.checkpoint_steps,
        save_total_limit=1,
        max_length=None,  # prompts are cut by pricing.prompt_ids, which keeps the question whole
    )
    trainer = modeling.train(
        SFTTrainer,
        model,
        Dataset.from_list(examples(tokenizer, items, section.prompt_tokens)),
        options,
        tokenizer,
        [curves],
        get_last_checkpoint(scratch) if scratch.is_dir() else None,
    )
    return trainer.model


def examples(tokenizer: Any, items: pd.DataFrame, prompt_tokens: int) -> list[dict[str, list[int]]]:
    """Token ids and labels of each item; the labels of the prompt are ignored by the loss."""
    rows = []
    for text, price in zip(items["text"], items["price"], strict=True):
        asked = pricing.prompt_ids(tokenizer, pricing.prompt(text), prompt_tokens)
        answer = [*pricing.completion_ids(tokenizer, pricing.completion(price)), tokenizer.eos_token_id]
        rows.append({"input_ids": asked + answer, "labels": [IGNORED_LABEL] * len(asked) + answer})
    return rows


def main() -> None:
    """Read the train split and the base, write the adapter."""
    with stage.run("sft") as frame:
        items = stage.read("artifacts/curate/train.parquet")
        curves = modeling.Curves(frame.tracked)
        model = sft(items, frame.params.sft, Path("artifacts/base"), frame.scratch, curves)
        modeling.save_adapter(model, frame.folder)
        frame.report({"rows": len(items), **modeling.trained_share(model), "losses": curves.losses})
        frame.discard_scratch()


if __name__ == "__main__":
    main()
