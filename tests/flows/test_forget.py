"""The command that forgets a listing: what it prints, and its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from components.sources.block_list import FORGOTTEN
from tests.support.project import ROOT
from tests.support.requests import asked, stored, true


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.forget", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_it_says_what_was_done_what_holds_the_listing_and_what_is_left_to_do(copied: Path) -> None:
    row = pd.read_parquet("source/curate/train.parquet").iloc[3]
    process = command(row["address"])
    assert process.returncode == 0, process.stderr
    output = " ".join(process.stdout.split())
    assert f"({row['address']}) is on data/forgotten.txt as {row['id']}" in output
    assert "pricer version 1" in output
    assert "train.parquet in the DVC cache" in output
    steps = [
        "1. So that it stays",
        "git add data/forgotten.txt",
        "make run",
        "delete_model_version",
        "dvc gc",
    ]
    places = [output.index(step) for step in steps]
    assert places == sorted(places)
    again = command(row["id"])
    assert "was already on data/forgotten.txt" in " ".join(again.stdout.split())


def test_it_reaches_the_store_of_requests_and_says_so_where_that_does_not_answer(copied: Path) -> None:
    row = pd.read_parquet("source/curate/train.parquet").iloc[3]
    Path("requests.db").write_text("no database")
    failed = command(row["address"])
    assert failed.returncode == 1
    assert "is on data/forgotten.txt" in " ".join(failed.stdout.split())
    for part in ("error: the store of requests, sqlite:///requests.db, does not answer", "The rest is done"):
        assert part in failed.stderr
    Path("requests.db").unlink()
    stored(Path("requests.db"), asked("a", row["text"]), asked("b"), true("a", 1.0))
    done = command(row["address"])
    assert done.returncode == 0, done.stderr
    removed = "Removed from sqlite:///requests.db: 1 requests of its text, 1 truths."
    assert removed in " ".join(done.stdout.split())


@pytest.mark.usefixtures("copied")
def test_an_unknown_or_missing_address_ends_with_an_error_and_changes_nothing() -> None:
    unknown, missing = command("/p/nobody"), command("")
    assert (unknown.returncode, missing.returncode) == (1, 1)
    assert unknown.stderr.startswith("error: /p/nobody: no listing has this address or id")
    assert missing.stderr.startswith("error: which listing?")
    assert not FORGOTTEN.exists()
