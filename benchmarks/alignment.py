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
from components.alignment.task import Task
from components.core import stage, tracking
from components.core.params.align import Monitoring
from components.core.params.file import load_params
from components.model import adapters, loading, sampling
from components.model.tokens import prompt_ids
from components.reporting import alignment_figures

FOLDER = Path("work/alignment")
INTERVAL = ("aligned_low", "aligned_high")


def row(task: Task, items: pd.DataFrame, comparison: dict[str, Any], section: Monitoring) -> dict[str, Any]:
    """A line of the table: the comparison on test, KL and reward of a sampled completion per prompt."""
    prompts = list(items["prompt"])
    ids = [prompt_ids(task.tokenizer, text, task.tokenizer.model_max_length) for text in prompts]
    loading.seed_everything(section.seed)
    with adapters.use_adapter(task.model, "default"):
        sampled = sampling.sample_tokens(
            task.model,
            task.tokenizer,
            ids,
            completions=1,
            temperature=1.0,
            batch_size=section.batch_size,
            title="sampling",
        )
    tokens = [completions[0] for completions in sampled]
    texts = task.tokenizer.batch_decode(tokens, skip_special_tokens=True)
    kl = divergence(task.model, ids, tokens, section.batch_size)[0]
    return {**comparison, "kl": kl, "reward": float(task.reward_model(prompts, texts).mean())}


def rendered(table: dict[str, dict[str, Any]]) -> Table:
    """The table for a terminal: figure with its interval, and below it the paired difference to SFT."""
    ways = ("median", "greedy", "sampled", "malformed")
    lines = Table("", *ways, "KL", "reward", "seconds", "may win", box=None, header_style="bold")
    for name, figures in table.items():
        cells = []
        for way in ways:
            gap, digits = figures[way]["difference"], 4 if way == "malformed" else 2
            mean, low, high = (f"{gap[end]:+.{digits}f}" for end in ("mean", "low", "high"))
            figure, low_end, high_end = (f"{figures[way][of]:.{digits}f}" for of in ("aligned", *INTERVAL))
            cells.append(f"{figure} ({low_end} to {high_end})\n{mean} ({low} to {high})")
        cells += [
            f"{figures['kl']:.2f}",
            f"{figures['reward']:.2f}",
            f"{figures['seconds']:.0f}",
            figures["may_win"],
        ]
        lines.add_row(name, *cells)
    return lines


def main() -> None:
    """Train, measure, write, print."""
    params = load_params()
    section, price_max = params.align, params.prompt.price_max
    methods = sys.argv[1:] or list(align.METHODS)
    table: dict[str, dict[str, Any]] = {}
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tracking.stage_run("alignment", section.model_dump(), "") as tracked:
        for method in methods:
            task = align.load_task(section, params.prompt, FOLDER / method, tracked)
            items = align.prompts_of(
                task.tokenizer, stage.read("artifacts/curate/test.parquet"), params.prompt
            )
            if not table:
                same = align.compare_with_sft(task, items, section.monitor, price_max)
                table["sft"] = row(task, items, same, section.monitor) | {"seconds": 0, "may_win": ""}
            loading.seed_everything(getattr(section, method).seed)
            began = perf_counter()
            report = align.align(task, method, getattr(section, method))
            seconds = perf_counter() - began
            allowed = align.compare_with_sft(task, task.monitor.items, section.monitor, price_max)["may_win"]
            kept = f"{'yes' if allowed else 'no'} (step {report['monitor']['kept_step']})"
            comparison = align.compare_with_sft(task, items, section.monitor, price_max)
            own = row(task, items, comparison, section.monitor)
            table[method] = own | {"seconds": seconds, "may_win": kept}
            (FOLDER / "table.json").write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
        alignment_figures.against_sft(table).savefig(FOLDER / "table.png", dpi=110, bbox_inches="tight")
        tracked.metrics(table)
        for name in ("table.json", "table.png"):
            tracked.artifact(FOLDER / name)
    Console(width=220).print(rendered(table))


if __name__ == "__main__":
    main()
