"""Promotion and rollback: aliases, records, races; a version that was harmed is refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from components.core import registry
from components.core.errors import PricewrightError
from components.promotion import aliases, promote
from components.promotion.history import history
from tests.support.registry import (
    ANSWER,
    NAME,
    conclude_at_once,
    decided,
    decisions,
    label,
    logged_model,
    register_served,
)

# --- rollback ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_rollback_goes_to_the_previous_version_and_back_again(answers: dict[str, pd.DataFrame]) -> None:
    label(champion="2", previous="1")
    record = promote.rollback(NAME, None)
    assert (record["verdict"], record["version"], record["champion"]) == ("rolled back", "1", "2")
    assert registry.aliases(NAME) == {"champion": "1", "previous": "2"}
    promote.rollback(NAME, "2")
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert [kept["kind"] for kept in decisions("1")] == ["rollback"]


@pytest.mark.usefixtures("project")
def test_rollback_to_nothing_to_itself_or_to_no_version_is_refused() -> None:
    label(champion="2")
    with pytest.raises(PricewrightError, match="no previous version to go back to: name one"):
        promote.rollback(NAME, None)
    with pytest.raises(PricewrightError, match="version 2 is the champion already"):
        promote.rollback(NAME, "2")
    for wrong in ("9", "two"):
        with pytest.raises(PricewrightError, match=f"no version {wrong}"):
            promote.rollback(NAME, wrong)
    assert registry.aliases(NAME) == {"champion": "2"}


@pytest.mark.parametrize("harm", ["cut short", "one weight changed", "missing"])
def test_a_version_whose_files_were_touched_is_refused(project: Path, made: Path, harm: str) -> None:
    label(champion="2", previous="1")
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
            promote.rollback(NAME, "1")
    finally:
        weights.write_bytes(kept)
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert decisions("1") == []


@pytest.mark.usefixtures("project")
def test_a_version_that_is_whole_but_does_not_load_is_refused(bare: Path) -> None:
    version = register_served(bare, ANSWER)
    label(champion="2")
    with pytest.raises(PricewrightError, match=rf"version {version}: it does not load or answer: \w+"):
        promote.rollback(NAME, version)
    assert registry.aliases(NAME)["champion"] == "2"


# --- races and people --------------------------------------------------------------------------------


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told_to_compare_again(project: Path) -> None:
    """In two clones with one registry, neither of which knows of the other's lock file."""
    label(champion="1")
    source = MlflowClient().get_model_version(NAME, "2").source
    assert str(MlflowClient().create_model_version(NAME, source).version) == "3"
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{project}/mlflow.db"}
    winner, loser, error = conclude_at_once(project, ("2", "3"), store)
    refused = (f"is version {winner} now; it was 1 when version {loser} was", "made at the same moment")
    assert any(words in error for words in refused)
    assert registry.aliases(NAME) == {"champion": winner, "previous": "1"}
    assert [len(decisions(version)) for version in (winner, loser)] == [1, 0]
    assert history(NAME)[1] == []


@pytest.mark.usefixtures("project")
def test_a_decision_that_another_clone_made_in_the_meantime_is_refused_by_the_database() -> None:
    label(champion="1")
    with aliases.turn(NAME) as ours:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aliases, "LOCK", Path("another-clone.lock"))
            promote.conclude(decided())
        with pytest.raises(PricewrightError, match="made at the same moment"):
            aliases.commit(ours, decided(), {"champion": "1"})
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert history(NAME)[1] == []


@pytest.mark.usefixtures("project")
def test_a_version_that_was_deleted_since_it_was_compared_is_refused() -> None:
    label(champion="1")
    MlflowClient().delete_model_version(NAME, "2")
    with pytest.raises(PricewrightError, match="no version 2: it never existed or is deleted"):
        promote.conclude(decided())
    assert registry.aliases(NAME) == {"champion": "1"}
    assert history(NAME) == ([], [])


@pytest.mark.usefixtures("project")
def test_a_rollback_while_a_challenger_is_compared_goes_before(answers: dict[str, pd.DataFrame]) -> None:
    label(champion="1")
    record = decided()
    promote.rollback(NAME, "2")
    with pytest.raises(PricewrightError, match="is version 2 now; it was 1 .* Promote again"):
        promote.conclude(record)
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}


@pytest.mark.usefixtures("project")
def test_what_a_person_declined_is_recorded_and_moves_nothing() -> None:
    label(champion="1")
    promote.conclude(decided(declined="not on a Friday"))
    assert registry.aliases(NAME) == {"champion": "1"}
    assert [kept["declined"] for kept in decisions("2")] == ["not on a Friday"]


@pytest.mark.usefixtures("project")
def test_records_are_appended_and_never_overwritten() -> None:
    label(champion="1")
    for reason in ("first", "second", "third"):
        promote.conclude(decided(verdict="rejected", reasons=[reason]))
    assert [kept["reasons"] for kept in decisions("2")] == [["first"], ["second"], ["third"]]
