"""Align: the SFT adapter trained on by one alignment method, to artifacts/align/<method>/.

Reads artifacts/base/, artifacts/sft/, artifacts/preferences/, artifacts/reward/, the preference split (to
learn from) and validation (to be watched on, see alignment/watch.py). Each method is a file in
components/alignment/; several run at once as children of the DVC matrix. What is written is the policy at
its last good look, the SFT adapter itself where there is no other, and verdict.json: whether it may win.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, get_args

import pandas as pd

from components.alignment.comparison import standing, verdict
from components.alignment.monitor import Watch
from components.alignment.rewards import RewardModel
from components.alignment.task import Task
from components.core import stage
from components.core.params.align import Align, Method, Watching
from components.core.params.prompt import Prompt
from components.core.params.section import load_section
from components.core.tracking import Run
from components.model import adapters, loading, training
from components.model.prompt import price_prompt
from components.model.tokens import truncate_prompt

METHODS = get_args(Method)


def align(task: Task, method: str, section: Any) -> dict[str, Any]:
    """Train `task.model` by a method, set it to its last good look; returns the report."""
    figures = import_module(f"components.alignment.{method}").align(task, section)
    task.watch.last_good()
    return {**figures, "watch": task.watch.report()}


def task(section: Align, prompt: Prompt, scratch: Path, tracked: Run) -> Task:
    """The policy at the SFT adapter and all that a method learns from, off the disk."""
    artifacts, watching = Path("artifacts"), section.watch
    tokenizer = loading.load_tokenizer(artifacts / "base")
    reward = artifacts / "reward"
    model, head = adapters.load_policy(artifacts / "base", artifacts / "sft", reward)
    reward_model = RewardModel(model, head, tokenizer, watching.batch_size)
    validation = stage.read("artifacts/curate/validation.parquet")
    shown = validation.sample(min(watching.rows, len(validation)), random_state=watching.seed)
    return Task(
        model=model,
        tokenizer=tokenizer,
        pairs=stage.read("artifacts/preferences/pairs.parquet"),
        asked=asked(tokenizer, stage.read("artifacts/curate/preference.parquet"), prompt),
        reward_model=reward_model,
        reward=reward,
        worst=section.error_max,
        scratch=scratch,
        curves=training.Curves(tracked),
        watch=Watch(
            model,
            tokenizer,
            reward_model,
            asked(tokenizer, shown, prompt),
            watching,
            worst=section.error_max,
            price_max=prompt.price_max,
            scratch=scratch,
            track=tracked.metric,
        ),
    )


def asked(tokenizer: Any, items: pd.DataFrame, prompt: Prompt) -> pd.DataFrame:
    """Columns id, prompt and price of listings; prompts are cut to `prompt.tokens` tokens."""
    prompts = [
        truncate_prompt(tokenizer, price_prompt(text, prompt.question), prompt.tokens)
        for text in items["text"]
    ]
    return items[["id", "price"]].assign(prompt=prompts).reset_index(drop=True)


def against_sft(task: Task, items: pd.DataFrame, section: Watching, price_max: int) -> dict[str, Any]:
    """The verdict on the policy as it is now, by items with the columns `prompt` and `price`."""
    sft, aligned = (
        standing(
            task.model,
            task.tokenizer,
            part,
            list(items["prompt"]),
            items["price"].to_numpy(float),
            price_max=price_max,
            batch_size=section.batch_size,
            seed=section.seed,
        )
        for part in ("reference", "default")
    )
    return verdict(sft, aligned, bootstrap=section.bootstrap, seed=section.seed)


def main() -> None:
    """Read the pairs and the SFT adapter, write the aligned adapter. The method is the one argument."""
    method = sys.argv[1] if len(sys.argv) > 1 else ""
    if method not in METHODS:
        raise SystemExit(
            f"align: error: say which method: python -m components.align {{{','.join(METHODS)}}}"
        )
    with stage.run(Align, method) as frame:
        section, prompt = frame.section, load_section(Prompt)
        given = task(section, prompt, frame.scratch, frame.tracked)
        loading.seed_everything(getattr(section, method).seed)
        began = perf_counter()
        report = align(given, method, getattr(section, method))
        seconds = perf_counter() - began
        came_to = against_sft(given, given.watch.items, section.watch, prompt.price_max)
        adapters.save_adapter(given.model, frame.folder)
        (frame.folder / "verdict.json").write_text(json.dumps(came_to, indent=2) + "\n", encoding="utf-8")
        frame.report({**report, "against_sft": came_to})
        frame.tracked.metrics({"training_seconds": seconds})  # no time goes into a file: DVC compares them
        frame.discard_scratch()


if __name__ == "__main__":
    main()
