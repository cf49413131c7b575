"""The embedded default on listings that nobody here wrote: its models beside every baseline.

Runs the chain to its evaluation on one file, in a clone of the last commit in a temporary folder, and prints
each candidate's MAE on the test split with its interval. Pairs say which column holds what.

    python -m benchmarks.real_listings listings.jsonl title=name category=categories brand=brand
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

NOT_THERE: dict[str, str | None] = {"currency": None, "brand": None, "category": None, "details": None}


def main() -> None:
    """Clone, name the file in params.yaml, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, help="listings as JSONL, CSV or Parquet")
    parser.add_argument("columns", nargs="*", metavar="FIELD=COLUMN", help="where the names differ")
    arguments = parser.parse_args()
    columns = NOT_THERE | dict(pair.split("=", 1) for pair in arguments.columns)
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", Path.cwd(), clone], check=True)
        name_file(clone / "params.yaml", arguments.file.resolve(), columns)
        subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet", "evaluate"], cwd=clone, check=True)
        report = json.loads((clone / "reports" / "evaluate.json").read_text(encoding="utf-8"))
    print(report["headline"], "\n")
    candidates = {name: candidate["test"] for name, candidate in report["candidates"].items()}
    for name, test in sorted(candidates.items(), key=lambda pair: pair[1]["mae"]):
        print(f"{name:<24} {test['mae']:8.2f}  ({test['mae_low']:.2f} to {test['mae_high']:.2f})")


def name_file(path: Path, file: Path, columns: dict[str, str | None]) -> None:
    """Make a params.yaml read one file; a field that is not among `columns` keeps its column."""
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["scrape"]["source"] = "files"
    params["scrape"]["files"]["paths"] = [str(file)]
    params["scrape"]["files"]["columns"] |= columns
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main()
