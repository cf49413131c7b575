"""The flows around the gate. The process that decides is a stand-in of a few lines, but in the last tests."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.flow_runs import resume_flow_run
from prefect.testing.utilities import prefect_test_harness

from components.core.errors import PricewrightError
from flows import promote as flows
from tests.support.project import ROOT

RECORD: dict[str, Any] = {
    "id": "20261121T010101.000000-abcdef12",
    "kind": "promote",
    "when": "2026-11-21T01:01:01+00:00",
    "by": "ann",
    "model": "pricer",
    "version": "3",
    "champion": "2",
    "verdict": "promoted",
    "against": "version 2",
    "difference": 2.5,
    "low": 1.25,
    "high": 3.75,
    "rows": 600,
    "rows_needed": None,
    "reasons": ["the interval from +1.25 to +3.75 dollars lies above the minimum effect of 0.25"],
    "mae_challenger": 30.0,
    "mae_against": 32.5,
    "test_sha256": "0123456789abcdef",
    "rows_left_out": 40,
    "budgets": {
        "coverage": {"value": 0.81234, "at_least": 0.7, "at_most": 0.9},
        "forgetting": {"value": None, "at_most": 2.0},
    },
    "params": {"error_rate": 0.025},
}
STAND_IN = """
import json, pathlib, sys
arguments = sys.argv[1:]
with open("asked.txt", "a") as asked:
    asked.write(" ".join(arguments[:-1]) + "\\n")
if pathlib.Path("refuse.txt").exists():
    sys.exit("error: " + pathlib.Path("refuse.txt").read_text())
print("asking pricer version 3 for 600 prices", flush=True)
record = json.loads(pathlib.Path("record.json").read_text())
if arguments[0] == "settle":
    record |= {arguments[2].removeprefix("--").replace("-", "_"): arguments[3]}
pathlib.Path(arguments[-1]).write_text(json.dumps(record))
"""


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(flows, "LOOK_AGAIN", 1)
    settings(approval=False)
    return tmp_path


def settings(**changed: Any) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["promote"] |= changed
    Path("params.yaml").write_text(yaml.safe_dump(raw))


def stand_in(**changed: Any) -> None:
    """A components/promotion/promote.py in the folder: it notes what it is asked and hands a record over."""
    Path("components").mkdir()
    Path("components/__init__.py").touch()
    Path("components/promotion/promote.py").write_text(STAND_IN)
    Path("record.json").write_text(json.dumps(RECORD | changed))


def asked() -> list[str]:
    """What the process was asked, temporary paths left out."""
    lines = Path("asked.txt").read_text().splitlines()
    return [" ".join(word for word in line.split() if not word.startswith("/")) for line in lines]


def page(key: str) -> str:
    found = Artifact.get(key)
    assert found is not None
    return str(found.data)


# --- what is shown -----------------------------------------------------------------------------------


def test_a_decision_is_shown_with_its_figures() -> None:
    shown = flows.text(RECORD)
    for part in (
        "Promoted: pricer version 3",
        "+2.50 dollars (0.95 interval +1.25 to +3.75)",
        "32.50 dollars",
        "600 (SHA-256 0123456789ab); 40 left out that the champion was made with",
        "0.8123 (at least 0.7, at most 0.9)",
        "not measured (at most 2)",
        "lies above the minimum effect",
        "ann, 2026-11-21",
    ):
        assert part in shown


def test_too_little_evidence_is_shown_with_the_rows_that_are_needed() -> None:
    record = RECORD | {"verdict": "not enough evidence", "rows_needed": 2400, "champion": None}
    assert flows.headline(record) == "Not enough evidence: pricer version 3"
    found = dict(flows.rows(record))
    assert (found["rows needed"], found["champion before"]) == ("about 2400", "none")


def test_a_decision_without_a_comparable_row_can_be_shown() -> None:
    nothing = {"difference": None, "low": None, "high": None, "mae_challenger": None}
    found = dict(flows.rows(RECORD | nothing))
    assert (found["better by"], found["MAE of the version"]) == ("unknown", "none (no readable answer)")


# --- the flows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["promoted", "rejected", "not enough evidence"])
def test_the_state_of_the_flow_is_named_by_the_verdict(
    verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(verdict=verdict)
    state = flows.promote(return_state=True)
    assert state.is_completed()
    assert state.name == verdict.capitalize()
    assert asked() == ["promote --out"]
    assert f"{verdict.capitalize()}: pricer version 3" in capsys.readouterr().out
    assert page("promote-decision").startswith(f"# {verdict.capitalize()}: pricer version 3")


def test_a_version_is_handed_to_the_process_for_promotion_and_rollback() -> None:
    stand_in(kind="rollback", verdict="rolled back")
    flows.rollback("1")
    assert page("rollback-decision").startswith("# Rolled back: pricer version 3")
    flows.promote("3", unseen=True)
    assert asked() == ["rollback --version 1 --out", "promote --version 3 --unseen --out"]


def test_what_the_process_refuses_fails_the_flow_with_its_words() -> None:
    stand_in()
    Path("refuse.txt").write_text("pricer has no challenger: register one with `make run`")
    with pytest.raises(PricewrightError, match="^pricer has no challenger: register one with `make run`$"):
        flows.promote()


def test_without_a_deployment_no_approval_is_waited_for() -> None:
    settings(approval=True)
    stand_in()
    assert flows.promote(return_state=True).name == "Promoted"
    assert asked() == ["promote --out"]


@pytest.mark.parametrize(
    ("approve", "name", "settled"),
    [
        (True, "Promoted", "settle --approved-by ann --out"),
        (False, "Declined", "settle --declined declined by ann --out"),
    ],
)
def test_a_deployment_waits_for_a_person_where_the_params_say_so(
    monkeypatch: pytest.MonkeyPatch, approve: bool, name: str, settled: str
) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "11111111-1111-1111-1111-111111111111")
    settings(approval=True)
    stand_in()
    person = threading.Thread(target=_answer, args=({"name": "ann", "approve": approve},))
    person.start()
    state = flows.promote(return_state=True)
    person.join()
    assert state.name == name
    assert asked() == ["promote --hold --out", settled]


def test_a_rejected_challenger_needs_no_approval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "11111111-1111-1111-1111-111111111111")
    settings(approval=True)
    stand_in(verdict="rejected")
    assert flows.promote(return_state=True).name == "Rejected"
    assert asked() == ["promote --hold --out"]


def test_a_proposal_that_nobody_approves_lapses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "11111111-1111-1111-1111-111111111111")
    settings(approval=True, approval_hours=2 / 3600)
    stand_in()
    with pytest.raises(PricewrightError, match="nobody approved within .* Promote again"):
        flows.promote()
    assert page("promote-decision").startswith("# Declined: pricer version 3")
    assert asked()[1].startswith("settle --declined nobody approved within")


def _answer(said: dict[str, Any]) -> None:
    """The person: waits for the pause, then resumes the run with an answer."""
    with get_client(sync_client=True) as client:
        for _ in range(300):
            paused = [run for run in client.read_flow_runs() if run.state and run.state.is_paused()]
            if paused:
                resume_flow_run(paused[0].id, run_input=said)
                return
            time.sleep(0.2)


# --- with the real process ---------------------------------------------------------------------------


def test_an_empty_registry_is_refused_by_the_real_process(
    monkeypatch: pytest.MonkeyPatch, empty_store: Path, tmp_path: Path
) -> None:
    store = shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    with pytest.raises(PricewrightError, match="^pricer has no challenger: register one with `make run`"):
        flows.promote()
    with pytest.raises(PricewrightError, match="^pricer has no previous version to go back to"):
        flows.rollback()


def test_every_deployment_names_a_flow_that_there_is() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    entries = {deployment["name"]: deployment["entrypoint"] for deployment in deployments}
    assert entries["promote"] == "flows/promote.py:promote"
    assert entries["rollback"] == "flows/promote.py:rollback"
    assert {flows.promote.name, flows.rollback.name} == {"promote", "rollback"}
