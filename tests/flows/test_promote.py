"""The flows around the gate, with a real registry of two versions, a real Prefect server and a real pause."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.flow_runs import resume_flow_run
from prefect.flows import load_flow_from_entrypoint
from prefect.testing.utilities import prefect_test_harness

from components.core import registry, tracking
from components.core.errors import PricewrightError
from components.promotion import aliases, gate_rows
from flows import promote as flows
from flows import summary
from tests.support.project import ROOT
from tests.support.registry import NAME, TEXTS, baselines, crown, label, relabel

RECORD: dict[str, Any] = {
    "id": "20261121T010101.000000-abcdef12",
    "kind": "promote",
    "number": 4,
    "when": "2026-11-21T01:01:01+00:00",
    "by": "ann",
    "model": "pricer",
    "version": "3",
    "champion": "2",
    "verdict": "promoted",
    "against": "version 2",
    "unit": "dollars",
    "difference": 2.5,
    "low": 1.25,
    "high": 3.75,
    "rows": 600,
    "rows_needed": None,
    "products": 500,
    "reasons": ["the interval from +1.25 to +3.75 dollars lies above the minimum effect of 0.25"],
    "loss_challenger": 30.0,
    "loss_against": 32.5,
    "gate_sha256": "0123456789abcdef",
    "rows_left_out": 40,
    "budgets": {
        "coverage": {"value": 0.81234, "at_least": 0.7, "at_most": 0.9},
        "forgetting": {"value": None, "at_most": 2.0},
    },
    "spent": {"position": 1, "decisions_max": 20, "shared": 0.05, "error_rate": 0.025},
}


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "POLL", 1)


def settings(**changed: Any) -> None:
    """Other values for the gate in the project's params.yaml."""
    raw = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    raw["promote"] |= changed
    Path("params.yaml").write_text(yaml.safe_dump(raw))


def page(key: str) -> str:
    artifact = Artifact.get(key)
    assert artifact is not None
    return str(artifact.data)


# --- what is shown -----------------------------------------------------------------------------------


def test_a_decision_is_shown_with_its_figures() -> None:
    text = flows.text(RECORD)
    for part in (
        "Promoted: pricer version 3",
        "+2.50 dollars (0.95 interval +1.25 to +3.75)",
        "32.50 dollars",
        "0.025 of 0.05: comparison 1 of at most 20 on these rows",
        "600 (SHA-256 0123456789ab); 40 left out that were seen before",
        "0.8123 (at least 0.7, at most 0.9)",
        "not measured (at most 2)",
        "lies above the minimum effect",
        "ann, 2026-11-21",
    ):
        assert part in text


def test_a_decision_that_is_not_kept_yet_is_shown_as_a_proposal() -> None:
    record = {name: value for name, value in RECORD.items() if name != "number"}
    assert flows.headline(record) == "Proposed: pricer version 3"


def test_too_little_evidence_is_shown_with_the_rows_that_are_needed() -> None:
    record = RECORD | {"verdict": "not enough evidence", "rows_needed": 2400, "champion": None}
    assert flows.headline(record) == "Not enough evidence: pricer version 3"
    figures = dict(flows.rows(record))
    assert (figures["products needed"], figures["champion before"]) == ("about 2400", "none")


def test_a_decision_without_a_comparable_row_can_be_shown() -> None:
    nothing = {"difference": None, "low": None, "high": None, "loss_challenger": None}
    figures = dict(flows.rows(RECORD | nothing))
    assert (figures["better by"], figures["mean loss of the version"]) == (
        "unknown",
        "none (no readable answer)",
    )


# --- the flows ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("better")
def test_one_command_promotes_a_better_challenger() -> None:
    """Nothing is stood in for: the command fetches both versions and tries them in processes of their own."""
    done = command("promote")
    assert done.returncode == 0, done.stderr
    assert "Promoted: pricer version 2" in done.stdout
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1", "challenger": "2"}
    [record] = aliases.decisions(registry.open_version(NAME, "2"))
    assert record in tracking.logged_decisions(NAME)
    assert "decisions.lock holds the new head of the decisions: commit it." in done.stdout
    assert (record["version"], record["champion"], record["against"]) == ("2", "1", "version 1")
    assert record["low"] > 1.0
    assert record["loss_challenger"] == pytest.approx(0.5)
    assert (record["rows"], record["rows_left_out"]) == (TEXTS, 0)
    assert record["gate_sha256"] == registry.sha256(gate_rows.GATE)
    assert record["budgets"]["latency in ms"]["value"] > 0


def standing() -> dict[str, str | None]:
    stands: dict[str, str | None] = json.loads(summary.STANDING.read_text(encoding="utf-8"))
    return stands


def test_a_first_version_is_crowned_by_the_gate_or_the_summary_learns_why_not(
    project: Path, made: Path, answers: dict[str, pd.DataFrame]
) -> None:
    label(challenger="2")
    true = answers["2"]["value"] + 0.5
    relabel(made, true)
    settings(approval=True)
    flows.first_champion()
    assert standing()["reason"] == "a person has to approve it (promote.approval): `make promote`"
    settings(approval=False)
    baselines("ridge", ridge=true)
    flows.first_champion()
    stands = standing()
    assert (stands["champion"], registry.aliases(NAME)) == (None, {"challenger": "2"})
    assert str(stands["reason"]).startswith("rejected: the interval from -0.50")
    assert str(stands["advice"]).startswith("a better model than baseline ridge")
    flows.first_champion()
    assert len(aliases.decisions(registry.open_version(NAME, "2"))) == 1, "it is not decided again and again"
    label(challenger="1")
    relabel(made, answers["1"]["value"] + 0.5)
    baselines("ridge", ridge=5000.0)
    flows.first_champion()
    assert registry.aliases(NAME) == {"champion": "1", "challenger": "1"}
    assert standing()["champion"] == "1"
    assert aliases.decisions(registry.open_version(NAME, "1"))[0]["against"] == "baseline ridge"


@pytest.mark.usefixtures("project")
def test_where_the_challenger_is_the_champion_the_command_says_so_and_ends_well() -> None:
    crown("1")
    label(challenger="1")
    done = command("promote")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "version 1 is the champion already: there is nothing to decide until `make run`" in done.stdout
    assert command("promote", "--version", "99").returncode == 1


@pytest.mark.usefixtures("project")
def test_a_registry_that_is_down_is_named_without_its_password() -> None:
    done = command("promote", MLFLOW_TRACKING_URI="http://ann:secret@127.0.0.1:9")
    assert done.returncode == 1
    assert "error: the registry at http://127.0.0.1:9 does not answer" in done.stderr
    assert "mend MLFLOW_TRACKING_URI" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(
        [sys.executable, "-m", "flows.promote", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.usefixtures("better")
def test_the_state_of_the_flow_is_named_by_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    settings(minimum_effect=900.0)
    assert flows.promote(return_state=True).name == "Rejected"
    settings(minimum_effect=1.0)
    state = flows.promote(return_state=True)
    assert (state.is_completed(), state.name) == (True, "Promoted")
    assert "Promoted: pricer version 2" in capsys.readouterr().out
    assert page("promote-decision").startswith("# Promoted: pricer version 2")
    assert "| compared with | version 1 |" in page("promote-decision")
    assert flows.rollback(return_state=True).name == "Rolled back"
    assert page("rollback-decision").startswith("# Rolled back: pricer version 1")
    assert registry.aliases(NAME) == {"champion": "1", "previous": "2", "challenger": "2"}


@pytest.mark.usefixtures("better")
def test_a_version_is_handed_on() -> None:
    label(challenger="1")
    assert flows.promote("2", return_state=True).name == "Promoted"
    flows.rollback("1")
    assert registry.aliases(NAME)["champion"] == "1"


@pytest.mark.usefixtures("better")
def test_approval_binds_promotion_and_rollback_in_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal is a real one; without one nobody can be asked."""
    settings(approval=True)
    with Path(os.devnull).open() as nowhere:
        monkeypatch.setattr(sys, "stdin", nowhere)
        with pytest.raises(PricewrightError, match=r"a person has to approve .* the deployment `promote`"):
            flows.promote()
    keyboard, terminal = pty.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        for typed, flow, state, champion in (
            (b"\n", flows.promote, "Declined", "1"),
            (b"ann\n", flows.promote, "Promoted", "2"),
            (b"\n", flows.rollback, "Declined", "2"),
            (b"bob\n", flows.rollback, "Rolled back", "1"),
        ):
            os.write(keyboard, typed)
            assert flow(return_state=True).name == state
            assert registry.aliases(NAME)["champion"] == champion
    os.close(keyboard)
    answers = [record.get("approved_by") or record.get("declined") for record in aliases.log(NAME)[1:]]
    assert answers == ["declined by tester", "ann", "declined by tester", "bob"]


@pytest.mark.usefixtures("better")
def test_a_rollback_by_a_deployment_waits_for_a_person_too(monkeypatch: pytest.MonkeyPatch) -> None:
    crown("2")
    settings(approval=True)
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "11111111-1111-1111-1111-111111111111")
    person = threading.Thread(target=_answer, args=({"name": "ann", "approve": True},))
    person.start()
    assert flows.rollback(return_state=True).name == "Rolled back"
    person.join()
    assert aliases.log(NAME)[-1]["approved_by"] == "ann"
    assert registry.aliases(NAME)["champion"] == "1"


@pytest.mark.parametrize(("approve", "name", "champion"), [(True, "Promoted", "2"), (False, "Declined", "1")])
@pytest.mark.usefixtures("better")
def test_a_deployment_waits_for_a_person_where_the_params_say_so(
    monkeypatch: pytest.MonkeyPatch, approve: bool, name: str, champion: str
) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "11111111-1111-1111-1111-111111111111")
    settings(approval=True)
    person = threading.Thread(target=_answer, args=({"name": "ann", "approve": approve},))
    person.start()
    state = flows.promote(return_state=True)
    person.join()
    assert state.name == name
    assert registry.aliases(NAME)["champion"] == champion
    [record] = aliases.decisions(registry.open_version(NAME, "2"))
    assert record.get("approved_by", record.get("declined")) in ("ann", "declined by ann")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda: crown("2"), "is version 2 now; it was 1 when version 2 was proposed"),
        (lambda: MlflowClient().delete_model_version(NAME, "2"), "no version 2: it never existed or is"),
    ],
    ids=["the champion", "the challenger"],
)
@pytest.mark.usefixtures("better")
def test_an_approval_counts_for_the_two_versions_that_were_compared_alone(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[], None], error: str
) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "11111111-1111-1111-1111-111111111111")
    settings(approval=True)
    person = threading.Thread(target=_answer, args=({"name": "ann", "approve": True}, change))
    person.start()
    with pytest.raises(PricewrightError, match=error):
        flows.promote()
    person.join()
    assert page("promote-decision").startswith("# Proposed: pricer version 2")


@pytest.mark.usefixtures("better")
def test_a_rejected_challenger_needs_no_approval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "11111111-1111-1111-1111-111111111111")
    settings(approval=True, minimum_effect=900.0)
    assert flows.promote(return_state=True).name == "Rejected"


@pytest.mark.usefixtures("better")
def test_a_proposal_that_nobody_approves_lapses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "11111111-1111-1111-1111-111111111111")
    settings(approval=True, approval_hours=2 / 3600)
    with pytest.raises(PricewrightError, match="nobody approved within .* Start it again"):
        flows.promote()
    assert page("promote-decision").startswith("# Declined: pricer version 2")
    [record] = aliases.decisions(registry.open_version(NAME, "2"))
    assert record["declined"].startswith("nobody approved within")
    assert registry.aliases(NAME)["champion"] == "1"


def _answer(form: dict[str, Any], before: Callable[[], None] = lambda: None) -> None:
    """The person: waits for the pause, then resumes the run with an answer; `before` happens before that."""
    with get_client(sync_client=True) as client:
        for _ in range(300):
            paused = [run for run in client.read_flow_runs() if run.state and run.state.is_paused()]
            if paused:
                before()
                resume_flow_run(paused[0].id, run_input=form)
                return
            time.sleep(0.2)


# --- a registry with nothing in it -------------------------------------------------------------------


def test_an_empty_registry_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, empty_store: Path, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    with pytest.raises(PricewrightError, match="^pricer has no challenger: register one with `make run`"):
        flows.promote()
    with pytest.raises(PricewrightError, match="^pricer has no previous version to go back to"):
        flows.rollback()


def test_every_flow_of_a_command_has_a_deployment_with_parameters_that_it_takes() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    assert [deployment["name"] for deployment in deployments] == [
        "train",
        "promote",
        "rollback",
        "fresh-test",
        "watch",
        "retrain",
    ]
    for deployment in deployments:
        flow = load_flow_from_entrypoint(str(ROOT / deployment["entrypoint"]))
        assert flow.name == deployment["name"]
        assert flow.validate_parameters(deployment["parameters"]) == deployment["parameters"]


def test_a_reason_or_name_that_is_markup_is_plain_text_on_the_page_of_a_decision() -> None:
    record = RECORD | {"reasons": ["[x](http://a.example) | <b>"], "by": "*ann*\n# big"}
    lines = flows.markdown(record).splitlines()
    assert r"| why | \[x\](http\://a.example) \| \<b\> |" in lines
    assert any(line.startswith(r"| by | \*ann\* # big, 2026") for line in lines)
    assert not any(line.startswith("# big") for line in lines)
    assert "[x](http://a.example) | <b>" in flows.text(record)
