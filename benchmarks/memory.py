"""Peak memory of scrape, curate and validate on many listings against that on ten times fewer.

python -m benchmarks.memory [listings]     the larger number; 2,000,000 if not given

The stages run as `dvc repro` runs them, in a project of their own whose source is a compressed JSONL file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import yaml

from benchmarks.listings import write_jsonl

ROOT = Path(__file__).parents[1]
STAGES = ("scrape", "curate", "validate")
SOURCE, INTAKES = "listings.jsonl.gz", "intakes.csv"
MAPPED = ("title", "description", "price", "currency", "brand", "category", "details")


def project(folder: Path) -> None:
    """Write the project's files, its source set to SOURCE."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    columns = params["scrape"]["files"]["columns"]
    columns |= {name: name for name in MAPPED}
    params["scrape"]["source"] = "files"
    params["scrape"]["files"]["paths"] = [SOURCE]
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    shutil.copy(ROOT / INTAKES, folder)
    blocks = {stage: {"cmd": f"python -m components.{stage}", "params": [stage]} for stage in STAGES}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": blocks}), encoding="utf-8")


def peak(stage: str, folder: Path) -> float:
    """MiB at the highest: the proportional set size of a stage and its children.

    Raises SystemExit where the stage fails.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": ""}
    highest = 0
    with (folder / f"{stage}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"components.{stage}"], cwd=folder, env=environment, stderr=log
        )
        while process.poll() is None:
            with suppress(psutil.Error):
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                highest = max(highest, sum(member.memory_full_info().pss for member in family))
            time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{stage}: {(folder / f'{stage}.log').read_text()[-2000:]}")
    return highest / 2**20


def main() -> None:
    """Print the peak of each stage, of all together, and the ratio of the two sizes."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    peaks: dict[int, dict[str, float]] = {}
    for size in (number // 10, number):
        with tempfile.TemporaryDirectory() as folder:
            project(Path(folder))
            write_jsonl(Path(folder) / SOURCE, size)
            peaks[size] = {}
            for stage in STAGES:
                start = time.perf_counter()
                peaks[size][stage] = peak(stage, Path(folder))
                seconds = time.perf_counter() - start
                print(
                    f"{size:,} listings, {stage}: {peaks[size][stage]:,.0f} MiB, {seconds:.0f} s", flush=True
                )
    for stage in STAGES:
        print(f"{stage}: {peaks[number][stage] / peaks[number // 10][stage]:.2f} times the memory")
    largest, smallest = max(peaks[number].values()), max(peaks[number // 10].values())
    print(f"all three: {largest / smallest:.2f} times ({largest:,.0f} MiB against {smallest:,.0f})")


if __name__ == "__main__":
    main()
