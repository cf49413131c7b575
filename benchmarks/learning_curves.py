"""From how many listings on does the language model help, and how much?

    python -m benchmarks.learning_curves --profile smollm2 data/mine.jsonl

The chain of `benchmarks.catalogues` on the same splits, learning from 250, 500 and 1,000 listings of each and
then from all. The rows of test stay as they are; those of preference and validation are others, as many.
What is done is kept, also between the two commands, and a stopped run carries on. Writes learning_curves.json
and .png into benchmarks/results/.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks.catalogues import RESULTS, origin_of, summary
from benchmarks.splits import files_of, options, run
from components.core.params.file import load_params
from components.tasks import task_of

ROWS = (250, 500, 1000)
KEPT = ("winner", "winner_mae", "best_classical", "best_classical_mae", "ratio", "difference", "splits")


def point(folders: list[Path]) -> dict[str, Any]:
    """A point of a curve: how many listings were learned from, on average, and the figures of `summary`."""
    params = load_params()
    figures = summary(folders, params.evaluate, task_of(params.task))
    costs = [json.loads((folder / "cost.json").read_text(encoding="utf-8")) for folder in folders]
    rows = round(float(np.mean([cost["rows_train"] for cost in costs])))
    origin = {name: figures[name] for name in ("commits", "machines")}
    return {"rows_train": rows, **{name: figures[name] for name in KEPT}, **origin}


def show(name: str, curve: list[dict[str, Any]]) -> None:
    """A table of one catalogue."""
    table = Table("listings", "winner", "MAE", "best classical", "MAE", "difference", title=name)
    for each in curve:
        gap = each["difference"]
        cells = (each["winner"], f"{each['winner_mae']:.2f}", each["best_classical"])
        ends = f"{gap['mean']:+.2f} ({gap['low']:+.2f} to {gap['high']:+.2f})" if gap else ""
        table.add_row(f"{each['rows_train']:,}", *cells, f"{each['best_classical_mae']:.2f}", ends)
    Console(width=110).print(table)


def picture(curves: dict[str, list[dict[str, Any]]]) -> Figure:
    """Of each catalogue the error of winner and best classical baseline by the listings learned from."""
    figure = Figure(figsize=(9, 1 + 3 * len(curves)), layout="constrained")
    for axis, (name, curve) in zip(
        figure.subplots(len(curves), 1, squeeze=False)[:, 0], curves.items(), strict=True
    ):
        rows = [each["rows_train"] for each in curve]
        axis.plot(rows, [each["winner_mae"] for each in curve], "o-", label="winner")
        axis.plot(rows, [each["best_classical_mae"] for each in curve], "s--", label="best classical")
        axis.set(title=name, xscale="log", xlabel="listings learned from", ylabel="MAE on test, dollars")
        axis.legend()
    return figure


def main() -> None:
    """Run what is not done yet, then write and show the curves."""
    arguments = options(__doc__ or "").parse_args()
    files = files_of(arguments.files)
    folders = run(files, arguments, (*ROWS, None))
    curves = {name: [point(folders[name, rows]) for rows in (*ROWS, None)] for name in files}
    for name, curve in curves.items():
        show(name, curve)
    written = {**origin_of([each for curve in curves.values() for each in curve]), "curves": curves}
    (RESULTS / "learning_curves.json").write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    picture(curves).savefig(RESULTS / "learning_curves.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
