"""Seeded splits of a catalogue: the chain from scrape to blend in a clone of the last commit, for each.

    python -m benchmarks.splits    within such a clone, once `dvc repro blend` is done: scores it

For `benchmarks.catalogues` and `benchmarks.learning_curves`. What is done is kept in work/catalogues/.
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

import pandas as pd
import torch
import yaml

from components.core.params.file import load_params
from components.evaluation import scoring
from components.tasks import task_of
from flows.profile import PROFILES, apply

WORK = Path("work/catalogues")
FOLDERS = (Path("data"), Path("../shared/data/listings"))
DEMO_SHOP = "demo_shop"
SHARES = {"train": 0.68, "preference": 0.08, "validation": 0.11, "gate": 0.02, "test": 0.11}
"""Of a file: no gate decides here, and a few thousand listings are to be learned from."""
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


def options(description: str) -> argparse.ArgumentParser:
    """What may be said of the splits to run."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="by default those in data/ and the demo shop")
    parser.add_argument("--profile", default="", help="a file of profiles/, without its ending")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument(
        "--at-once", type=int, default=1, help="splits side by side, each with its share of cores"
    )
    return parser


def run(
    files: dict[str, Path | None], arguments: argparse.Namespace, rows: tuple[int | None, ...] = (None,)
) -> dict[tuple[str, int | None], list[Path]]:
    """Run the splits that are not done yet; the folders of all, by catalogue and by how many listings it
    learns from, None for all.
    """
    within = WORK / (arguments.profile or "default")
    folders = {
        (name, number): [
            within / name / (f"rows-{number}" if number else "") / str(seed)
            for seed in range(arguments.splits)
        ]
        for name in files
        for number in rows
    }
    missing = [
        (name, number, seed, folder)
        for (name, number), of in folders.items()
        for seed, folder in enumerate(of)
        if not (folder / "cost.json").is_file()
    ]
    threads = max(1, (os.cpu_count() or 1) // arguments.at_once)

    def run_one(split: tuple[str, int | None, int, Path]) -> None:
        name, number, seed, folder = split
        run_split(name, files[name], seed, arguments.profile, folder, threads=threads, rows=number)

    with ThreadPoolExecutor(arguments.at_once) as executor:
        list(executor.map(run_one, missing))
    return folders


def files_of(named: list[Path]) -> dict[str, Path | None]:
    """The catalogues by name; None is the demo shop."""
    if named:
        return {file.stem: file for file in named}
    kinds = ("*.jsonl", "*.csv", "*.parquet")
    files = [file for folder in FOLDERS for kind in kinds for file in sorted(folder.glob(kind))]
    return {**{file.stem: file for file in files}, DEMO_SHOP: None}


def run_split(
    catalogue: str,
    file: Path | None,
    seed: int,
    profile: str,
    folder: Path,
    *,
    threads: int,
    rows: int | None,
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
    subprocess.run([sys.executable, "-m", "benchmarks.splits"], **options)
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
        task_of(params.task),
    )
    Path("work").mkdir(exist_ok=True)
    scoring.with_products(rows, items).to_parquet("work/predictions.parquet", index=False)
    Path("work/winner.json").write_text(json.dumps({"winner": result["winner"]}), encoding="utf-8")


def made_by() -> dict[str, str]:
    """The commit and the machine of this run."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    machine = f"{os.cpu_count()} cores{gpu}, {sys.platform}, Python {sys.version.split()[0]}"
    return {"commit": commit.strip(), "machine": machine}


if __name__ == "__main__":
    score()
