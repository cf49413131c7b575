"""The history of decisions in a real SQLite store, and what is noticed of a record that was tampered with."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.tracking import MlflowClient

from components.core import registry, tracking
from components.core.errors import PricewrightError
from components.promotion import aliases, anchor, decision_log
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
        decision_log.store(record)
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
        (_both_gone, ["decision 2: its decision.json is gone", "decision 2: its tag is gone"]),
    ],
)
def test_a_record_that_was_tampered_with_is_named(
    tamper: Callable[[list[dict[str, Any]]], None], noticed: list[str], decided: list[dict[str, Any]]
) -> None:
    tamper(decided)
    assert history(NAME)[1] == noticed


def _newest_cut_off(decided: list[dict[str, Any]]) -> None:
    MlflowClient().delete_model_version_tag(NAME, *tag(3, decided))
    MlflowClient().delete_run(run(3, decided))
    registry.tag_model(NAME, aliases.HEAD, json.dumps([2, decision_log.digest(decided[1])]))


def _newest_cut_off_in_the_database_too(decided: list[dict[str, Any]]) -> None:
    _newest_cut_off(decided)
    sql("DELETE FROM params WHERE key IN (?, ?)", decision_log.key(3), f"proposal.{decided[2]['id']}")


def _written_by_hand_with_a_proposal(decided: list[dict[str, Any]]) -> None:
    log, forged = registry.decision_log(NAME), decided[1] | {"id": "forged", "version": "3", "champion": "2"}
    proposal = {name: value for name, value in forged.items() if name not in decision_log.PLACE}
    MlflowClient().log_param(log, "proposal.forged", json.dumps(proposal))
    forged |= {"number": 4, "before": decision_log.digest(decided[2])}
    entry = json.dumps({"record": forged, "moves": {"champion": "3"}})
    MlflowClient().log_param(log, decision_log.key(4), entry)
    aliases.carry_out(NAME)


def sql(statement: str, *values: str) -> None:
    """Write to the database itself, as no client can."""
    with sqlite3.connect("mlflow.db") as tables:
        tables.execute(statement, values)
    tables.close()


@pytest.mark.parametrize(
    ("tamper", "noticed"),
    [
        (_newest_cut_off, "decision 3 is in the log, and the chain ends with 2: its records were cut off"),
        (_newest_cut_off_in_the_database_too, "decision 3 of decisions.lock is missing from the store"),
        (_written_by_hand_with_a_proposal, "the store has 4 decisions about pricer, decisions.lock 3: `git"),
    ],
)
def test_a_newest_decision_that_was_cut_off_or_written_by_hand_is_named(
    tamper: Callable[[list[dict[str, Any]]], None], noticed: str, decided: list[dict[str, Any]]
) -> None:
    """The log and the file in git know what the tags and runs no longer tell."""
    tamper(decided)
    [fault] = history(NAME)[1]
    assert fault.startswith(noticed)


def test_what_is_anchored_in_git_is_missed_and_nothing_is_decided_until_it_is_back(
    decided: list[dict[str, Any]],
) -> None:
    """Whoever cuts off the newest decision everywhere, in the file too, is told by the commit."""
    for command in ("init -q", "add decisions.lock", "-c user.name=a -c user.email=a@b commit -q -m a"):
        subprocess.run(["git", *command.split()], check=True)
    _newest_cut_off_in_the_database_too(decided)
    heads = yaml.safe_load(anchor.ANCHOR.read_text())
    [log] = heads
    assert heads[log]["decisions"] == 3
    heads[log] |= {"decisions": 2, "sha256": decision_log.digest(decided[1])}
    anchor.ANCHOR.write_text(yaml.safe_dump(heads))
    [fault] = history(NAME)[1]
    assert fault.startswith("decision 3 of decisions.lock as committed is missing from the store")
    refused = pytest.raises(PricewrightError, match=r"committed is missing .* Nothing is decided until")
    with refused, aliases.turn(NAME):
        pass


def test_a_decision_that_is_gone_from_every_place_is_missing(decided: list[dict[str, Any]]) -> None:
    _both_gone(decided)
    sql("DELETE FROM params WHERE key = ?", decision_log.key(2))
    assert "decision 2 is missing" in history(NAME)[1]


def test_a_log_that_was_changed_in_the_database_is_named(decided: list[dict[str, Any]]) -> None:
    changed = json.dumps({"record": decided[2] | {"by": "bob"}, "moves": {}})
    sql("UPDATE params SET value = ? WHERE key = ?", changed, decision_log.key(3))
    faults = history(NAME)[1]
    assert "decision 3: its entry in the log was changed since" in faults
    assert faults[-1].startswith("decision 3 of decisions.lock is another one in the store")


def test_another_store_than_the_anchored_one_is_named(empty_store: Path) -> None:
    shutil.copy(empty_store, "mlflow.db")
    tracking.connect()
    [fault] = history(NAME)[1]
    assert fault.startswith("decisions.lock anchors 3 decisions about pricer in another store: set MLFLOW_")


def test_an_anchor_that_cannot_be_read_is_refused_with_a_mend() -> None:
    anchor.ANCHOR.write_text("three")
    with pytest.raises(PricewrightError, match="decisions.lock cannot be read: .* `git checkout"):
        history(NAME)


def _champion_moved() -> None:
    MlflowClient().set_registered_model_alias(NAME, "champion", "3")


def _champion_taken_away() -> None:
    MlflowClient().delete_registered_model_alias(NAME, "champion")


def _champion_deleted() -> None:
    MlflowClient().delete_model_version(NAME, "2")


def _previous_moved() -> None:
    MlflowClient().set_registered_model_alias(NAME, "previous", "3")


@pytest.mark.parametrize(
    ("move", "noticed"),
    [
        (
            _champion_moved,
            "the alias champion is at version 3, and the decisions have put it at version 2: `make rollback "
            "VERSION=2` puts it back",
        ),
        (
            _champion_taken_away,
            "the alias champion is gone, and the decisions have put it at version 2: `make rollback "
            "VERSION=2` puts it back",
        ),
        (_champion_deleted, "version 2 was champion and is deleted: `make promote` decides anew"),
        (
            _previous_moved,
            "the alias previous is at version 3, and the decisions have put it nowhere; no rollback follows "
            "it",
        ),
    ],
)
def test_an_alias_that_was_moved_by_mlflows_own_client_is_named(
    move: Callable[[], None], noticed: str, decided: list[dict[str, Any]]
) -> None:
    move()
    assert history(NAME) == (decided, [noticed])


def test_a_champion_that_no_decision_made_is_named(empty_store: Path) -> None:
    anchor.ANCHOR.unlink()
    shutil.copy(empty_store, "mlflow.db")
    tracking.connect()
    registry.decision_log(NAME)
    MlflowClient().create_model_version(NAME, "model")
    MlflowClient().set_registered_model_alias(NAME, "champion", "1")
    [fault] = history(NAME)[1]
    assert fault.endswith(
        "the decisions have put it nowhere: `make promote VERSION=1` has the gate decide on it"
    )


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
