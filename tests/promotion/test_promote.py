"""Promotion and rollback: aliases, records, races; a version that was harmed is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from components.core import registry
from components.core.errors import PricewrightError
from components.promotion import aliases, anchor, promote
from components.promotion.history import history
from tests.support.registry import (
    ANSWER,
    NAME,
    conclude_at_once,
    crown,
    decided,
    decisions,
    label,
    logged_model,
    register_served,
    roll_back,
)

# --- rollback ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_rollback_goes_to_the_previous_version_and_back_again(answers: dict[str, pd.DataFrame]) -> None:
    crown("1", "2")
    record = roll_back()
    assert (record["verdict"], record["version"], record["champion"]) == ("rolled back", "1", "2")
    assert registry.aliases(NAME) == {"champion": "1", "previous": "2"}
    roll_back("2")
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert [kept["kind"] for kept in decisions("1")] == ["promote", "rollback"]


@pytest.mark.usefixtures("project")
def test_rollback_to_nothing_to_itself_or_to_no_version_is_refused() -> None:
    crown("2")
    with pytest.raises(PricewrightError, match=r"no previous version to .* A rollback goes to .* 2\."):
        roll_back()
    with pytest.raises(PricewrightError, match="version 2 is the champion already"):
        roll_back("2")
    for wrong in ("9", "two"):
        with pytest.raises(PricewrightError, match=f"no version {wrong}"):
            roll_back(wrong)
    assert registry.aliases(NAME) == {"champion": "2"}


@pytest.mark.usefixtures("project")
def test_rollback_goes_only_to_a_version_that_was_champion_once(answers: dict[str, pd.DataFrame]) -> None:
    """Whatever the aliases say; what to do instead is said, since there may be no champion yet."""
    with pytest.raises(PricewrightError, match=r"no previous version to .* `make promote VERSION=n`"):
        roll_back()
    with pytest.raises(PricewrightError, match=r"2 never was champion\. .* `make serve VERSION=2` serves"):
        roll_back("2")
    crown("1")
    promote.conclude(decided(verdict="not enough evidence"))
    promote.conclude(decided() | {"declined": "not today"})
    label(previous="2")
    with pytest.raises(PricewrightError, match=r"2 never was champion\. A rollback goes to .* version 1\."):
        roll_back("2")
    with pytest.raises(PricewrightError, match="no previous version to go back to"):
        roll_back()
    label(champion="2")
    assert roll_back("1")["champion"] == "1"
    assert registry.aliases(NAME)["champion"] == "1"


@pytest.mark.parametrize("harm", ["cut short", "one weight changed", "missing"])
def test_a_version_whose_files_were_touched_is_refused(project: Path, made: Path, harm: str) -> None:
    crown("1", "2")
    source = MlflowClient().get_model_version(NAME, "1").source
    with registry.fetched(registry.open_version(NAME, "1")) as whole:
        assert (whole / "MLmodel").is_file()
    [weights] = list(logged_model(made, source).glob("data/**/*.safetensors"))
    kept = weights.read_bytes()
    try:
        if harm == "missing":
            weights.unlink()
        elif harm == "cut short":
            weights.write_bytes(kept[: len(kept) // 2])
        else:
            weights.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        with pytest.raises(
            PricewrightError, match=r"version 1: its files are not .* The champion stays version 2"
        ):
            roll_back("1")
    finally:
        weights.write_bytes(kept)
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert [kept["kind"] for kept in decisions("1")] == ["promote"]


@pytest.mark.usefixtures("project")
def test_a_version_that_is_whole_but_does_not_load_is_refused(bare: Path) -> None:
    version = register_served(bare, ANSWER)
    crown(version, "2")
    with pytest.raises(PricewrightError, match=rf"version {version}: it does not load or answer: \w+"):
        roll_back(version)
    assert registry.aliases(NAME)["champion"] == "2"


# --- races and people --------------------------------------------------------------------------------


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told_to_compare_again(project: Path) -> None:
    """In two clones with one registry, neither of which knows of the other's lock file."""
    crown("1")
    source = MlflowClient().get_model_version(NAME, "2").source
    assert str(MlflowClient().create_model_version(NAME, source).version) == "3"
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{project}/mlflow.db"}
    winner, loser, error = conclude_at_once(project, ("2", "3"), store)
    refused = (f"is version {winner} now; it was 1 when version {loser} was", "made at the same moment")
    assert any(words in error for words in refused)
    assert registry.aliases(NAME) == {"champion": winner, "previous": "1"}
    assert [len(decisions(version)) for version in (winner, loser)] == [1, 0]
    assert history(NAME)[1][0].startswith(
        "the store has 2 decisions about pricer, decisions.lock 1: `git pull`"
    )
    shutil.copy(project / f"clone-{winner}" / anchor.ANCHOR, anchor.ANCHOR)
    assert history(NAME)[1] == []


@pytest.mark.usefixtures("project")
def test_a_decision_that_another_clone_made_in_the_meantime_is_refused_by_the_database() -> None:
    crown("1")
    with aliases.turn(NAME) as ours:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aliases, "LOCK", Path("another-clone.lock"))
            promote.conclude(decided())
        with pytest.raises(PricewrightError, match="made at the same moment"):
            aliases.commit(ours, decided(), {"champion": "2"})
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert history(NAME)[1] == []


@pytest.mark.usefixtures("project")
def test_a_version_that_was_deleted_since_it_was_compared_is_refused() -> None:
    crown("1")
    record = decided()
    MlflowClient().delete_model_version(NAME, "2")
    with pytest.raises(PricewrightError, match="no version 2: it never existed or is deleted"):
        promote.conclude(record)
    assert registry.aliases(NAME) == {"champion": "1"}
    assert [record["version"] for record in aliases.log(NAME)] == ["1"]


@pytest.mark.usefixtures("project")
def test_a_rollback_while_a_challenger_is_compared_goes_before(answers: dict[str, pd.DataFrame]) -> None:
    crown("2", "1")
    record = decided()
    roll_back("2")
    with pytest.raises(PricewrightError, match="is version 2 now; it was 1 .* Try again"):
        promote.conclude(record)
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}


@pytest.mark.usefixtures("project")
def test_what_a_person_declined_is_recorded_and_moves_nothing() -> None:
    crown("1")
    promote.conclude(decided() | {"declined": "not on a Friday"})
    assert registry.aliases(NAME) == {"champion": "1"}
    assert [kept["declined"] for kept in decisions("2")] == ["not on a Friday"]


@pytest.mark.usefixtures("project")
def test_records_are_appended_and_never_overwritten() -> None:
    crown("1")
    for reason in ("first", "second", "third"):
        promote.conclude(decided(verdict="rejected", reasons=[reason]))
    assert [kept["reasons"] for kept in decisions("2")] == [["first"], ["second"], ["third"]]
