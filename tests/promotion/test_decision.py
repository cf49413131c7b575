"""The decision about a challenger, in a real SQLite store with real tiny models."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from components.core import registry
from components.core.errors import PricewrightError
from components.core.params.promote import Promote
from components.promotion import decision, gate_rows, promote
from components.promotion.gate import Decision, Verdict
from components.promotion.spending import FreshRowsNeeded
from tests.support.project import TASK
from tests.support.registry import (
    ANSWER,
    EVIDENCE,
    NAME,
    SHARED,
    TEXTS,
    baselines,
    crown,
    decided,
    decisions,
    label,
    logged_model,
    register_served,
    relabel,
)

# --- the verdicts ------------------------------------------------------------------------------------


def test_a_worse_challenger_is_rejected_and_the_champion_stays(
    made: Path, section: Promote, better: dict[str, pd.DataFrame]
) -> None:
    relabel(made, better["1"]["value"] + 0.5)
    record = decision.propose(NAME, None, False, section, TASK)
    promote.conclude(record)
    assert record["verdict"] == "rejected"
    assert registry.aliases(NAME) == {"champion": "1", "challenger": "2"}
    assert [kept["verdict"] for kept in decisions("2")] == ["rejected"]


def test_where_each_is_better_on_half_of_the_rows_there_is_not_enough_evidence(
    made: Path, section: Promote, better: dict[str, pd.DataFrame]
) -> None:
    odd = np.arange(TEXTS) % 2 == 0
    relabel(made, np.where(odd, better["1"]["value"], better["2"]["value"]) + 0.5)
    record = decision.propose(NAME, None, False, section, TASK)
    promote.conclude(record)
    assert record["verdict"] == "not enough evidence"
    assert record["rows_needed"] > TEXTS
    assert registry.aliases(NAME)["champion"] == "1"


@pytest.mark.parametrize(
    ("budget", "limit", "reason"),
    [
        ("size_max_mb", 1.9, "size in MB is 2"),
        ("latency_max_ms", 2.4, "latency in ms is 2.5"),
        ("parity_rise_max", 0.05, "parity (rise of the mean loss) is 0.1"),
        ("forgetting_ratio_max", 1.1, "forgetting (ratio of the perplexity) is 1.2"),
        ("coverage_max", 0.0, "coverage of the interval is"),
    ],
)
@pytest.mark.usefixtures("better")
def test_a_better_challenger_outside_a_budget_is_rejected(
    section: Promote,
    budget: str,
    limit: float,
    reason: str,
) -> None:
    record = decision.propose(NAME, None, False, section.model_copy(update={budget: limit}), TASK)
    assert record["verdict"] == "rejected"
    assert record["reasons"][0].startswith(reason)


@pytest.mark.usefixtures("better")
def test_forgetting_that_nobody_measured_is_said_and_breaks_no_budget(
    section: Promote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EVIDENCE, "evaluate.json", {"winner": "sft"})
    record = decision.propose(NAME, None, False, section, TASK)
    assert record["verdict"] == "promoted"
    assert record["budgets"]["forgetting (ratio of the perplexity)"] == {"value": None, "at_most": 2.0}


@pytest.mark.usefixtures("better")
def test_a_parity_that_nobody_measured_breaks_its_budget(
    section: Promote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EVIDENCE, "quantize.json", {"format": "nf4"})
    record = decision.propose(NAME, None, False, section, TASK)
    assert record["verdict"] == "rejected"
    assert record["reasons"][0] == "parity (rise of the mean loss) was not measured"


def test_a_first_champion_has_to_beat_the_baseline_that_is_best_on_validation(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    """Not the one that is best on test, and by the interval: a lead that chance may have made is none."""
    label(challenger="2")
    true = answers["2"]["value"] + 0.5
    relabel(made, true)
    baselines("ridge", ridge=true + 0.1, boosting=900.0)
    record = decision.propose(NAME, None, False, section, TASK)
    assert (record["verdict"], record["against"]) == ("rejected", "baseline ridge")
    assert decision.advice(record).startswith("a better model than baseline ridge")
    baselines("ridge", ridge=true + np.where(np.arange(TEXTS) % 2, 0.0, 4.0), boosting=true)
    record = decision.propose(NAME, None, False, section, TASK)
    assert (record["verdict"], record["against"]) == ("not enough evidence", "baseline ridge")
    assert decision.advice(record).startswith(f"about {record['rows_needed']} products")
    baselines("ridge", ridge=900.0, boosting=true)
    record = decision.propose(NAME, None, False, section, TASK)
    promote.conclude(record)
    assert (record["verdict"], record["champion"]) == ("promoted", None)
    assert registry.aliases(NAME) == {"champion": "2", "challenger": "2"}


def test_a_first_champion_outside_a_budget_is_none(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    label(challenger="2")
    relabel(made, answers["2"]["value"] + 0.5)
    record = decision.propose(NAME, None, False, section.model_copy(update={"size_max_mb": 1.0}), TASK)
    promote.conclude(record)
    assert record["verdict"] == "rejected"
    assert "a wider limit under `promote`" in decision.advice(record)
    assert "champion" not in registry.aliases(NAME)


def test_a_challenger_that_beats_the_champion_but_not_the_best_baseline_is_not_promoted(
    made: Path, section: Promote, better: dict[str, pd.DataFrame]
) -> None:
    true = better["2"]["value"] + 0.5
    relabel(made, true)
    baselines("ridge", ridge=true + 0.25)
    record = decision.propose(NAME, None, False, section, TASK)
    assert (record["verdict"], record["against"]) == ("rejected", "baseline ridge")
    promote.conclude(record)
    assert registry.aliases(NAME)["champion"] == "1"


def test_the_rival_with_the_clearest_evidence_decides() -> None:
    """A wide interval that leaves all open reaches lower than a narrow one that rejects."""

    def against(low: float, high: float, verdict: Verdict) -> Decision:
        return Decision(verdict, (low + high) / 2, low, high, 500, 500, None, ())

    wide, worse = against(-9, 9, "not enough evidence"), against(-3, -1, "rejected")
    clearer, won = against(-5, -2, "rejected"), against(1, 2, "promoted")
    assert decision.hardest({"a": wide, "b": worse}) == ("b", worse)
    assert decision.hardest({"a": worse, "b": clearer, "c": won}) == ("b", clearer)
    assert decision.hardest({"a": won, "b": wide}) == ("b", wide)
    assert decision.hardest({"a": won, "b": against(0.5, 9, "promoted")})[0] == "b"


def test_a_baseline_without_answers_or_edited_by_hand_is_refused(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    label(challenger="2")
    items = pd.read_parquet(gate_rows.GATE)
    items.tail(30).to_parquet(gate_rows.GATE)
    baselines("ridge", ridge=900.0)
    items.to_parquet(gate_rows.GATE)
    relabel(made, items["target"])
    with pytest.raises(PricewrightError, match=r"no answer of ridge to some gate rows: run `dvc repro`"):
        decision.propose(NAME, None, False, section, TASK)
    baselines("ridge", ridge=10.0)
    worse = pd.read_parquet(decision.PREDICTIONS).replace({"predicted": {10.0: 990.0}})
    worse.to_parquet(decision.PREDICTIONS)
    with pytest.raises(PricewrightError, match=r"not what its stage wrote .* `dvc checkout artifacts/b"):
        decision.propose(NAME, None, False, section, TASK)
    assert "champion" not in registry.aliases(NAME)


def test_every_comparison_on_the_same_rows_spends_a_part_and_then_fresh_rows_are_needed(
    made: Path, section: Promote, better: dict[str, pd.DataFrame]
) -> None:
    """The log keeps count: whoever takes the tags and runs of earlier decisions away gains nothing."""
    relabel(made, np.where(np.arange(TEXTS) % 2, better["1"]["value"], better["2"]["value"]) + 0.5)
    record = decision.propose(NAME, None, False, section, TASK)
    assert record["spent"]["position"] == 1
    again = decision.propose(NAME, None, False, section, TASK)
    promote.conclude(record)
    kept = {name: record[name] for name in ("gate_sha256", "rows_sample")}
    promote.conclude(decided(champion=None, verdict="rejected", **kept))
    crown("2")
    reverse = decision.propose(NAME, "1", False, section, TASK)
    assert reverse["spent"]["position"] == 3
    assert reverse["spent"]["error_rate"] == section.error_rate / 12
    assert reverse["high"] - reverse["low"] > record["high"] - record["low"]
    promote.conclude(again)
    with pytest.raises(FreshRowsNeeded, match="2 comparisons were made on these gate rows"):
        decision.propose(NAME, "1", False, section.model_copy(update={"decisions_max": 2}), TASK)


@pytest.mark.usefixtures("better")
def test_a_row_more_among_the_gate_rows_does_not_set_the_error_rate_back(section: Promote) -> None:
    first = decision.propose(NAME, None, False, section, TASK)
    promote.conclude(first | {"declined": "not today"})
    items = pd.read_parquet(gate_rows.GATE)
    new = items.head(1).assign(id="new", product="new", text="Another text")
    pd.concat([items, new]).to_parquet(gate_rows.GATE, index=False)
    for version in ("1", "2"):
        registry.tag_version(NAME, version, gate_rows.ROWS, registry.sha256(gate_rows.GATE))
    baselines("mean", mean=5000.0)
    second = decision.propose(NAME, None, False, section, TASK)
    assert second["gate_sha256"] != first["gate_sha256"]
    assert [record["spent"]["position"] for record in (first, second)] == [1, 2]


def test_of_two_versions_compared_at_once_the_second_has_to_be_compared_again(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    label(challenger="2")
    relabel(made, answers["2"]["value"] + 0.5)
    first, second = (decision.propose(NAME, number, False, section, TASK) for number in ("1", "2"))
    promote.conclude(first | {"declined": "not today"})
    with pytest.raises(PricewrightError, match="has spent its part of the error rate. Promote again"):
        promote.conclude(second)
    assert "champion" not in registry.aliases(NAME)


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_a_version_that_was_registered_with_other_rows_is_refused(section: Promote) -> None:
    crown("1")
    label(challenger="2")
    items = pd.read_parquet(gate_rows.GATE)
    items.head(30).to_parquet(gate_rows.GATE)
    with pytest.raises(
        PricewrightError, match=r"version 2 was registered with other gate rows .* `make run`"
    ):
        decision.propose(NAME, None, False, section, TASK)


@pytest.mark.usefixtures("project")
def test_a_version_without_the_hash_of_its_rows_is_refused(section: Promote) -> None:
    crown("1")
    label(challenger="2")
    MlflowClient().delete_model_version_tag(NAME, "2", gate_rows.ROWS)
    with pytest.raises(PricewrightError, match=r"without an evaluation \(no gate_sha256\): register it anew"):
        decision.propose(NAME, None, False, section, TASK)


def test_a_version_without_an_evaluation_is_refused(section: Promote, bare: Path) -> None:
    version = register_served(bare, ANSWER, evidence=("quantize.json",))
    crown("1")
    label(challenger=version)
    refused = r"without an evaluation \(no evaluate.json with it\): register it anew .* stays version 1"
    with pytest.raises(PricewrightError, match=refused):
        decision.propose(NAME, None, False, section, TASK)
    assert registry.aliases(NAME)["champion"] == "1"


def test_a_report_that_was_edited_by_hand_is_refused_and_the_champion_stays(
    made: Path, section: Promote, bare: Path
) -> None:
    version = register_served(bare, ANSWER)
    crown("1")
    label(challenger=version)
    source = MlflowClient().get_model_version(NAME, version).source
    report = logged_model(made, source) / "evidence" / "quantize.json"
    report.write_text(report.read_text().replace("30.1", "29.9"))
    refused = rf"version {version}: its files are not those it was registered with .* stays version 1"
    with pytest.raises(PricewrightError, match=refused):
        decision.propose(NAME, None, False, section, TASK)
    assert registry.aliases(NAME)["champion"] == "1"
    assert decisions(version) == []


@pytest.mark.usefixtures("better")
def test_a_champion_that_was_scored_on_other_rows_is_refused_or_judged_on_what_it_never_saw(
    section: Promote,
) -> None:
    registry.tag_version(NAME, "1", gate_rows.ROWS, "0" * 64)
    refused = r"champion, pricer version 1, was scored on other gate rows .* `make promote UNSEEN=1`"
    with pytest.raises(PricewrightError, match=refused):
        decision.propose(NAME, None, False, section, TASK)
    record = decision.propose(NAME, None, True, section, TASK)
    assert (record["rows"], record["rows_left_out"]) == (TEXTS - SHARED, SHARED)
    assert (record["verdict"], record["against"]) == ("promoted", "version 1")
    shutil.rmtree(".dvc/cache")
    with pytest.raises(PricewrightError, match=r"curate/train.parquet .* kept nowhere: `dvc fetch`"):
        decision.propose(NAME, None, True, section, TASK)
    assert registry.aliases(NAME)["champion"] == "1"


@pytest.mark.usefixtures("better")
def test_unseen_leaves_out_whole_products_that_the_champion_has_seen(made: Path, section: Promote) -> None:
    """The champion was made with the last SHARED gate rows; here two others are of the product of one."""
    items = pd.read_parquet(gate_rows.GATE)
    products = items["product"].mask(np.arange(TEXTS) < 2, items["product"].iloc[-1])
    items.assign(product=products).to_parquet(gate_rows.GATE, index=False)
    registry.tag_version(NAME, "2", gate_rows.ROWS, registry.sha256(gate_rows.GATE))
    record = decision.propose(NAME, None, True, section, TASK)
    assert (record["rows"], record["rows_left_out"]) == (TEXTS - SHARED - 2, SHARED + 2)


@pytest.mark.usefixtures("project")
def test_without_a_challenger_or_with_the_champion_itself_there_is_nothing_to_judge(section: Promote) -> None:
    with pytest.raises(PricewrightError, match="has no challenger: register one with `make run`"):
        decision.propose(NAME, None, False, section, TASK)
    crown("1")
    label(challenger="1")
    with pytest.raises(decision.NothingToDecide, match="version 1 is the champion already"):
        decision.propose(NAME, None, False, section, TASK)
    with pytest.raises(PricewrightError, match="no version 9: it never existed or is deleted"):
        decision.propose(NAME, "9", False, section, TASK)
    with pytest.raises(PricewrightError, match="nobody has no challenger"):
        decision.propose("nobody", None, False, section, TASK)


@pytest.mark.usefixtures("better")
def test_where_the_champion_was_deleted_the_gate_decides_against_the_best_baseline(section: Promote) -> None:
    MlflowClient().delete_model_version(NAME, "1")
    assert registry.aliases(NAME) == {"challenger": "2"}
    record = promote.conclude(decision.propose(NAME, None, False, section, TASK))
    assert (record["champion"], record["against"]) == (None, "baseline mean")
    assert registry.aliases(NAME) == {"champion": "2", "challenger": "2"}


@pytest.mark.usefixtures("project")
def test_missing_test_rows_are_named(section: Promote) -> None:
    crown("1")
    label(challenger="2")
    gate_rows.GATE.unlink()
    with pytest.raises(PricewrightError, match="gate.parquet is missing: run the stages above"):
        decision.propose(NAME, None, False, section, TASK)
