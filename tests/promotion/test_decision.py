"""The decision about a challenger, in a real SQLite store with real tiny models."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from components.core import registry
from components.core.errors import PricewrightError
from components.core.params.promote import Promote
from components.promotion import decision, promote
from tests.support.registry import (
    ANSWER,
    EVIDENCE,
    NAME,
    SHARED,
    TEXTS,
    baselines,
    decisions,
    label,
    logged_model,
    register_served,
    relabel,
)

# --- the verdicts ------------------------------------------------------------------------------------


def test_a_worse_challenger_is_rejected_and_the_champion_stays(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    label(champion="1", challenger="2")
    relabel(made, answers["1"]["price"] + 0.5)
    record = decision.propose(NAME, None, False, section)
    promote.conclude(record)
    assert record["verdict"] == "rejected"
    assert registry.aliases(NAME) == {"champion": "1", "challenger": "2"}
    assert [kept["verdict"] for kept in decisions("2")] == ["rejected"]


def test_where_each_is_better_on_half_of_the_rows_there_is_not_enough_evidence(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    label(champion="1", challenger="2")
    odd = np.arange(TEXTS) % 2 == 0
    relabel(made, np.where(odd, answers["1"]["price"], answers["2"]["price"]) + 0.5)
    record = decision.propose(NAME, None, False, section)
    promote.conclude(record)
    assert record["verdict"] == "not enough evidence"
    assert record["rows_needed"] > TEXTS
    assert registry.aliases(NAME)["champion"] == "1"


@pytest.mark.parametrize(
    ("budget", "limit", "reason"),
    [
        ("size_max_mb", 1.9, "size in MB is 2"),
        ("latency_max_ms", 2.4, "latency in ms is 2.5"),
        ("parity_rise_max", 0.05, "parity (rise of the MAE) is 0.1"),
        ("forgetting_ratio_max", 1.1, "forgetting (ratio of the perplexity) is 1.2"),
        ("coverage_max", 0.0, "coverage of the interval is"),
    ],
)
def test_a_better_challenger_outside_a_budget_is_rejected(
    made: Path,
    section: Promote,
    answers: dict[str, pd.DataFrame],
    budget: str,
    limit: float,
    reason: str,
) -> None:
    label(champion="1", challenger="2")
    relabel(made, answers["2"]["price"] + 0.5)
    record = decision.propose(NAME, None, False, section.model_copy(update={budget: limit}))
    assert record["verdict"] == "rejected"
    assert record["reasons"][0].startswith(reason)


def test_forgetting_that_nobody_measured_is_said_and_breaks_no_budget(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    label(champion="1", challenger="2")
    relabel(made, answers["2"]["price"] + 0.5)
    monkeypatch.setitem(EVIDENCE, "evaluate.json", {"winner": "sft"})
    record = decision.propose(NAME, None, False, section)
    assert record["verdict"] == "promoted"
    assert record["budgets"]["forgetting (ratio of the perplexity)"] == {"value": None, "at_most": 2.0}


def test_a_parity_that_nobody_measured_breaks_its_budget(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    label(champion="1", challenger="2")
    relabel(made, answers["2"]["price"] + 0.5)
    monkeypatch.setitem(EVIDENCE, "quantize.json", {"format": "nf4"})
    record = decision.propose(NAME, None, False, section)
    assert record["verdict"] == "rejected"
    assert record["reasons"][0] == "parity (rise of the MAE) was not measured"


def test_a_first_champion_has_to_beat_every_baseline_that_is_named(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    label(challenger="2")
    true = answers["2"]["price"] + 0.5
    relabel(made, true)
    assert section.baselines == ["mean", "median", "linear"]
    baselines(mean=900.0, median=true + 0.1, linear=900.0)
    record = decision.propose(NAME, None, False, section)
    assert (record["verdict"], record["against"]) == ("rejected", "baseline median")
    baselines(mean=900.0, median=800.0, linear=true + np.where(np.arange(TEXTS) % 2, 0.0, 4.0))
    record = decision.propose(NAME, None, False, section)
    assert (record["verdict"], record["against"]) == ("not enough evidence", "baseline linear")
    baselines(mean=900.0, median=800.0, linear=850.0)
    record = decision.propose(NAME, None, False, section)
    promote.conclude(record)
    assert (record["verdict"], record["champion"]) == ("promoted", None)
    assert registry.aliases(NAME) == {"champion": "2", "challenger": "2"}


def test_a_baseline_without_answers_or_edited_by_hand_is_refused(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    label(challenger="2")
    baselines(mean=900.0, median=800.0)
    with pytest.raises(PricewrightError, match=r"no answer of linear .* promote.baselines \(mean, median\)"):
        decision.propose(NAME, None, False, section)
    baselines(mean=900.0, median=800.0, linear=10.0)
    worse = pd.read_parquet(decision.PREDICTIONS).replace({"predicted": {10.0: 990.0}})
    worse.to_parquet(decision.PREDICTIONS)
    with pytest.raises(PricewrightError, match=r"not what its stage wrote .* `dvc checkout artifacts/b"):
        decision.propose(NAME, None, False, section)
    assert "champion" not in registry.aliases(NAME)


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_a_version_that_was_registered_with_other_rows_is_refused(section: Promote) -> None:
    label(champion="1", challenger="2")
    items = pd.read_parquet(decision.TEST)
    items.head(30).to_parquet(decision.TEST)
    with pytest.raises(
        PricewrightError, match=r"version 2 was registered with other test rows .* `make run`"
    ):
        decision.propose(NAME, None, False, section)


@pytest.mark.usefixtures("project")
def test_a_version_without_the_hash_of_its_rows_is_refused(section: Promote) -> None:
    label(champion="1", challenger="2")
    MlflowClient().delete_model_version_tag(NAME, "2", decision.ROWS)
    with pytest.raises(PricewrightError, match=r"without an evaluation \(no test_sha256\): register it anew"):
        decision.propose(NAME, None, False, section)


def test_a_version_without_an_evaluation_is_refused(section: Promote, bare: Path) -> None:
    version = register_served(bare, ANSWER, evidence=("quantize.json",))
    label(champion="1", challenger=version)
    refused = r"without an evaluation \(no evaluate.json with it\): register it anew .* stays version 1"
    with pytest.raises(PricewrightError, match=refused):
        decision.propose(NAME, None, False, section)
    assert registry.aliases(NAME)["champion"] == "1"


def test_a_report_that_was_edited_by_hand_is_refused_and_the_champion_stays(
    made: Path, section: Promote, bare: Path
) -> None:
    version = register_served(bare, ANSWER)
    label(champion="1", challenger=version)
    source = MlflowClient().get_model_version(NAME, version).source
    report = logged_model(made, source) / "evidence" / "quantize.json"
    report.write_text(report.read_text().replace("30.1", "29.9"))
    refused = rf"version {version}: its files are not those it was registered with .* stays version 1"
    with pytest.raises(PricewrightError, match=refused):
        decision.propose(NAME, None, False, section)
    assert registry.aliases(NAME)["champion"] == "1"
    assert decisions(version) == []


def test_a_champion_that_was_scored_on_other_rows_is_refused_or_judged_on_what_it_never_saw(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    label(champion="1", challenger="2")
    relabel(made, answers["2"]["price"] + 0.5)
    registry.tag_version(NAME, "1", decision.ROWS, "0" * 64)
    refused = r"champion, pricer version 1, was scored on other test rows .* `make promote UNSEEN=1`"
    with pytest.raises(PricewrightError, match=refused):
        decision.propose(NAME, None, False, section)
    record = decision.propose(NAME, None, True, section)
    assert (record["rows"], record["rows_left_out"]) == (TEXTS - SHARED, SHARED)
    assert (record["verdict"], record["against"]) == ("promoted", "version 1")
    shutil.rmtree(".dvc/cache")
    with pytest.raises(PricewrightError, match=r"curate/train.parquet .* kept nowhere: `dvc fetch`"):
        decision.propose(NAME, None, True, section)
    assert registry.aliases(NAME)["champion"] == "1"


@pytest.mark.usefixtures("project")
def test_without_a_challenger_or_with_the_champion_itself_there_is_nothing_to_judge(section: Promote) -> None:
    with pytest.raises(PricewrightError, match="has no challenger: register one with `make run`"):
        decision.propose(NAME, None, False, section)
    label(champion="1", challenger="1")
    with pytest.raises(decision.NothingToDecide, match="version 1 is the champion already"):
        decision.propose(NAME, None, False, section)
    with pytest.raises(PricewrightError, match="no version 9: it never existed or is deleted"):
        decision.propose(NAME, "9", False, section)
    with pytest.raises(PricewrightError, match="nobody has no challenger"):
        decision.propose("nobody", None, False, section)


def test_a_champion_that_was_deleted_is_named_and_rolled_back_from(
    project: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    """MLflow takes the aliases of a deleted version away; a registry whose tables were mended by hand, or
    another store, may keep them.
    """
    label(champion="1", challenger="2")
    MlflowClient().delete_model_version(NAME, "1")
    assert registry.aliases(NAME) == {"challenger": "2"}
    with sqlite3.connect(project / "mlflow.db") as tables:
        tables.execute(
            "INSERT INTO registered_model_aliases (alias, version, name) VALUES ('champion', 1, 'pricer')"
        )
    assert registry.aliases(NAME)["champion"] == "1"
    with pytest.raises(
        PricewrightError, match=r"points to version 1, which is deleted: .* rollback VERSION=n"
    ):
        decision.propose(NAME, None, False, section)
    promote.rollback(NAME, "2")
    assert registry.aliases(NAME) == {"champion": "2", "challenger": "2"}


@pytest.mark.usefixtures("project")
def test_missing_test_rows_are_named(section: Promote) -> None:
    label(champion="1", challenger="2")
    decision.TEST.unlink()
    with pytest.raises(PricewrightError, match="test.parquet is missing: run the stages above"):
        decision.propose(NAME, None, False, section)
