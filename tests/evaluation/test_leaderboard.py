"""Whatever is chosen is chosen on validation: the labels and answers of test move no choice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.core.params.file import Params
from components.core.schemas import Law
from components.evaluation.leaderboard import BASELINE, EXTERNAL, MODEL, leaderboard
from components.evaluation.metrics import rank
from components.evaluation.scoring import predictions
from tests.support.project import TASK

ROWS = 300
ERRORS = {"sft": 12.0, "dpo": 10.0, "ridge": 15.0, "mean": 40.0, "people": 1.0}
KINDS = {"sft": MODEL, "dpo": MODEL, "ridge": BASELINE, "mean": BASELINE, "people": EXTERNAL}
CHOICES = ("winner", "best_baseline")


@pytest.fixture
def items() -> pd.DataFrame:
    draw = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "id": [f"{row:016x}" for row in range(2 * ROWS)],
            "product": [f"{row:016x}" for row in range(2 * ROWS)],
            "title": "Lamp",
            "text": "Lamp",
            "source": "files",
            "category": "Lamps",
            "address": "/",
            "target": draw.uniform(50, 400, 2 * ROWS),
            "split": np.repeat(["validation", "test"], ROWS),
        }
    )


def table(items: pd.DataFrame, errors: dict[str, float]) -> pd.DataFrame:
    """Every candidate off by about as many dollars as `errors` says."""
    draw = np.random.default_rng(2)
    parts = [
        predictions(name, items, items["target"].to_numpy() + error * draw.choice([-1, 1], len(items)), TASK)
        for name, error in errors.items()
    ]
    return pd.concat(parts, ignore_index=True)


def result(rows: pd.DataFrame, items: pd.DataFrame, params: Params) -> dict[str, Any]:
    return leaderboard(rows, KINDS, items, pd.DataFrame(columns=Law.columns()), params.evaluate, TASK)


def ranking(report: dict[str, Any]) -> list[str]:
    candidates = report["candidates"]
    return sorted(candidates, key=lambda name: rank(candidates[name]["validation"]))


@pytest.mark.parametrize("column", ["target", "predicted"])
def test_no_choice_moves_with_the_test_split_whatever_stands_there(
    items: pd.DataFrame, params: Params, column: str
) -> None:
    rows = table(items, ERRORS)
    before = result(rows, items, params)
    test = rows["split"] == "test"
    wild = rows.copy()
    wild.loc[test, column] = np.random.default_rng(3).uniform(1, 999, int(test.sum()))
    if column == "target":  # one price for each listing, whoever answers
        wild["target"] = wild.groupby("id")["target"].transform("first")
    wild["loss"] = (wild["predicted"] - wild["target"]).abs()
    after = result(wild, items, params)
    assert before["candidates"]["dpo"]["test"]["loss"] != after["candidates"]["dpo"]["test"]["loss"]
    assert [after[choice] for choice in CHOICES] == [before[choice] for choice in CHOICES] == ["dpo", "ridge"]
    assert ranking(after) == ranking(before)


def test_every_choice_moves_with_validation(items: pd.DataFrame, params: Params) -> None:
    swapped = ERRORS | {"sft": 10.0, "dpo": 12.0, "ridge": 40.0, "mean": 15.0}
    validation = items["split"] == "validation"
    rows = pd.concat([table(items[validation], swapped), table(items[~validation], ERRORS)])
    after = result(rows, items, params)
    assert [after[choice] for choice in CHOICES] == ["sft", "mean"]


def test_a_model_that_is_silent_on_validation_loses_however_well_it_answers_test(
    items: pd.DataFrame, params: Params
) -> None:
    rows = table(items, ERRORS)
    silent = (rows["candidate"] == "dpo") & (rows["id"] == items["id"].iloc[0])
    rows.loc[silent, ["predicted", "loss"]] = np.nan
    assert result(rows, items, params)["winner"] == "sft"


def test_the_intervals_of_every_table_are_over_products(items: pd.DataFrame, params: Params) -> None:
    """A split of which each listing stands there three times: the intervals are those of one of each."""
    copies = [items.assign(id=items["id"] + f"-{copy}") for copy in range(3)]
    rows, thrice = table(items, ERRORS), pd.concat(copies, ignore_index=True)
    rows["predicted"] += np.random.default_rng(3).normal(0, 20, len(rows))  # else no interval has a width
    rows["loss"] = (rows["predicted"] - rows["target"]).abs()
    written = pd.concat([rows.assign(id=rows["id"] + f"-{copy}") for copy in range(3)], ignore_index=True)
    once, often = result(rows, items, params), result(written, thrice, params)
    for name in ERRORS:
        for end in ("loss_low", "loss_high", "hit_rate_low", "r2_high"):
            measured = often["candidates"][name]["test"][end]
            assert measured == pytest.approx(once["candidates"][name]["test"][end], abs=2e-4)
    for first, second in zip(once["pairs"], often["pairs"], strict=True):
        assert [second[end] for end in ("low", "high")] == pytest.approx(
            [first[end] for end in ("low", "high")], abs=2e-4
        )
