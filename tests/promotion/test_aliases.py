"""Moves of aliases that a crash cut in two: really killed processes in a real SQLite store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from components.core import registry, tracking
from components.promotion import aliases, decision_log, promote
from components.promotion.history import history
from tests.support.project import ROOT, environment_kept
from tests.support.registry import (
    NAME,
    copy_project,
    crown,
    decided,
    decisions,
)

CRASH = """
import json, os, sys
from components.promotion import promote
from components.core import registry, tracking

def crash(module, name, call):
    step, calls = getattr(module, name), []
    def until(*arguments):
        calls.append(name)
        if len(calls) == call:
            os._exit(9)
        return step(*arguments)
    setattr(module, name, until)

for folder, module, name, call in json.loads(sys.argv[1]):
    if (child := os.fork()) == 0:
        os.chdir(folder)
        tracking.connect()
        crash({"registry": registry, "tracking": tracking}[module], name, call)
        promote.conclude(json.load(open("decided.json")))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, (name, call)
"""
CRASHES = {
    ("tracking", "append_once", 1): {"champion": "1"},
    ("tracking", "log_decision", 1): {"champion": "1"},
    ("registry", "tag_version", 1): {"champion": "1"},
    ("registry", "set_alias", 1): {"champion": "1"},
    ("registry", "set_alias", 2): {"champion": "1", "previous": "1"},
    ("registry", "tag_model", 1): {"champion": "2", "previous": "1"},
}
"""Where a promotion of version 2 is killed (at which call of which function), and the aliases it leaves."""


@pytest.fixture(scope="module")
def crashed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, int], Path]:
    """For each of CRASHES a project in which a promotion was really killed; one process forks for all."""
    folders = {crash: tmp_path_factory.mktemp("crashed") for crash in CRASHES}
    with environment_kept(), pytest.MonkeyPatch.context() as patch:
        for folder in folders.values():
            copy_project(made, folder)
            patch.chdir(folder)
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            tracking.connect()
            crown("1")
            decided()
        todo = json.dumps([[str(folder), *crash] for crash, folder in folders.items()])
        patch.delenv("MLFLOW_TRACKING_URI")
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", CRASH, todo], env=environment, check=True, timeout=240)
    return folders


@pytest.fixture
def after(
    crashed: dict[tuple[str, str, int], Path],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """A copy of the project that was left by the crash which is the parameter; the record it was to keep."""
    folder = tmp_path / "after"
    shutil.copytree(crashed[request.param], folder)
    monkeypatch.chdir(folder)
    tracking.connect()
    record: dict[str, Any] = json.loads(Path("decided.json").read_text())
    assert registry.aliases(NAME) == CRASHES[request.param]
    return record


def next_call() -> None:
    with aliases.turn(NAME):
        pass


@pytest.mark.parametrize("after", list(CRASHES)[1:], indirect=True, ids=str)
def test_a_move_that_a_crash_cut_in_two_is_completed_by_the_next_call(after: dict[str, Any]) -> None:
    next_call()
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert [kept["id"] for kept in decisions("2")] == [after["id"]]
    assert after["id"] in [kept["id"] for kept in tracking.logged_decisions(NAME)]
    records, faults = history(NAME)
    assert ([record["version"] for record in records], faults) == (["1", "2"], [])


@pytest.mark.parametrize("after", list(CRASHES)[:1], indirect=True, ids=str)
def test_a_crash_before_the_decision_is_logged_leaves_everything_as_it_was(after: dict[str, Any]) -> None:
    next_call()
    assert registry.aliases(NAME) == {"champion": "1"}
    assert decisions("2") == []
    assert [record["version"] for record in aliases.log(NAME)] == ["1"]
    assert history(NAME)[1] == []


@pytest.mark.parametrize("after", [("registry", "set_alias", 1)], indirect=True, ids=str)
def test_an_interrupted_move_to_a_version_that_was_deleted_since_is_dropped(
    after: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    MlflowClient().delete_model_version(NAME, "2")
    next_call()
    assert (
        "the moves of an interrupted promote are dropped: pricer has no version 2" in capsys.readouterr().out
    )
    assert registry.aliases(NAME) == {"champion": "1"}


@pytest.mark.usefixtures("project")
def test_a_process_that_stood_still_while_another_went_on_does_not_move_the_aliases_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first stops amid its moves; the second completes them and rolls back; the first goes on."""
    crown("1")
    moved, step = [], registry.set_alias

    def interrupted(model: str, alias: str, version: str) -> None:
        if not moved:
            moved.append(alias)
            monkeypatch.setattr(registry, "set_alias", step)
            monkeypatch.setattr(aliases, "LOCK", Path("another-clone.lock"))
            with aliases.turn(NAME) as turn:
                back = aliases.new_record("rollback", NAME, "1", "2") | {"verdict": "rolled back"}
                decision_log.store(back)
                aliases.commit(turn, back, {"previous": "2", "champion": "1"})
        step(model, alias, version)

    monkeypatch.setattr(registry, "set_alias", interrupted)
    promote.conclude(decided())
    assert registry.aliases(NAME) == {"previous": "2", "champion": "1"}
    assert history(NAME)[1] == []
