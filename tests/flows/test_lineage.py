"""The command that shows the lineage of a version, and the page of a row."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from tests.support.project import ROOT
from tests.support.registered_repository import object_of


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.lineage", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_the_exit_code_is_1_where_something_is_gone_and_the_output_says_what_to_do(copied: Path) -> None:
    object_of("artifacts/scrape", "law.parquet").unlink()
    shutil.rmtree("artifacts/scrape")
    process = command("1")
    assert process.returncode == 1, process.stderr
    assert "1 of" in process.stdout
    assert "`dvc fetch`" in process.stdout
    assert "3 files and folders" in process.stdout


def test_a_row_shows_the_page_that_it_came_from(copied: Path) -> None:
    row = pd.read_parquet("source/curate/train.parquet").iloc[3]
    process = command("1", "--row", row["id"])
    assert process.returncode == 0, process.stderr
    output = " ".join(process.stdout.split())
    assert row["address"] in output
    assert "The page, as it was scraped:" in output
    assert "<html" in output
    assert row["title"] in output
