"""The history of decisions in a real SQLite store, and what is noticed of a record that was tampered with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from components.core import registry, tracking
from components.core.errors import PricewrightError
from components.promotion import aliases
from components.promotion.history import history
from tests.support.project import ROOT

NAME = "pricer"


@pytest.fixture(autouse=True)
def decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> list[dict[str, Any]]:
    """Three versions and three decisions: 1 promoted, 2 promoted, 3 rejected."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRICEWRIGHT_BY", "ann")
    shutil.copy(empty_store, "mlflow.db")
    tracking.connect()
    client = MlflowClient()
    client.create_registered_model(NAME)
    for _ in range(3):
        client.create_model_version(NAME, str(tmp_path / "model"))
    figures = {"difference": 2.5, "low": 1.25, "high": 3.75, "rows": 600, "against": "version 1"}
    kept = []
    for version, verdict in (("1", "promoted"), ("2", "promoted"), ("3", "rejected")):
        champion = registry.aliases(NAME).get("champion")
        record = aliases.new_record("promote", NAME, version, champion) | {"verdict": verdict} | figures
        moves = {"champion": version} if verdict == "promoted" else {}
        with aliases.turn(NAME) as turn:
            kept.append(aliases.commit(turn, record, moves))
    return kept


def tag(number: int, decided: list[dict[str, Any]]) -> tuple[str, str]:
    record = decided[number - 1]
    return record["version"], aliases.DECISION + record["id"]


def run(number: int, decided: list[dict[str, Any]]) -> str:
    wanted = f"tags.`{tracking.DECISION}` = '{decided[number - 1]['id']}'"
    [logged] = MlflowClient().search_runs([tracking._experiment_id()], wanted)
    return logged.info.run_id


def test_every_decision_is_listed_in_its_order_with_who_when_and_what(decided: list[dict[str, Any]]) -> None:
    records, faults = history(NAME)
    assert faults == []
    assert records == decided
    assert [(entry["number"], entry["version"], entry["verdict"]) for entry in records] == [
        (1, "1", "promoted"),
        (2, "2", "promoted"),
        (3, "3", "rejected"),
    ]


def _tag_changed(decided: list[dict[str, Any]]) -> None:
    registry.tag_version(NAME, *tag(2, decided), json.dumps(decided[1] | {"low": 9.0}))


def _tag_unreadable(decided: list[dict[str, Any]]) -> None:
    registry.tag_version(NAME, *tag(2, decided), "[]")
    registry.tag_version(NAME, *tag(3, decided), "{")


def _tag_taken_away(decided: list[dict[str, Any]]) -> None:
    MlflowClient().delete_model_version_tag(NAME, *tag(2, decided))


def _file_changed(decided: list[dict[str, Any]]) -> None:
    MlflowClient().log_dict(run(3, decided), decided[2] | {"verdict": "promoted"}, "decision.json")


def _run_deleted(decided: list[dict[str, Any]]) -> None:
    MlflowClient().delete_run(run(1, decided))


def _both_changed(decided: list[dict[str, Any]]) -> None:
    changed = decided[0] | {"by": "bob"}
    registry.tag_version(NAME, *tag(1, decided), json.dumps(changed))
    MlflowClient().log_dict(run(1, decided), changed, "decision.json")


def _both_gone(decided: list[dict[str, Any]]) -> None:
    MlflowClient().delete_model_version_tag(NAME, *tag(2, decided))
    MlflowClient().delete_run(run(2, decided))


def _record_made_up(decided: list[dict[str, Any]]) -> None:
    made_up = decided[2] | {"id": "20990101T000000.000000-ffffffff", "number": 4, "verdict": "promoted"}
    registry.tag_version(NAME, "3", aliases.DECISION + made_up["id"], json.dumps(made_up))


@pytest.mark.parametrize(
    ("tamper", "noticed"),
    [
        (_tag_changed, ["decision 2: its tag was changed since"]),
        (_tag_taken_away, ["decision 2: its tag is gone"]),
        (_file_changed, ["decision 3: its decision.json was changed since"]),
        (_run_deleted, ["decision 1: its decision.json is gone"]),
        (
            _both_changed,
            ["decision 1: its tag was changed since", "decision 1: its decision.json was changed since"],
        ),
        (_both_gone, ["decision 2 is missing"]),
    ],
)
def test_a_record_that_was_tampered_with_is_named(
    tamper: Callable[[list[dict[str, Any]]], None], noticed: list[str], decided: list[dict[str, Any]]
) -> None:
    tamper(decided)
    assert history(NAME)[1] == noticed


def test_a_copy_that_still_fits_the_chain_is_the_one_that_is_listed(decided: list[dict[str, Any]]) -> None:
    _tag_changed(decided)
    assert history(NAME)[0] == decided


def test_a_record_that_cannot_be_read_or_was_made_up_is_named(decided: list[dict[str, Any]]) -> None:
    _tag_unreadable(decided)
    _record_made_up(decided)
    faults = history(NAME)[1]
    for version in ("2", "3"):
        assert any(fault.endswith(f"of version {version} cannot be read") for fault in faults)
    assert f"the record of {decided[2]['when']} is in no chain" in faults


def test_an_end_of_the_chain_that_cannot_be_read_is_refused_with_a_mend() -> None:
    registry.tag_model(NAME, aliases.HEAD, "three")
    with pytest.raises(PricewrightError, match="has no end: set it back from a backup"):
        history(NAME)


def test_the_decisions_of_a_deleted_version_are_kept_by_their_runs(decided: list[dict[str, Any]]) -> None:
    MlflowClient().delete_model_version(NAME, "3")
    assert history(NAME) == (decided, [])


def test_the_command_shows_the_decisions_and_ends_with_1_after_tampering(
    decided: list[dict[str, Any]],
) -> None:
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    _both_changed(decided)
    done = subprocess.run(
        [sys.executable, "-m", "components.promotion.history"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    for part in ("ann", "rejected", "+2.50 (+1.25 to +3.75)", "decision 1: its tag was changed since"):
        assert part in done.stdout
