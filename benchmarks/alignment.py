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

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from components import align, modeling, params, pricing, stage, tracking
from components.alignment import drawings
from components.alignment.rewards import said
from components.alignment.task import Task
from components.alignment.verdict import answers, compare
from components.alignment.watch import divergence
from components.measures import measures
from components.params import Evaluate, Watching

FOLDER = Path("work/alignment")
DRAWS = 2
"""Completions of each test prompt at temperature 1."""


def measured(task: Task, part: str, items: pd.DataFrame, section: Watching, price_max: int) -> dict[str, Any]:
    """Answers of one adapter to test items, columns `prompt` and `price`: arrays (rows,), and figures."""
    prompts, prices = list(items["prompt"]), items["price"].to_numpy(float)
    ids = [
        pricing.prompt_ids(task.tokenizer, text, task.tokenizer.model_max_length)
        for text in np.repeat(prompts, DRAWS)
    ]
    modeling.seed_everything(section.seed)
    with modeling.answering(task.model, part):
        drawn = pricing.sample_tokens(
            task.model,
            task.tokenizer,
            ids,
            completions=1,
            temperature=1.0,
            batch_size=section.batch_size,
            title="test",
        )
    tokens = [one[0] for one in drawn]
    texts = task.tokenizer.batch_decode(tokens, skip_special_tokens=True)
    off = np.abs(np.minimum(said(texts), price_max) - np.repeat(prices, DRAWS)).reshape(-1, DRAWS)
    readable = ~np.isnan(off)
    mean = np.where(readable, off, 0).sum(1) / readable.sum(1).clip(1)
    kl = divergence(task.model, ids, tokens, section.batch_size)[0] if part == "default" else 0.0
    options: dict[str, Any] = {"price_max": price_max, "batch_size": section.batch_size}
    return {
        **answers(task.model, task.tokenizer, part, prompts, **options),
        "sampled": np.where(readable.any(1), mean, np.nan),  # over the draws that are a price
        "malformed": 1 - readable.mean(1),
        "reward": float(task.reward_model(np.repeat(prompts, DRAWS).tolist(), texts).mean()),
        "kl": kl,
    }


def row(prices: np.ndarray, sft: dict[str, Any], own: dict[str, Any], section: Evaluate) -> dict[str, Any]:
    """A line of the table: means, and paired differences to SFT with their 95% intervals."""
    nothing = np.zeros(len(prices))
    pairs = {
        "median": (prices, sft["median"], own["median"]),
        "greedy": (prices, sft["greedy"], own["greedy"]),
        "sampled": (nothing, sft["sampled"], own["sampled"]),
        "malformed": (nothing, sft["malformed"], own["malformed"]),
    }
    draws: dict[str, Any] = {"bootstrap": section.bootstrap, "seed": section.seed}
    compared = {name: compare(*three, **draws) for name, three in pairs.items()}
    hits: dict[str, Any] = {"hit_dollars": section.hit_dollars, "hit_share": section.hit_share}
    mae = measures(prices, own["median"], **draws, **hits)
    interval = {name: mae[name] for name in ("mae", "mae_low", "mae_high")}
    return {**interval, **compared, "reward": own["reward"], "kl": own["kl"]}


def shown(table: dict[str, dict[str, Any]]) -> Table:
    """The table for a terminal."""
    heads = (
        "",
        "test MAE (95%)",
        "median: to SFT",
        "greedy: to SFT",
        "sampled: to SFT",
        "malformed %: to SFT",
    )
    drawn = Table(*heads, "KL", "reward", "seconds", "may win", box=None, header_style="bold")
    for name, one in table.items():
        cells = [f"{one['mae']:.2f} ({one['mae_low']:.2f} to {one['mae_high']:.2f})"]
        for way in ("median", "greedy", "sampled", "malformed"):
            scale = 100 if way == "malformed" else 1
            gap = {end: value * scale for end, value in one[way]["difference"].items()}
            own = f"{one[way]['aligned'] * scale:.2f}"
            cells.append(f"{own}: {gap['mean']:+.2f} ({gap['low']:+.2f} to {gap['high']:+.2f})")
        cells += [f"{one['kl']:.2f}", f"{one['reward']:.2f}", f"{one['seconds']:.0f}", one["may_win"]]
        drawn.add_row(name, *cells)
    return drawn


def main() -> None:
    """Train, measure, write, print."""
    read = params.load()
    section, price_max = read.align, int(read.curate.price_max)
    methods = sys.argv[1:] or list(align.METHODS)
    table: dict[str, dict[str, Any]] = {}
    with tracking.stage_run("alignment", section.model_dump(), "") as tracked:
        for method in methods:
            task = align.task(read, FOLDER / method, tracked)
            items = align.asked(
                task.tokenizer, stage.read("artifacts/curate/test.parquet"), read.sft.prompt_tokens
            )
            prices = items["price"].to_numpy(float)
            if not table:
                sft = measured(task, "reference", items, section.watch, price_max)
                table["sft"] = row(prices, sft, sft, read.evaluate) | {"seconds": 0, "may_win": ""}
            modeling.seed_everything(getattr(section, method).seed)
            began = perf_counter()
            report = align.align(task, method, getattr(section, method))
            seconds = perf_counter() - began
            came_to = align.against_sft(task, section.watch.bootstrap, price_max)
            own = measured(task, "default", items, section.watch, price_max)
            kept = f"{'yes' if came_to['may_win'] else 'no'} (step {report['watch']['kept_step']})"
            table[method] = row(prices, sft, own, read.evaluate) | {"seconds": seconds, "may_win": kept}
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "table.json").write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
        drawings.against_sft(table).savefig(FOLDER / "table.png", dpi=110, bbox_inches="tight")
        tracked.metrics(stage.flatten(table))
        for name in ("table.json", "table.png"):
            tracked.artifact(FOLDER / name)
    Console(width=220).print(shown(table))


if __name__ == "__main__":
    main()
