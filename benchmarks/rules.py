"""Listings per second through cleaning and rules: a plain loop, and what the stage does, in the same run.

python -m benchmarks.rules [listings] [rounds]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.listings import write
from benchmarks.one_by_one import cleaned as one_by_one
from components.core.params.curate import Curate
from components.core.params.file import load_params
from components.core.params.task import Task
from components.curation.columnar import cleaned
from components.curation.executors import parallel_map

PARTITION_ROWS = 20_000


def kept_rows(partition: Path, section: Curate, task: Task, names: list[str]) -> int:
    """Rows of a partition that pass every rule, by columns."""
    return cleaned(pq.read_table(partition), section, task, names)["rule"].to_pylist().count("")


def seconds(work: Callable[[], int]) -> tuple[float, int]:
    """Duration of the work, and how many rows it kept."""
    start = time.perf_counter()
    kept = work()
    return time.perf_counter() - start, kept


def main() -> None:
    """Print both rates and their ratio for each round, loop and columns by turns."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    params = load_params()
    values: Any = {"section": params.curate, "task": params.task, "names": []}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "all.parquet", count)
        table = pq.read_table(Path(folder) / "all.parquet")
        partitions = []
        for start in range(0, count, PARTITION_ROWS):
            partitions.append(Path(folder) / f"{start}.parquet")
            pq.write_table(table.slice(start, PARTITION_ROWS), partitions[-1])
        rows = table.slice(0, min(count, 20_000)).to_pylist()
        del table
        with parallel_map(len(partitions)) as run:
            list(run(partial(kept_rows, **values), partitions[:2]))  # starts the processes
            for _ in range(rounds):
                loop, _ = seconds(
                    lambda: sum(rejection is None for _, rejection in one_by_one(rows, **values))
                )
                columns, _ = seconds(lambda: sum(run(partial(kept_rows, **values), partitions)))
                rates = len(rows) / loop, count / columns
                ratio = rates[1] / rates[0]
                print(f"plain loop {rates[0]:,.0f} listings/s, columns {rates[1]:,.0f}: {ratio:.1f} times")


if __name__ == "__main__":
    main()
