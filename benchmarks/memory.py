"""Peak memory of curating many listings against that of ten times fewer, all processes together.

python -m benchmarks.memory [listings]     the larger number; 2,000,000 if not given
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.listings import write
from components.core.params.file import load_params
from components.curate import PARTITION_ROWS, curate
from components.curation.executors import parallel_map


def child(source: Path, scratch: Path) -> None:
    """The measured process: the stage's work without its tracking."""
    (scratch / "partitions").mkdir()
    with parallel_map(2) as run:
        curate(source, scratch / "out", load_params().curate, scratch / "partitions", PARTITION_ROWS, run)


def peak(number: int) -> tuple[float, float]:
    """MiB at the highest (proportional set size of the process and its children), and seconds."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "listings.parquet"
        write(source, number)
        start, highest = time.perf_counter(), 0
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.memory", str(source), folder])
        while process.poll() is None:
            with suppress(psutil.Error):
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                highest = max(highest, sum(member.memory_full_info().pss for member in family))
            time.sleep(0.1)
        if process.returncode:
            raise SystemExit(f"curate ended with {process.returncode}")
        return highest / 2**20, time.perf_counter() - start


def main() -> None:
    """Print both peaks and their ratio."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    peaks = {}
    for size in (number // 10, number):
        peaks[size], seconds = peak(size)
        print(f"{size:,} listings: {peaks[size]:,.0f} MiB at most, {seconds:.0f} s", flush=True)
    print(f"{peaks[number] / peaks[number // 10]:.2f} times the memory for 10 times the listings")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        child(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        main()
