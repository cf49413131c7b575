"""The chain beside its rivals on every catalogue there is, over several seeded splits of each.

    python -m benchmarks.catalogues                        the base and values of params.yaml
    python -m benchmarks.catalogues --profile smollm2      those of a profile
    python -m benchmarks.catalogues --splits 1 data/mine.jsonl
    python -m benchmarks.catalogues --at-once 5            on a large machine: several splits side by side

Catalogues are the files that are named, else those in data/ and ../shared/data/listings, and the demo shop.
Each split is a clone of the last commit that runs the stages from scrape to blend; what is done is kept in
work/catalogues/ and a stopped run carries on. A single split of some hundred rows moves a ridge by a third
of its error: figures are means over splits, with intervals that draw whole products. The winner of a split
is chosen on its validation rows, as `evaluate` does; the rival is the classical baseline whose error on
test is lowest, which only makes it harder to beat. Writes benchmarks/results/catalogues.json and
catalogues.png.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks.splits import files_of, options, run
from components.core.params.evaluate import Evaluate
from components.core.params.file import load_params
from components.evaluation import scoring
from components.evaluation.metrics import paired_difference
from components.tasks import AnyTask, task_of

RESULTS = Path("benchmarks/results")
CLASSICAL = ("mean", "median", "linear", "bag_of_words_ridge", "tfidf_ridge", "boosting", "neighbours")
"""Candidates with nothing of a language model in them."""
WINNER = "winner"
FIGURES = {"mae": "loss", "rmsle": "rmsle", "median_error": "median_error", "coverage": "coverage"}
"""What they are called in the results, and which metrics of `scoring.score` they are."""


def gathered(folders: list[Path]) -> pd.DataFrame:
    """The test rows of all splits, their winners' also under the name WINNER; `row` tells them apart."""
    tables = []
    for split, folder in enumerate(folders):
        rows = pd.read_parquet(folder / "predictions.parquet")
        rows = rows[rows["split"] == "test"].assign(row=lambda rows, split=split: f"{split} " + rows["id"])
        winner = json.loads((folder / "winner.json").read_text(encoding="utf-8"))["winner"]
        won = rows[rows["candidate"] == winner].assign(candidate=WINNER)
        tables += [rows.assign(part=split), won.assign(part=split)]
    return pd.concat(tables, ignore_index=True)


def summary(folders: list[Path], section: Evaluate, task: AnyTask) -> dict[str, Any]:
    """The figures of a catalogue: of every candidate the means over splits, and the paired difference of the
    winner to the best classical baseline, dollars, below 0 where the winner is better.
    """
    rows = gathered(folders)
    candidates = {
        str(name): _means(own, section, task) for name, own in rows.groupby("candidate", sort=False)
    }
    classical = [name for name in CLASSICAL if name in candidates]
    rival = min(classical, key=lambda name: candidates[name]["mae"])
    for name in candidates:
        candidates[name]["difference"] = difference(rows, name, rival, section)
    winners = [json.loads((folder / "winner.json").read_text(encoding="utf-8")) for folder in folders]
    costs = [json.loads((folder / "cost.json").read_text(encoding="utf-8")) for folder in folders]
    return {
        "splits": len(folders),
        "winner": ", ".join(sorted({winner["winner"] for winner in winners})),
        "winner_mae": candidates[WINNER]["mae"],
        "best_classical": rival,
        "best_classical_mae": candidates[rival]["mae"],
        "ratio": round(candidates[WINNER]["mae"] / candidates[rival]["mae"], 4),
        "difference": candidates[WINNER]["difference"],
        "minutes_a_split": round(max(cost["minutes"] for cost in costs), 1),
        "peak_mb": max(cost["peak_mb"] for cost in costs),
        "machines": sorted({cost["machine"] for cost in costs}),
        "commits": sorted({cost["commit"] for cost in costs}),
        "candidates": candidates,
    }


def difference(rows: pd.DataFrame, ours: str, theirs: str, section: Evaluate) -> dict[str, float] | None:
    """Mean loss of one candidate minus that of another over all splits, with its interval over products: a
    listing that is in the test rows of two splits is one piece of evidence, not two.
    """
    table = rows.pivot(index="row", columns="candidate", values="loss")
    both = table[table[ours].notna() & table[theirs].notna()]
    if both.empty:
        return None
    products = rows.drop_duplicates("row").set_index("row")["product"].reindex(both.index).to_numpy()
    a, b = (both[name].to_numpy(float) for name in (ours, theirs))
    options = {"bootstrap": section.bootstrap, "seed": section.seed}
    mean, low, high = paired_difference(a, b, products, **options)
    return {"mean": mean, "low": low, "high": high}


def _means(own: pd.DataFrame, section: Evaluate, task: AnyTask) -> dict[str, Any]:
    """Means over splits of a candidate's metrics on test."""
    parts = [scoring.score(part, section, task) for _, part in own.groupby("part")]
    known = {
        name: [part[figure] for part in parts if part.get(figure) is not None]
        for name, figure in FIGURES.items()
    }
    return {name: round(float(np.mean(values)), 4) for name, values in known.items() if values}


# --- for people --------------------------------------------------------------------------------------


def show(name: str, figures: dict[str, Any]) -> None:
    """A table of one catalogue."""
    table = Table("candidate", "MAE", "against the rival", "RMSLE", "median error", "coverage", title=name)
    for candidate, own in sorted(figures["candidates"].items(), key=lambda pair: pair[1]["mae"]):
        gap = own["difference"]
        ends = f"{gap['mean']:+.2f} ({gap['low']:+.2f} to {gap['high']:+.2f})" if gap else ""
        held = f"{own['coverage']:.0%}" if "coverage" in own else ""
        cells = (f"{own['mae']:.2f}", ends, f"{own['rmsle']:.3f}", f"{own['median_error']:.2f}", held)
        table.add_row(candidate, *cells)
    Console(width=110).print(table)


def picture(catalogues: dict[str, dict[str, Any]]) -> Figure:
    """Of each catalogue every candidate's MAE over that of the best classical baseline."""
    figure = Figure(figsize=(9, 1 + 2.6 * len(catalogues)), layout="constrained")
    axes = figure.subplots(len(catalogues), 1, squeeze=False)[:, 0]
    for axis, (name, figures) in zip(axes, catalogues.items(), strict=True):
        ratios = {
            candidate: own["mae"] / figures["best_classical_mae"]
            for candidate, own in figures["candidates"].items()
        }
        shown = sorted((ratio, candidate) for candidate, ratio in ratios.items() if ratio < 2)[::-1]
        colours = ["tab:blue" if candidate == WINNER else "lightgray" for _, candidate in shown]
        axis.barh([candidate for _, candidate in shown], [ratio for ratio, _ in shown], color=colours)
        axis.axvline(1.0, color="tab:red")
        axis.set_title(f"{name}: MAE over that of {figures['best_classical']}, {figures['splits']} splits")
    return figure


def main() -> None:
    """Run what is not done yet, then write and show the figures of all that is."""
    arguments = options(__doc__ or "").parse_args()
    files = files_of(arguments.files)
    folders, params = run(files, arguments), load_params()
    done = {name: summary(folders[name, None], params.evaluate, task_of(params.task)) for name in files}
    for name, figures in done.items():
        show(name, figures)
    write(done, arguments.profile)


def origin_of(figures: list[dict[str, Any]]) -> dict[str, str]:
    """The command, and the commits and machines that figures came from."""
    command = " ".join([f"python -m benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]])
    origin = {
        name: ", ".join(sorted({each for part in figures for each in part[f"{name}s"]}))
        for name in ("commit", "machine")
    }
    return {"command": command, **origin}


def write(done: dict[str, dict[str, Any]], profile: str) -> None:
    """The figures with the command that they came from, and the picture."""
    RESULTS.mkdir(exist_ok=True)
    named = {"profile": profile or "params.yaml as committed", **origin_of(list(done.values()))}
    text = json.dumps({**named, "catalogues": done}, indent=2)
    (RESULTS / "catalogues.json").write_text(text + "\n", encoding="utf-8")
    picture(done).savefig(RESULTS / "catalogues.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
