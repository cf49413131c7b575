"""Intakes of the gate: which listings are drawn, how decisions by them are made, and what is refused.

A real SQLite store, and a real DVC cache with the rows that the versions were made with.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from components.core import intakes, registry
from components.core.errors import PricewrightError
from components.core.params.promote import Promote
from components.promotion import decision, gate_rows, intake, promote
from components.promotion.spending import FreshRowsNeeded
from tests.support.project import TASK
from tests.support.registry import NAME, TEXTS, TRAINED, came_in, curated, decided, lock, relabel

FRESH = 30
"""Products that come in, of one row each; the gate takes 20 and more."""


@pytest.fixture
def gate(better: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The gate rows of both versions, by which a decision was made."""
    return pd.read_parquet(gate_rows.GATE)


@pytest.fixture
def spent(gate: pd.DataFrame, section: Promote) -> Promote:
    """The section, with which the gate rows carry one decision; they have carried it."""
    section = section.model_copy(update={"decisions_max": 1})
    rows = {"gate_sha256": registry.sha256(gate_rows.GATE), "rows_sample": decision.sample_of(gate["id"])}
    promote.conclude(decided(champion=None, version="1", verdict="rejected", **rows))
    return section


def test_once_the_error_rate_is_spent_fresh_rows_decide(gate: pd.DataFrame, spent: Promote) -> None:
    """Neither UNSEEN nor a new version is needed: the rows are new to both."""
    with pytest.raises(FreshRowsNeeded, match="^fresh rows needed: 1 comparisons .* `make fresh-test` draws"):
        decision.propose(NAME, None, False, spent, TASK)
    curated(train=came_in(gate).head(FRESH), gate=gate)
    assert intake.draw(NAME, spent.rows_min) == (1, FRESH, FRESH)
    drawn = came_in(gate).head(FRESH)
    assert intakes.read() == {1: sorted(drawn["id"])}
    curated(gate=pd.concat([gate, drawn]), train=gate.head(0))  # as curate does, by intakes.csv
    record = promote.conclude(decision.propose(NAME, None, False, spent, TASK))
    assert (record["intake"], record["rows"], record["rows_left_out"]) == (1, FRESH, 0)
    assert (record["spent"]["position"], record["spent"]["error_rate"]) == (1, spent.error_rate / 2)
    assert record["loss_against"] is not None


def test_a_product_that_anybody_has_seen_is_not_drawn_with_any_of_its_rows(
    gate: pd.DataFrame, spent: Promote
) -> None:
    """By a row of train, of test or of the gate rows of a decision, by its id or its text."""
    known = pd.read_parquet(gate_rows.GATE.with_stem("train"))
    new = came_in(gate).head(FRESH)
    twins = [
        came_in(known.head(1), "twin").assign(product=known["product"].iloc[0]),
        came_in(gate.tail(1), "copy").assign(text=gate["text"].iloc[-1]),
        came_in(gate.head(1), "beside").assign(product=gate["product"].iloc[0]),
    ]
    curated(train=known, gate=gate, test=pd.concat([new, *twins]))
    assert intake.draw(NAME, spent.rows_min).rows == FRESH
    assert set(intakes.read()[1]) == set(new["id"])


def test_gate_rows_that_no_decision_was_made_by_are_fresh(gate: pd.DataFrame, section: Promote) -> None:
    """As after a `make run` on more listings, whose gate rows nobody has been judged by."""
    with_new = pd.concat([gate, came_in(gate).head(FRESH)])
    curated(gate=with_new)
    assert intake.draw(NAME, section.rows_min).rows == len(gate) - (TEXTS + TRAINED - 48) + FRESH


def test_an_intake_grows_until_a_decision_is_made_by_it_and_then_another_one_begins(
    gate: pd.DataFrame, spent: Promote
) -> None:
    first, second, third = (came_in(gate, name).head(FRESH) for name in ("first", "second", "third"))
    curated(gate=pd.concat([gate, first]))
    assert intake.draw(NAME, spent.rows_min).number == 1
    curated(gate=pd.concat([gate, first, second]))
    assert intake.draw(NAME, spent.rows_min) == (1, 2 * FRESH, 2 * FRESH)
    assert set(intakes.read()[1]) == {*first["id"], *second["id"]}
    before = promote.conclude(decision.propose(NAME, None, False, spent, TASK) | {"declined": "not today"})
    with pytest.raises(FreshRowsNeeded, match="fresh rows needed: 0 products"):
        intake.draw(NAME, spent.rows_min)
    curated(gate=pd.concat([gate, first, second, third]))
    assert intake.draw(NAME, spent.rows_min) == (2, FRESH, FRESH)
    after = decision.propose(NAME, None, False, spent, TASK)
    assert [record["intake"] for record in (before, after)] == [1, 2]
    assert [record["spent"]["position"] for record in (before, after)] == [1, 1]
    assert set(before["rows_sample"]).isdisjoint(after["rows_sample"])


def test_too_few_new_products_are_refused_with_their_count_and_nothing_is_drawn(
    gate: pd.DataFrame, spent: Promote
) -> None:
    """Twenty rows of ten products are ten."""
    new = came_in(gate).head(20)
    new["product"] = np.repeat(new["product"].to_numpy()[:10], 2)
    curated(gate=pd.concat([gate, new]))
    refused = (
        rf"10 products \(20 of {len(gate) + 20 + TRAINED} curated listings\) are new to pricer version 1 and "
        r"pricer version 2 .* at least 20 \(promote.rows_min\)\. Take in more .* Nothing was drawn"
    )
    with pytest.raises(FreshRowsNeeded, match=refused):
        intake.draw(NAME, spent.rows_min)
    assert intakes.read() == {}


def test_a_version_that_was_made_with_an_intake_is_not_judged_by_those_rows(
    made: Path, gate: pd.DataFrame, spent: Promote
) -> None:
    """Version 2 was made with the last rows; here they are said to be of the intake, with others."""
    new = came_in(gate).head(FRESH)
    trained = pd.read_parquet(made / gate_rows.GATE.with_stem("train"))
    intakes.write({1: [*new["id"], *trained["id"]]})
    curated(gate=pd.concat([gate, new, trained]).drop_duplicates("id"))
    record = decision.propose(NAME, None, False, spent, TASK)
    assert (record["rows"], record["rows_left_out"]) == (FRESH, TRAINED)
    intakes.write({1: trained["id"].tolist()})
    with pytest.raises(FreshRowsNeeded, match="made with every row of intake 1.* `make fresh-test` draws"):
        decision.propose(NAME, None, False, spent, TASK)


def test_a_decided_version_that_is_deleted_since_holds_no_intake_up(
    gate: pd.DataFrame, spent: Promote
) -> None:
    """Version 1, the champion, is gone with what its evidence tells; version 2 tells of the same rows."""
    MlflowClient().delete_model_version(NAME, "1")
    curated(gate=pd.concat([gate, came_in(gate).head(FRESH)]))
    assert intake.draw(NAME, spent.rows_min).number == 1


@pytest.mark.usefixtures("project")
def test_without_a_version_there_is_nothing_to_draw_for(section: Promote) -> None:
    with pytest.raises(PricewrightError, match="pricer has no challenger: register one with `make run`"):
        intake.draw(NAME, section.rows_min)


def test_rows_that_are_kept_nowhere_or_edited_or_not_curated_yet_are_named(
    made: Path, gate: pd.DataFrame, spent: Promote
) -> None:
    intakes.write({1: came_in(gate)["id"].tolist()})
    lock("curate")
    with pytest.raises(PricewrightError, match="has no listing of intake 1 .* `make fresh-test` brings it"):
        decision.propose(NAME, None, False, spent, TASK)
    relabel(made, 999.0)
    with pytest.raises(
        PricewrightError, match=r"not what its stage wrote .* `dvc checkout artifacts/curate`"
    ):
        decision.propose(NAME, None, False, spent, TASK)
    shutil.rmtree(".dvc/cache")
    with pytest.raises(PricewrightError, match=r"curate/train.parquet .* kept nowhere: `dvc fetch`"):
        intake.draw(NAME, spent.rows_min)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "is missing"),
        ("", "begins with ''"),
        ("intake,id\n<<<<<<< HEAD\n1,a\n", "line 2 is '<<<<<<< HEAD'"),
        ("intake,id\n2,a\n", "line 2 is '2,a'"),
        ("intake,id\n1,a\n2,b\n1,c\n", "line 4 is '1,c'"),
        ("intake,id\n1,\n", "line 2 is '1,'"),
    ],
)
def test_a_file_of_intakes_that_was_edited_is_refused(tmp_path: Path, text: str | None, fault: str) -> None:
    path = tmp_path / "intakes.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PricewrightError, match=f"intakes.csv {fault}.*: bring it back with `git checkout"):
        intakes.read(path)


def test_intakes_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = {1: ["b", "a"], 2: ["c"]}
    intakes.write(written, tmp_path / "intakes.csv")
    assert intakes.read(tmp_path / "intakes.csv") == written
    assert intakes.ids(written) == {"a", "b", "c"}
