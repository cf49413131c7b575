"""Fine-tuning on this processor: our stage `sft` against TRL's trainer as it comes.

Both train LoRA of the same rank on the same base, rows, batch size, learning rate and number of steps. TRL's
is given prompt and completion as text and everything else as its defaults have it: bfloat16 autocast over
weights in float32, gradient checkpointing, batches in random order, an adapter on every layer. Useful tokens
are those of prompts and completions, not of padding. Prints both in tokens a second with the loss on the same
held-out completions, and the ratio. Needs the splits and the base of a finished `make run`.

    python -m benchmarks.training [--rows 160] [--base artifacts/base]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from datasets import Dataset
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer

from components import sft as stage_file
from components.core import stage
from components.core.params.file import load_params
from components.model import loading, training
from components.model.prompt import prompt_of
from components.model.tokens import truncate_prompt
from components.tasks import task_of

WARM_UP = 16
HELD_OUT = 64


class Untracked:
    """A tracked run that keeps nothing."""

    def metric(self, *_: Any, **__: Any) -> None:
        """Curves of a benchmark are not looked at."""


def ours(items: pd.DataFrame, base: Path, params: Any, scratch: Path) -> Any:
    """The stage's own function."""
    section = params.sft.model_copy(update={"held_out": 0.0})
    curves: Any = training.Curves(Untracked())  # type: ignore[arg-type]
    return stage_file.sft(items, section, task_of(params.task), base, scratch, curves)


def trl(items: pd.DataFrame, base: Path, params: Any, scratch: Path) -> Any:
    """TRL with prompts cut to the same tokens: to let it read longer ones would be no comparison."""
    tokenizer, section = loading.load_tokenizer(base), params.sft
    task = task_of(params.task)
    prompts = [prompt_of(text, task) for text in items["text"]]
    rows = [
        {
            "prompt": truncate_prompt(tokenizer, prompt, task.tokens),
            "completion": task.completion(target),
        }
        for prompt, target in zip(prompts, items["target"], strict=True)
    ]
    lora = section.lora
    options = SFTConfig(
        output_dir=str(scratch),
        num_train_epochs=section.epochs,
        per_device_train_batch_size=section.batch_size,
        learning_rate=section.learning_rate,
        report_to="none",
        save_strategy="no",
        use_cpu=not loading.ON_GPU,
        seed=section.seed,
    )
    trainer = SFTTrainer(
        model=str(base),
        args=options,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules="all-linear"),
    )
    trainer.train()
    return trainer.model


def held_out_loss(model: Any, items: pd.DataFrame, base: Path, params: Any) -> float:
    """Mean loss of the completion's tokens, in nats, in float32 logits."""
    examples = stage_file.examples(loading.load_tokenizer(base), items, task_of(params.task))
    losses = []
    with torch.inference_mode():
        for row in examples:
            labels = torch.tensor(row["labels"])
            logits = model(input_ids=torch.tensor([row["input_ids"]], device=model.device)).logits[0].float()
            losses.append(torch.nn.functional.cross_entropy(logits[:-1].cpu(), labels[1:]))
    return float(torch.stack(losses).mean())


def main() -> None:
    """Train both ways and print speed and loss."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=160)
    parser.add_argument("--base", type=Path, default=Path("artifacts/base"))
    arguments = parser.parse_args()
    params = load_params()
    train = stage.read("artifacts/curate/train.parquet").head(arguments.rows)
    held_out = stage.read("artifacts/curate/validation.parquet").head(HELD_OUT)
    tokenizer = loading.load_tokenizer(arguments.base)
    rows = stage_file.examples(tokenizer, train, task_of(params.task))
    tokens = params.sft.epochs * sum(len(row["input_ids"]) for row in rows)
    speeds = {}
    for way in (trl, ours):
        with tempfile.TemporaryDirectory() as scratch:
            way(train.head(WARM_UP), arguments.base, params, Path(scratch) / "warm")
            start = time.perf_counter()
            model = way(train, arguments.base, params, Path(scratch) / "timed")
            speeds[way.__name__] = tokens / (time.perf_counter() - start)
        loss = held_out_loss(model.eval(), held_out, arguments.base, params)
        print(
            f"{way.__name__}: {speeds[way.__name__]:.0f} tokens a second, held-out loss {loss:.3f}",
            flush=True,
        )
    print(f"ours {speeds['ours'] / speeds['trl']:.2f} times as fast")


if __name__ == "__main__":
    main()
