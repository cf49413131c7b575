"""What alignment is good for: SFT and every method, trained afresh and measured on the test split.

    python -m benchmarks.alignment [METHOD ...]

Needs the artifacts of a finished `dvc repro`. Writes work/alignment/table.json and table.png and a run
`alignment` in MLflow; touches no artifact of a stage. Nothing here chooses anything: params are tuned on
validation, and test is only reported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from components import align
from components.alignment.monitor import divergence
from components.alignment.task import AlignmentTask
from components.core import stage, tracking
from components.core.params.align import Monitoring
from components.core.params.file import Params, load_params
from components.model import adapters, loading, sampling
from components.reporting import alignment_figures
from components.tasks import task_of

FOLDER = Path("work/alignment")
INTERVAL = ("aligned_low", "aligned_high")
WAYS = ("point", "greedy", "sampled", "malformed")


def row(
    task: AlignmentTask, items: pd.DataFrame, comparison: dict[str, Any], section: Monitoring
) -> dict[str, Any]:
    """A line of the table: the comparison on test, KL and reward of a sampled completion per prompt."""
    prompts = list(items["prompt"])
    loading.seed_everything(section.seed)
    with adapters.use_adapter(task.model, "default"):
        sampled = sampling.sample_tokens(
            task.model,
            task.tokenizer,
            prompts,
            completions=1,
            temperature=1.0,
            batch_size=section.batch_size,
            title="sampling",
        )
    tokens = [completions[0] for completions in sampled]
    texts = task.tokenizer.batch_decode(tokens, skip_special_tokens=True)
    kl = divergence(task.model, prompts, tokens, section.batch_size)[0]
    return {**comparison, "kl": kl, "reward": float(task.reward_model(prompts, texts).mean())}


def rendered(table: dict[str, dict[str, Any]]) -> Table:
    """The table for a terminal: figure with its interval, and below it the paired differences to SFT and to
    each control.
    """
    lines = Table("", *WAYS, "KL", "reward", "seconds", "may win", "helps", box=None, header_style="bold")
    for name, figures in table.items():
        rivals = {"sft": figures, **figures["controls"]}
        cells = []
        for way in WAYS:
            digits = 4 if way == "malformed" else 2
            figure, low, high = (f"{figures[way][of]:.{digits}f}" for of in ("aligned", *INTERVAL))
            gaps = [_gap(rival[way]["difference"], digits) for rival in rivals.values()]
            cells.append("\n".join([f"{figure} ({low} to {high})", *gaps]))
        names = "\n".join([name, *(f"  minus {rival}" for rival in rivals)])
        plain = (f"{figures['kl']:.2f}", f"{figures['reward']:.2f}", f"{figures['seconds']:.0f}")
        lines.add_row(names, *cells, *plain, figures["may_win"], figures["helps"])
    return lines


def _gap(difference: dict[str, float] | None, digits: int) -> str:
    if difference is None:
        return "-"
    mean, low, high = (f"{difference[end]:+.{digits}f}" for end in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def trained(task: AlignmentTask, items: pd.DataFrame, method: str, params: Params) -> dict[str, Any]:
    """Train by a method; its line of the table, with the verdicts of validation."""
    section = params.align
    loading.seed_everything(getattr(section, method).seed)
    began = perf_counter()
    report = align.align(task, method, getattr(section, method))
    seconds = perf_counter() - began
    continued = align.continue_as_long(task, report, section, method)
    on_validation, on_test = (
        align.compare_with_sft(task, rows, continued, section.monitor) for rows in (task.monitor.items, items)
    )
    kept = f"{_word(on_validation['may_win'])} (step {report['monitor']['kept_step']})"
    verdicts = {"seconds": seconds, "may_win": kept, "helps": _word(on_validation["helps"])}
    return row(task, items, on_test, section.monitor) | verdicts


def _word(verdict: bool) -> str:
    return "yes" if verdict else "no"


def main() -> None:
    """Train, measure, write, print."""
    params = load_params()
    methods = sys.argv[1:] or list(align.METHODS)
    table: dict[str, dict[str, Any]] = {}
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tracking.stage_run("alignment", params.align.model_dump(), "") as tracked:
        for method in methods:
            asked = task_of(params.task)
            task = align.alignment_task(params.align, asked, FOLDER / method, tracked)
            items = align.prompts_of(task.tokenizer, stage.read("artifacts/curate/test.parquet"), asked)
            if not table:
                table["sft"] = untrained(task, items, params)
            table[method] = trained(task, items, method, params)
            (FOLDER / "table.json").write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
        alignment_figures.against_sft(table, params.task.number.unit).savefig(
            FOLDER / "table.png", dpi=110, bbox_inches="tight"
        )
        tracked.metrics(table)
        for name in ("table.json", "table.png"):
            tracked.artifact(FOLDER / name)
    Console(width=220).print(rendered(table))


def untrained(task: AlignmentTask, items: pd.DataFrame, params: Params) -> dict[str, Any]:
    """The line of SFT itself, its own control."""
    section, start = params.align.monitor, adapters.adapter_weights(task.model, "reference")
    same = align.compare_with_sft(task, items, start, section)
    return row(task, items, same, section) | {"seconds": 0, "may_win": "", "helps": ""}


if __name__ == "__main__":
    main()
