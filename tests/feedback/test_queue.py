"""Which requests wait for a person, and that the ranking page shows them first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.core.schemas import Sampled
from components.feedback.people import pairs
from components.feedback.queue import QUEUE, least_certain
from components.tasks import task_of
from tests.support.project import ROOT, TASK


def asked(*rows: dict[str, Any]) -> pd.DataFrame:
    whole = {"key": "a", "row": 0, "predicted": 100.0, "low": 90.0, "high": 110.0, "value": np.nan}
    table = pd.DataFrame(
        [whole | {"input": {"description": f"lamp {n}"}} | row for n, row in enumerate(rows)]
    )
    return table.assign(width=table["high"] - table["low"])


def test_the_widest_intervals_by_their_answers_come_first_and_each_text_once() -> None:
    same = {"description": "lamp 1"}
    rows = asked(
        {"key": "certain"},
        {"key": "wide", "high": 210.0},
        {"key": "again", "high": 200.0, "input": same},
        {"key": "cheap and wider", "predicted": 10.0, "low": 5.0, "high": 45.4},
        {"key": "came true", "high": 900.0, "value": 120.0},
        {"key": "not kept", "high": 900.0, "input": None},
        {"key": "unreadable", "high": 900.0, "predicted": np.nan},
    )
    queue = least_certain(rows, 2, TASK)
    assert list(queue.columns) == Sampled.columns()
    assert list(queue["id"]) == ["cheap and wider 0", "wide 0"]
    assert list(queue["completions"]) == [["5", "10", "45"], ["90", "100", "210"]]
    assert "lamp 3" in queue["prompt"][0]
    assert least_certain(rows, 0, TASK).empty
    assert len(least_certain(rows, 50, TASK)) == 3


def test_below_zero_the_widest_interval_is_that_of_the_most_degrees() -> None:
    number = TASK.section.number.model_copy(update={"min": -30.0, "max": 25.0, "logarithmic": False})
    degrees = task_of(TASK.section.model_copy(update={"number": number}))
    cold = {"predicted": -20.0, "low": -24.0, "high": -16.0}
    rows = asked({"predicted": 1.0, "low": 0.0, "high": 3.0}, cold | {"key": "cold"})
    assert list(least_certain(rows, 1, degrees)["id"]) == ["cold 0"]


def test_the_ranking_page_shows_the_queue_before_what_was_sampled(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(
        (ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    sampled = pd.DataFrame({"id": ["1"], "prompt": ["a chair"], "completions": [["1", "2"]]})
    for path, rows in {
        "artifacts/preferences/sampled.parquet": sampled,
        str(QUEUE): least_certain(asked({"key": "wide"}), 5, TASK),
    }.items():
        (tmp_path / path).parent.mkdir(parents=True)
        rows.to_parquet(tmp_path / path, index=False)
    command = [sys.executable, "-m", "components.feedback.annotate", "ann"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as page:
        try:
            assert page.stdout
            address = page.stdout.readline().split()[2]
            with urllib.request.urlopen(f"{address}/next", timeout=30) as answer:
                shown = answer.read().decode()
            assert "lamp 0" in shown
            assert '"left": 2' in shown
            ranking = json.dumps({"prompt": json.loads(shown)["prompt"], "ranks": [2, 1, 3]}).encode()
            request = urllib.request.Request(
                f"{address}/", data=ranking, headers={"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert "a chair" in answer.read().decode()
        finally:
            page.terminate()
    ranked = pairs(tmp_path / "feedback/rankings.jsonl")
    assert {(pair.chosen, pair.rejected) for pair in ranked.pairs} == {
        ("100", "90"),
        ("100", "110"),
        ("90", "110"),
    }
