"""Versions that answer labels before the gate: a real tiny model in a real registry, and its trial."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.core import registry
from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.evaluation import scoring
from components.promotion import decision, gate_rows, promote, trial
from components.tasks import load_task
from components.tasks.served_answers import UNKNOWN, measured
from tests.support.registry import NAME, lock
from tests.support.served import LABELS, NAMES

# --- what is read of the answers -----------------------------------------------------------------------


def test_answers_become_places_and_a_name_that_is_none_of_the_labels_is_wrong_not_unreadable() -> None:
    answers = pd.DataFrame(
        {
            "value": ["Rings", "Chairs", None, "Audio"],
            "probability": [0.9, 0.8, None, 0.5],
            "labels": [["Rings"], ["Chairs", "Audio"], None, ["Audio", "Rings"]],
        }
    )
    table = measured(answers, np.array([2.0, 0.0, 1.0, np.nan]), LABELS)
    assert table["predicted"].tolist()[:2] + table["predicted"].tolist()[3:] == [2.0, UNKNOWN, 0.0]
    assert np.isnan(table["predicted"][2])
    assert table["held"].tolist()[:2] == [1.0, 1.0]
    assert table["held"].isna().tolist() == [False, False, True, True]
    assert table["width"].tolist()[:2] + table["width"].tolist()[3:] == [1.0, 2.0, 2.0]
    losses = LABELS.answers.loss(np.array([2.0, 0.0, 1.0, 0.0]), table["predicted"].to_numpy())
    assert losses[:2].tolist() == [0.0, 1.0]
    assert np.isnan(losses[2])
    assert losses[3] == 0.0


def test_the_worst_recall_is_that_of_a_label_with_ten_rows() -> None:
    true = np.repeat([0.0, 1.0, 2.0], [20, 10, 9])
    predicted = np.where(true == 2.0, 0.0, true)
    predicted[[0, 1, 20, 21, 22]] = UNKNOWN
    assert trial.worst_recall(true, predicted) == 0.7
    assert np.isnan(trial.worst_recall(true[30:], predicted[30:]))


# --- before the gate -----------------------------------------------------------------------------------


def answered_by_baselines(share_right: float) -> None:
    """The only baseline answers so large a share of the gate rows rightly."""
    rows = pd.read_parquet(gate_rows.GATE).assign(split="gate")
    right = np.arange(len(rows)) < share_right * len(rows)
    predicted = np.where(right, rows["target"], (rows["target"] + 1) % len(NAMES))
    scored = pd.DataFrame([{"split": "validation", "id": "0", "target": 0.0}])
    task = load_task()
    tables = [scoring.predictions("majority", rows, predicted, task)]
    tables += [scoring.predictions("majority", scored, np.array([0.0]), task)]
    decision.PREDICTIONS.parent.mkdir(exist_ok=True)
    pd.concat(tables).to_parquet(decision.PREDICTIONS)
    lock("baseline")


def test_a_version_that_is_right_is_promoted_by_its_error_rate_its_sets_and_its_recall(
    labelled: Path,
) -> None:
    answered_by_baselines(0.25)
    section = load_params().promote.model_copy(update={"minimum_effect": 0.1, "worst_recall_min": 0.5})
    record = decision.propose(NAME, None, False, section, load_task())
    assert (record["verdict"], record["against"]) == ("promoted", "baseline majority")
    assert (record["difference"], record["unit"]) == (0.75, "")
    assert (record["loss_challenger"], record["loss_against"]) == (0.0, 0.75)
    assert record["budgets"]["coverage of the set"]["value"] == 1.0
    assert record["budgets"]["recall of the worst class"] == {"value": 1.0, "at_least": 0.5}
    assert record["reasons"][-1].startswith("the interval from +0.")
    assert " dollars" not in record["reasons"][-1]
    promote.conclude(record)
    assert registry.aliases(NAME)["champion"] == "1"


def test_a_class_that_is_never_found_breaks_the_budget_of_the_recall(labelled: Path) -> None:
    items = pd.read_parquet(gate_rows.GATE)
    commonest = items["target"].mode()[0]
    wrong = items.assign(target=(commonest + 1) % len(NAMES)).head(12)
    run = trial.Trial(
        pd.DataFrame(
            {
                "value": [NAMES[int(commonest)]] * len(wrong),
                "probability": 0.9,
                "labels": [list(NAMES)] * len(wrong),
            }
        ),
        1_000_000,
        0.1,
        {"evaluate.json": {"winner": "sft"}, "quantize.json": {}},
    )
    section = load_params().promote.model_copy(update={"worst_recall_min": 0.5})
    faults = [budget.fault() for budget in trial.budgets(wrong, run, section, LABELS)]
    assert "recall of the worst class is 0, at least 0.5 is needed" in faults
    off = section.model_copy(update={"worst_recall_min": 0.0})
    faults = [budget.fault() for budget in trial.budgets(wrong, run, off, LABELS)]
    assert not any("recall" in (fault or "") for fault in faults)


def test_a_version_of_labels_does_not_answer_where_a_number_is_asked(labelled: Path) -> None:
    items = pd.read_parquet(gate_rows.GATE).head(2)
    with pytest.raises(PricewrightError, match="value, low and high are needed"):
        trial.run_trial(registry.open_version(NAME, "1"), items, "number")
