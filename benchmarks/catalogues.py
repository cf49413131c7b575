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

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from components.core.params.evaluate import Evaluate
from components.core.params.file import load_params
from components.evaluation import scoring
from components.evaluation.metrics import paired_difference
from flows.profile import PROFILES, apply

WORK, RESULTS = Path("work/catalogues"), Path("benchmarks/results")
FOLDERS = (Path("data"), Path("../shared/data/listings"))
DEMO_SHOP = "demo_shop"
SHARES = {"train": 0.68, "preference": 0.08, "validation": 0.11, "gate": 0.02, "test": 0.11}
"""Of a file: no gate decides here, and a few thousand listings are to be learned from."""
CLASSICAL = ("mean", "median", "linear", "bag_of_words_ridge", "tfidf_ridge", "boosting", "neighbours")
"""Candidates with nothing of a language model in them."""
WINNER = "winner"
COLUMNS = {  # of a file, by what they are called there
    "title": ("title", "name"),
    "description": ("description",),
    "price": ("price",),
    "currency": ("currency",),
    "brand": ("brand",),
    "category": ("category", "categories"),
    "details": ("details",),
    "rights": ("rights",),
}
FIGURES = ("mae", "rmsle", "median_error", "coverage")


# --- one split ---------------------------------------------------------------------------------------


def run_split(
    catalogue: str,
    file: Path | None,
    seed: int,
    profile: str,
    folder: Path,
    *,
    threads: int,
    rows: int | None = None,
) -> None:
    """Run the chain to its blend in a clone, score it there, and leave predictions and cost in `folder`.

    `rows` are how many listings the clone learns from, at most, those that `curate` rejects included.
    """
    clone = folder / "clone"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run(["git", "clone", "--quiet", Path.cwd(), clone], check=True)
    if profile:
        apply(clone / PROFILES / f"{profile}.yaml", clone / "params.yaml")
    set_values(clone / "params.yaml", file, seed, rows)
    environment = os.environ | {"PYTHONPATH": str(clone.resolve()), "OMP_NUM_THREADS": str(threads)}
    options: dict[str, Any] = {"cwd": clone, "env": environment, "check": True}
    began = time.monotonic()
    print(f"{catalogue}, split {seed}: the chain to its blend", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet", "blend"], **options)
    subprocess.run([sys.executable, "-m", "benchmarks.catalogues", "--score"], **options)
    learned = json.loads((clone / "reports" / "baseline.json").read_text(encoding="utf-8"))
    cost = {
        "rows_train": learned["rows_train"],
        "minutes": round((time.monotonic() - began) / 60, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        **made_by(),
    }
    for name in ("predictions.parquet", "winner.json"):
        shutil.move(clone / "work" / name, folder / name)
    shutil.rmtree(clone)
    (folder / "cost.json").write_text(json.dumps(cost), encoding="utf-8")


def set_values(path: Path, file: Path | None, seed: int, rows: int | None) -> None:
    """Let a params.yaml read a file (None: the demo shop), split by `seed`, and learn from `rows` of it; the
    others go to the gate, which nobody asks here.
    """
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["curate"]["seed"] = seed
    if file is not None:
        params["scrape"]["source"] = "files"
        params["scrape"]["files"] |= {"paths": [str(file.resolve())]}
        params["scrape"]["files"]["columns"] |= columns_of(file)
        params["curate"]["shares"] = dict(SHARES)
    if rows is not None:
        listings = len(table_of(file)) if file is not None else params["scrape"]["demo_shop"]["listings"]
        shares = params["curate"]["shares"]
        spared = max(shares["train"] - rows / listings, 0.0)
        shares |= {"train": shares["train"] - spared, "gate": shares["gate"] + spared}
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def columns_of(file: Path) -> dict[str, str | None]:
    """Which column of a file holds what, by the usual names; None where it has none."""
    there = set(table_of(file, 50).columns)
    return {field: next((name for name in names if name in there), None) for field, names in COLUMNS.items()}


def table_of(file: Path, rows: int | None = None) -> pd.DataFrame:
    """A catalogue, or its first rows."""
    if file.suffix == ".parquet":
        return pd.read_parquet(file)
    if file.suffix in (".csv", ".tsv"):
        return pd.read_csv(file, nrows=rows, sep=None, engine="python")
    return pd.read_json(file, lines=True, nrows=rows)


def score() -> None:
    """Within a clone: every candidate's answers with the products, and the winner, to work/."""
    from components.blending.blended import Blend
    from components.core import stage
    from components.core.schemas import SCORED, Law
    from components.evaluate import evaluate

    params, artifacts = load_params(), Path("artifacts")
    items = pd.concat([stage.read(artifacts / "curate" / f"{split}.parquet") for split in SCORED])
    items = items.reset_index(drop=True)
    rows, result = evaluate(
        items,
        pd.DataFrame(columns=Law.columns()),
        stage.read(artifacts / "baseline" / "predictions.parquet"),
        {"sft": artifacts / "sft"},
        Blend.load(artifacts / "blend"),
        artifacts / "base",
        params.evaluate,
        params.prompt,
    )
    Path("work").mkdir(exist_ok=True)
    scoring.with_products(rows, items).to_parquet("work/predictions.parquet", index=False)
    Path("work/winner.json").write_text(json.dumps({"winner": result["winner"]}), encoding="utf-8")


# --- all splits of a catalogue -----------------------------------------------------------------------


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


def summary(folders: list[Path], section: Evaluate) -> dict[str, Any]:
    """The figures of a catalogue: of every candidate the means over splits, and the paired difference of the
    winner to the best classical baseline, dollars, below 0 where the winner is better.
    """
    rows = gathered(folders)
    candidates = {str(name): _means(own, section) for name, own in rows.groupby("candidate", sort=False)}
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
    """MAE of one candidate minus that of another over all splits, with its interval over products: a listing
    that is in the test rows of two splits is one piece of evidence, not two.
    """
    table = rows.pivot(index="row", columns="candidate", values="predicted")
    both = table[table[ours].notna() & table[theirs].notna()]
    if both.empty:
        return None
    known = rows.drop_duplicates("row").set_index("row").reindex(both.index)
    columns = [known["price"], both[ours], both[theirs]]
    true, a, b = (column.to_numpy(float) for column in columns)
    options = {"bootstrap": section.bootstrap, "seed": section.seed}
    mean, low, high = paired_difference(true, a, b, known["product"].to_numpy(), **options)
    return {"mean": mean, "low": low, "high": high}


def _means(own: pd.DataFrame, section: Evaluate) -> dict[str, Any]:
    """Means over splits of a candidate's metrics on test."""
    parts = [scoring.score(part, section) for _, part in own.groupby("part")]
    means = {figure: [part[figure] for part in parts if part.get(figure) is not None] for figure in FIGURES}
    return {figure: round(float(np.mean(values)), 4) for figure, values in means.items() if values}


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


def files_of(named: list[Path]) -> dict[str, Path | None]:
    """The catalogues by name; None is the demo shop."""
    if named:
        return {file.stem: file for file in named}
    kinds = ("*.jsonl", "*.csv", "*.parquet")
    files = [file for folder in FOLDERS for kind in kinds for file in sorted(folder.glob(kind))]
    return {**{file.stem: file for file in files}, DEMO_SHOP: None}


def main() -> None:
    """Run what is not done yet, then write and show the figures of all that is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="by default those in data/ and the demo shop")
    parser.add_argument("--profile", default="", help="a file of profiles/, without its ending")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument(
        "--at-once", type=int, default=1, help="splits side by side, each with its share of cores"
    )
    parser.add_argument("--score", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.score:
        return score()
    files = files_of(arguments.files)
    folders = {
        name: [WORK / (arguments.profile or "default") / name / str(seed) for seed in range(arguments.splits)]
        for name in files
    }
    missing = [
        (name, files[name], seed, arguments.profile, folder)
        for name in files
        for seed, folder in enumerate(folders[name])
        if not (folder / "cost.json").is_file()
    ]
    threads = max(1, (os.cpu_count() or 1) // arguments.at_once)
    with ThreadPoolExecutor(arguments.at_once) as executor:
        list(executor.map(lambda split: run_split(*split, threads=threads), missing))
    done = {name: summary(folders[name], load_params().evaluate) for name in files}
    for name, figures in done.items():
        show(name, figures)
    write(done, arguments.profile)
    return None


def made_by() -> dict[str, str]:
    """The commit and the machine of this run."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    machine = f"{os.cpu_count()} cores{gpu}, {sys.platform}, Python {sys.version.split()[0]}"
    return {"commit": commit.strip(), "machine": machine}


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
