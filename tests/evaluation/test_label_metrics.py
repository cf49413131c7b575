"""Measures of labels against scikit-learn's, and what a row without an answer counts as."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, f1_score, log_loss, matthews_corrcoef
from sklearn.metrics import precision_recall_fscore_support as by_class

from components.core.params.file import Params
from components.evaluation import scoring
from components.evaluation.label_metrics import NAMES, by_label, confusion, label_metrics
from components.model.labels import Labels
from tests.support.project import named

FIVE = named("a", "b", "c", "d", "e")
LABELS = FIVE.answers
ROWS = 400


def answered(seed: int, silent: float = 0.0, rows: int = ROWS) -> tuple[pd.DataFrame, np.ndarray]:
    """(rows of `Prediction` of a model that is right about half of the time, with a product for each two
    rows; its distributions, NaN where it has no answer); the label `e` is answered and never true.
    """
    draw = np.random.default_rng(seed)
    true = draw.choice(4, rows, p=[0.5, 0.3, 0.15, 0.05])
    distribution = draw.dirichlet(np.full(5, 0.7), rows)
    distribution[np.arange(rows), true] += 0.5
    distribution /= distribution.sum(axis=1, keepdims=True)
    distribution[draw.random(rows) < silent] = np.nan
    items = pd.DataFrame(
        {"id": [f"{row:016x}" for row in range(rows)], "split": "test", "target": 1.0 * true}
    )
    items["product"] = [f"p{row // 2}" for row in range(rows)]
    table = scoring.answered("sft", items, distribution, FIVE)
    return scoring.with_products(table, items), distribution


def measured(rows: pd.DataFrame, labels: Labels = LABELS, **options: Any) -> dict[str, Any]:
    return label_metrics(rows, labels, **{"bootstrap": 300, "seed": 1} | options)


@pytest.mark.parametrize("seed", range(5))
def test_the_measures_are_those_of_scikit_learn(seed: int) -> None:
    rows, distribution = answered(seed)
    true, predicted = rows["target"], rows["predicted"]
    there = sorted(true.unique())
    expected = {
        "loss": (true != predicted).mean(),
        "macro_f1": f1_score(true, predicted, labels=there, average="macro"),
        "mcc": matthews_corrcoef(true, predicted),
        "log_loss": log_loss(true, np.maximum(distribution, scoring.LEAST), labels=range(5)),
    }
    figures = measured(rows)
    for name, value in expected.items():
        assert figures[name] == pytest.approx(value, abs=6e-3 if name == "log_loss" else 6e-5), name
    assert (figures["n"], figures["unparsed"]) == (ROWS, 0)


def test_no_answer_is_a_wrong_one_of_its_own_for_f1_and_mcc_and_has_no_loss() -> None:
    rows, _ = answered(0, silent=0.2)
    true, predicted = rows["target"], rows["predicted"].fillna(5.0)
    readable = rows["predicted"].notna()
    figures = measured(rows)
    assert figures["unparsed"] == (~readable).sum() > 50
    assert figures["loss"] == pytest.approx((true != predicted)[readable].mean(), abs=6e-5)
    assert figures["macro_f1"] == pytest.approx(
        f1_score(true, predicted, labels=sorted(true.unique()), average="macro"), abs=6e-5
    )
    assert figures["mcc"] == pytest.approx(matthews_corrcoef(true, predicted), abs=6e-5)
    assert figures["log_loss"] == pytest.approx(rows["log_loss"][readable].mean(), abs=6e-5)
    quiet = measured(rows[readable])
    assert figures["macro_f1"] < quiet["macro_f1"], "silence on hard rows is no way to a better figure"
    assert figures["mcc"] < quiet["mcc"]


def test_where_nothing_is_readable_nothing_is_measured_and_one_label_alone_has_no_correlation() -> None:
    rows, _ = answered(0)
    nothing = measured(rows.assign(predicted=np.nan, loss=np.nan, log_loss=np.nan))
    assert [nothing[f"{name}{end}"] for name in NAMES for end in ("", "_low", "_high")] == [None] * 12
    assert (nothing["n"], nothing["unparsed"]) == (ROWS, ROWS)
    assert measured(rows.head(0))["n"] == 0
    same = measured(rows.assign(target=1.0, predicted=1.0, loss=0.0))
    assert (same["loss"], same["macro_f1"], same["mcc"]) == (0.0, 1.0, 0.0)
    plain = measured(rows.assign(log_loss=np.nan))
    assert (plain["log_loss"], plain["log_loss_low"]) == (None, None)
    assert plain["mcc"] == measured(rows)["mcc"]


def test_the_intervals_hold_the_figure_of_all_rows_about_as_often_as_they_say() -> None:
    everything, _ = answered(7, rows=40_000)
    of_all = measured(everything, bootstrap=2)
    held = dict.fromkeys(NAMES, 0)
    for seed in range(100):
        figures = measured(answered(100 + seed, rows=300)[0], bootstrap=200, seed=seed)
        for name in NAMES:
            held[name] += figures[f"{name}_low"] <= of_all[name] <= figures[f"{name}_high"]
    assert min(held.values()) >= 84, held


def test_the_intervals_are_over_products_and_not_over_their_rows() -> None:
    rows, _ = answered(3)
    thrice = pd.concat([rows.assign(id=rows["id"] + f"-{copy}") for copy in range(3)], ignore_index=True)
    once, often = measured(rows), measured(thrice)
    assert often == pytest.approx(once | {"n": 3 * ROWS}, abs=2e-4)
    narrower = measured(thrice.assign(product=thrice["id"]))
    for name in NAMES:
        width, narrow = (each[f"{name}_high"] - each[f"{name}_low"] for each in (once, narrower))
        assert narrow < 0.8 * width, name


def test_each_label_has_its_precision_recall_and_f1_the_commonest_first() -> None:
    rows, _ = answered(1)
    found = by_label(rows, LABELS)
    assert [each["label"] for each in found] == list("abcde")
    precision, recall, f1, count = by_class(
        rows["target"], rows["predicted"], labels=range(5), zero_division=0
    )
    for place, each in enumerate(found):
        assert each["n"] == count[place]
        assert each["precision"] == pytest.approx(precision[place], abs=6e-5)
        assert each["f1"] == pytest.approx(f1[place], abs=6e-5)
        assert each["recall"] == (None if place == 4 else pytest.approx(recall[place], abs=6e-5))
    never = by_label(rows.assign(predicted=0.0), LABELS)
    assert [each["label"] for each in never] == list("abcd"), "e is neither true nor answered"
    assert (never[1]["precision"], never[1]["recall"], never[1]["f1"]) == (None, 0.0, 0.0)


def test_the_confusion_has_a_column_for_no_answer() -> None:
    rows, _ = answered(2, silent=0.1)
    matrix = np.array(confusion(rows, LABELS))
    assert matrix.shape == (5, 6)
    both = confusion_matrix(rows["target"], rows["predicted"].fillna(5.0), labels=range(6))
    np.testing.assert_array_equal(matrix, both[:5])
    assert matrix[:, 5].sum() == rows["predicted"].isna().sum()


def test_rows_of_a_label_have_a_loss_of_0_or_1_and_the_log_loss_of_the_true_label() -> None:
    rows, distribution = answered(4, silent=0.1)
    silent = np.isnan(distribution[:, 0])
    assert set(rows["loss"].dropna()) == {0.0, 1.0}
    np.testing.assert_array_equal(rows["loss"].isna(), silent)
    own = distribution[np.arange(ROWS), rows["target"].astype(int)]
    np.testing.assert_allclose(rows["log_loss"], -np.log(np.maximum(own, 1e-4)), atol=5.1e-3)
    sure = scoring.log_losses(np.eye(5)[[0, 1]], np.array([0.0, 0.0]), LABELS)
    np.testing.assert_allclose(sure, [0.0, -np.log(1e-4)], err_msg="one row does not decide a mean")


def test_a_score_of_labels_has_the_coverage_of_its_sets_and_numbers_have_none_of_it(params: Params) -> None:
    rows, _ = answered(5)
    section = params.evaluate.model_copy(update={"bootstrap": 50})
    assert "coverage" not in scoring.score(rows, section, FIVE)
    told = rows.assign(held=(rows["loss"] == 0).astype(float), width=2.0)
    told.loc[told.index[0], ["held", "width"]] = np.nan
    figures = scoring.score(told, section, FIVE)
    assert figures["coverage"] == pytest.approx((told["held"] == 1).mean(), abs=6e-5), "no set holds nothing"
    assert figures["width"] == 2.0
    assert figures["macro_f1"] == measured(rows, bootstrap=50, seed=section.seed)["macro_f1"]
