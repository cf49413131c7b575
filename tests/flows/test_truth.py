"""The command that takes a file of what came true: what it prints and leaves, and its exit codes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pandas as pd

from tests.support.project import ROOT
from tests.support.requests import NOW, asked, stored


def command(folder: Path, file: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.truth", file],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_it_says_what_became_of_the_rows_and_leaves_those_that_are_rejected(tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    early = command(tmp_path, "sales.csv")
    assert (early.returncode, early.stdout) == (1, "")
    assert early.stderr.startswith("error: sqlite:///requests.db holds no request yet")
    stored(tmp_path / "requests.db", asked("a"), asked("b", "a lamp"))
    time = (NOW - timedelta(hours=1)).isoformat()
    (tmp_path / "sales.csv").write_text(f"key,value,time\na,10,{time}\nb,=cmd,{time}\nc,1,{time}\n")
    done = command(tmp_path, "sales.csv")
    assert done.returncode == 0, done.stderr
    output = " ".join(done.stdout.split())
    for part in (
        "1 are kept",
        "1 rejected, no_number: row 2: value is =cmd",
        "1 rejected, unknown_key: row 3",
    ):
        assert part in output
    assert "Of 2 rows that were answered, 1 have a truth now." in output
    rejects = pd.read_csv(tmp_path / "reports/truth/rejects.csv")[["line", "rule", "key"]]
    assert rejects.values.tolist() == [
        [2, "no_number", "b"],
        [3, "unknown_key", "c"],
    ]
    again = command(tmp_path, "sales.csv")
    assert "1 were kept before" in " ".join(again.stdout.split())


def test_without_a_usable_file_it_ends_with_an_error(tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    stored(tmp_path / "requests.db", asked("a"))
    for file, error in (("", "error: which file?"), ("sales.csv", "error: sales.csv is not readable")):
        done = command(tmp_path, file)
        assert (done.returncode, done.stderr[: len(error)]) == (1, error)
    assert not (tmp_path / "reports").exists()
