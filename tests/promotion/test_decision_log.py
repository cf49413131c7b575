"""What counts as a decision: proposals that were stored, each settled once; everything else moves nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from components.core import registry, tracking
from components.core.errors import PricewrightError
from components.promotion import aliases, anchor, decision_log, promote
from tests.support.project import environment_kept
from tests.support.registry import NAME, crown, decided

Record = dict[str, Any]
UNAPPROVED = "nobody has approved it, and promote.approval was set when it was proposed"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A folder with four versions: 1 was champion, 2 is, 3 was declined, 4 was never decided on."""
    folder = tmp_path_factory.mktemp("decisions")
    with environment_kept(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PRICEWRIGHT_BY", "ann")
        shutil.copy(empty_store, "mlflow.db")
        tracking.connect()
        registry.decision_log(NAME)
        for _ in range(4):
            MlflowClient().create_model_version(NAME, str(folder / "model"))
        crown("1", "2")
        promote.conclude(decided(version="3", champion="2") | {"declined": "not today"})
    return folder


@pytest.fixture(autouse=True)
def registered(once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of its tables and of what git keeps beside them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRICEWRIGHT_BY", "ann")
    for name in ("mlflow.db", anchor.ANCHOR):
        shutil.copy(once / name, tmp_path)
    tracking.connect()


def write(record: Record, moves: dict[str, str], number: int = 4) -> None:
    """Append a decision to the log by MLflow's own client, in its place in the chain."""
    before = decision_log.entries(NAME)[-1].digest
    entry = {"record": record | {"number": number, "before": before}, "moves": moves}
    MlflowClient().log_param(registry.decision_log(NAME), decision_log.key(number), json.dumps(entry))


def promoted(version: str, **changed: Any) -> Record:
    return aliases.new_record("promote", NAME, version, "2") | {"verdict": "promoted"} | changed


def _made_up() -> None:
    write(promoted("4"), {"previous": "2", "champion": "4"})


def _changed_since_it_was_proposed() -> None:
    write(decided(version="4", champion="2", verdict="rejected") | {"verdict": "promoted"}, {"champion": "4"})


def _declined_and_settled_again() -> None:
    [declined] = [record for record in aliases.log(NAME) if "declined" in record]
    taken_back = {name: declined[name] for name in declined if name != "declined"}
    write(taken_back, {"previous": "2", "champion": "3"})


def _settled_twice() -> None:
    write(next(entry.record for entry in decision_log.entries(NAME)), {"champion": "1"})


def _rejected_with_a_move() -> None:
    write(decided(version="4", champion="2", verdict="rejected"), {"champion": "4"})


def _another_version_moved() -> None:
    write(decided(version="4", champion="2"), {"champion": "3"})


def _compared_with_another_champion() -> None:
    write(decided(version="4", champion="1"), {"champion": "4"})


def _rolled_back_to_what_never_was_champion() -> None:
    back = aliases.new_record("rollback", NAME, "3", "2") | {"verdict": "rolled back"}
    write(decision_log.store(back), {"champion": "3"})


def _promoted_unapproved() -> None:
    write(decided(version="4", champion="2", params={"approval": True}), {"champion": "4"})


def _rolled_back_unapproved() -> None:
    back = aliases.new_record("rollback", NAME, "1", "2") | {"verdict": "rolled back"}
    write(decision_log.store(back | {"params": {"approval": True}}), {"champion": "1"})


def _no_json() -> None:
    MlflowClient().log_param(registry.decision_log(NAME), decision_log.key(4), "{")


def _no_record() -> None:
    MlflowClient().log_param(registry.decision_log(NAME), decision_log.key(4), '{"record": 1, "moves": []}')


@pytest.mark.parametrize(
    ("forge", "fault"),
    [
        (_made_up, "it settles no proposal that the gate has stored"),
        (_changed_since_it_was_proposed, "it settles no proposal that the gate has stored"),
        (_declined_and_settled_again, "its proposal was settled before"),
        (_settled_twice, "its proposal was settled before"),
        (_rejected_with_a_move, "it moves an alias though it makes no champion"),
        (_another_version_moved, "its moves are not those of its verdict"),
        (_compared_with_another_champion, "it was made when another version was champion"),
        (_rolled_back_to_what_never_was_champion, "it goes back to a version that never was champion"),
        (_promoted_unapproved, "nobody has approved it, and promote.approval was set when it was proposed"),
        (
            _rolled_back_unapproved,
            "nobody has approved it, and promote.approval was set when it was proposed",
        ),
        (_no_json, "it cannot be read"),
        (_no_record, "it cannot be read"),
    ],
)
def test_a_decision_that_was_written_by_hand_moves_nothing_and_the_next_one_follows_it(
    forge: Callable[[], None], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forge()
    with aliases.turn(NAME):
        pass
    assert f"decision 4 about pricer moves nothing: {fault}" in capsys.readouterr().out
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert [entry.fault for entry in decision_log.entries(NAME)] == ["", "", "", fault]
    crown("4")
    assert registry.aliases(NAME) == {"champion": "4", "previous": "2"}


def test_a_decision_out_of_its_place_moves_nothing_and_stops_nobody() -> None:
    log = registry.decision_log(NAME)
    record = decided(version="4", champion="2") | {"number": 5, "before": ""}
    forged = json.dumps({"record": record, "moves": {"champion": "4"}})
    MlflowClient().log_param(log, decision_log.key(5), forged)
    crown("3", "1")
    faults = {entry.number: entry.fault for entry in decision_log.entries(NAME) if entry.fault}
    assert faults == {5: "it does not follow the decision before it"}
    assert registry.aliases(NAME) == {"champion": "1", "previous": "3"}


def test_a_promoted_that_nobody_proposed_is_not_settled() -> None:
    by_hand = promoted("4")
    registry.tag_version(NAME, "4", aliases.DECISION + by_hand["id"], json.dumps(by_hand))
    with pytest.raises(PricewrightError, match=r"settles no proposal .* `make promote VERSION=4`"):
        promote.conclude(by_hand)
    changed = decided(version="4", champion="2", verdict="not enough evidence") | {"verdict": "promoted"}
    with pytest.raises(PricewrightError, match="settles no proposal"):
        promote.conclude(changed)
    assert registry.aliases(NAME)["champion"] == "2"
    assert len(aliases.log(NAME)) == 3


def test_where_the_aliases_stand_is_what_the_decisions_say_whatever_mlflow_was_told() -> None:
    registry.set_alias(NAME, "champion", "4")
    registry.set_alias(NAME, "previous", "3")
    assert aliases.standing(NAME) == {"champion": "2", "previous": "1"}
    with pytest.raises(PricewrightError, match="now; it was 4 when version 3 was proposed"):
        promote.conclude(decided(version="3", champion="4"))
    MlflowClient().delete_model_version(NAME, "1")
    assert aliases.standing(NAME) == {"champion": "2"}


def test_a_log_that_ends_before_what_was_carried_out_is_refused_with_a_mend() -> None:
    registry.tag_model(NAME, aliases.HEAD, json.dumps([5, "0" * 64]))
    with pytest.raises(PricewrightError, match="ends with decision 3, and 5 were carried out: bring it back"):
        crown("4")
