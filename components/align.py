"""Align: the SFT adapter trained on by one alignment method, to artifacts/align/<method>/.

Reads artifacts/base/, artifacts/sft/, artifacts/preferences/, artifacts/reward/, the preference split (to
learn from) and validation (for the monitor, see alignment/monitor.py). Each method is a file in
components/alignment/; several run at once as children of the DVC matrix. What is written is the policy at its
last snapshot without a fault, the SFT adapter itself where there is no other, and against_sft.json: how it
compares with SFT and two controls of it (alignment/controls.py), whether it may win, and whether it helps.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, get_args

import pandas as pd
import torch

from components.alignment.comparison import answers, outcome
from components.alignment.controls import continue_sft
from components.alignment.monitor import Monitor
from components.alignment.rewards import RewardModel, load_standing, truth
from components.alignment.task import AlignmentTask
from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.align import Align, Method, Monitoring
from components.core.tracking import Run
from components.model import adapters, loading, training
from components.model.examples import read_prompts
from components.model.prompt import prompt_of
from components.model.sampling import longest
from components.tasks import AnyTask, load_task

METHODS = get_args(Method)


def align(task: AlignmentTask, method: str, section: Any) -> dict[str, Any]:
    """Train `task.model` by a method, set it to its last good snapshot; returns the report."""
    figures = import_module(f"components.alignment.{method}").align(task, section)
    task.monitor.last_good()
    return {**figures, "monitor": task.monitor.report()}


def alignment_task(section: Align, task: AnyTask, scratch: Path, tracked: Run) -> AlignmentTask:
    """The policy at the SFT adapter and all that a method learns from, off the disk."""
    artifacts, monitoring = Path("artifacts"), section.monitor
    tokenizer = loading.load_tokenizer(artifacts / "base")
    reward = artifacts / "reward"
    model, head = adapters.load_policy(artifacts / "base", artifacts / "sft", reward)
    standing = load_standing(reward)
    reward_model = RewardModel(model, head, tokenizer, monitoring.batch_size, standing, task.answers)
    validation = stage.read("artifacts/curate/validation.parquet")
    rows = validation.sample(min(monitoring.rows, len(validation)), random_state=monitoring.seed)
    monitored = prompts_of(tokenizer, rows, task)
    pairs = stage.read("artifacts/preferences/pairs.parquet")
    known = truth(
        monitored["prompt"], monitored["target"], task.answers, section.error_max, standing.under_cost
    )
    return AlignmentTask(
        model=model,
        tokenizer=tokenizer,
        pairs=pairs.assign(prompt=read_prompts(tokenizer, pairs["prompt"], task.tokens)),
        prompts=prompts_of(tokenizer, stage.read("artifacts/curate/preference.parquet"), task),
        reward_model=reward_model,
        reward=reward,
        answers=task.answers,
        error_max=section.error_max,
        under_cost=standing.under_cost,
        scratch=scratch,
        curves=training.Curves(tracked),
        monitor=Monitor(
            model,
            tokenizer,
            reward_model if standing.better_than_chance else known,
            monitored,
            monitoring,
            error_max=section.error_max,
            under_cost=standing.under_cost,
            answers=task.answers,
            scratch=scratch,
            track=tracked.metric,
        ),
    )


def prompts_of(tokenizer: Any, items: pd.DataFrame, task: AnyTask) -> pd.DataFrame:
    """Columns id, product, target and prompt of listings: its token ids, at most `task.tokens`."""
    texts = [prompt_of(text, task) for text in items["text"]]
    prompts = read_prompts(tokenizer, texts, task.tokens)
    return items[["id", "product", "target"]].assign(prompt=prompts).reset_index(drop=True)


def continue_as_long(
    task: AlignmentTask, report: dict[str, Any], section: Align, method: str
) -> list[torch.Tensor]:
    """The control `sft_continued` of a method whose report this is: as many steps, as many rows in each."""
    batch_size = getattr(section, method).batch_size
    return continue_sft(task, section.sft_continued, steps=report["steps"], batch_size=batch_size)


def compare_with_sft(
    task: AlignmentTask,
    items: pd.DataFrame,
    continued: Sequence[torch.Tensor],
    section: Monitoring,
) -> dict[str, Any]:
    """How the policy as it is now compares with SFT and its controls, by items with the columns `prompt`,
    `target` and `product`; `continued` are the weights of `continue_sft`.
    """
    answered = partial(
        answers,
        task.model,
        task.tokenizer,
        prompts=list(items["prompt"]),
        spelled=task.answers.spelled,
        batch_size=section.batch_size,
        seed=section.seed,
    )
    sft, aligned = answered("reference"), answered("default")
    with adapters.policy_at(task.model, continued):
        control = answered("default")
    true, products = items["target"].to_numpy(float), items["product"].to_numpy()
    options: dict[str, Any] = {"bootstrap": section.bootstrap, "seed": section.seed}
    options["under_cost"] = task.under_cost
    return outcome(sft, aligned, control, true, products, task.answers, **options)


def require_room(section: Any, tokenizer: Any, spelled: tuple[str, ...]) -> None:
    """Raises PricewrightError where a method samples completions that end in the middle of an answer."""
    most = getattr(section, "max_completion_length", None)
    if most is not None and most < (least := 1 + longest(tokenizer, spelled)):
        raise PricewrightError(
            f"the longest answer and its end have {least} tokens: raise max_completion_length of the method "
            "in section align to that"
        )


def method_argument() -> str:
    """The method that the command line names. Raises SystemExit where it is none."""
    method = sys.argv[1] if len(sys.argv) > 1 else ""
    if method not in METHODS:
        raise SystemExit(
            f"align: error: say which method: python -m components.align {{{','.join(METHODS)}}}"
        )
    return method


def main() -> None:
    """Read the pairs and the SFT adapter, write the aligned adapter. The method is the one argument."""
    with stage.run(Align, method := method_argument()) as frame:
        section = frame.section
        task = alignment_task(section, load_task(), frame.scratch, frame.tracked)
        require_room(getattr(section, method), task.tokenizer, task.answers.spelled)
        loading.seed_everything(getattr(section, method).seed)
        began = perf_counter()
        report = align(task, method, getattr(section, method))
        seconds = perf_counter() - began  # goes into no file: DVC compares them
        continued = continue_as_long(task, report, section, method)
        comparison = compare_with_sft(task, task.monitor.items, continued, section.monitor)
        adapters.save_adapter(task.model, frame.folder)
        frame.write("against_sft.json", json.dumps(comparison, indent=2) + "\n")
        frame.report({**report, "against_sft": comparison})
        frame.tracked.metrics({"training_seconds": seconds})
        frame.discard_scratch()


if __name__ == "__main__":
    main()
