"""What came true, joined to the requests of a real store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.monitoring.truth import COLUMNS, answered
from components.serving.request_store import opened
from tests.support.project import TASK
from tests.support.requests import NOW, asked, stored, true


def read(address: str, days: float = 30.0) -> pd.DataFrame:
    with opened(address) as engine:
        return answered(engine, NOW - timedelta(days=days), TASK)


def test_a_request_stands_in_one_row_with_its_answer_its_shadow_and_its_latest_truth(tmp_path: Path) -> None:
    shadow = {"shadow_version": "2", "shadow_answer": '{"value": 11, "low": 9, "high": 12}'}
    address = stored(
        tmp_path / "requests.db",
        asked("b", "a lamp", hours=5, seconds=0.5, **shadow),
        asked("a", hours=9),
        asked("a", "its chair", hours=9, row=1, input=None, answer='{"value": null}'),
        asked("old", hours=24 * 31),
        true("a", 12, hours=1),
        true("a", 11.5, hours=2),
        true("a", "13", hours=3, row=1),
        true("never asked", 1.0),
    )
    rows = read(address)
    assert list(rows.columns) == COLUMNS
    assert rows[["key", "row"]].values.tolist() == [["a", 0], ["a", 1], ["b", 0]]
    desk, chair, lamp = rows.to_dict("records")
    assert (desk["input"], desk["time"]) == ({"description": "a desk"}, NOW - timedelta(hours=9))
    assert [desk[name] for name in ("predicted", "low", "high", "value")] == [10.0, 8.0, 14.0, 12.0]
    assert desk["truth_time"] == NOW - timedelta(hours=1)
    assert (chair["input"], chair["value"]) == (None, 13.0)
    assert np.isnan([chair["predicted"], chair["low"], desk["shadow_low"], lamp["value"]]).all()
    assert pd.isna(lamp["truth_time"])
    assert (lamp["version"], lamp["shadow_version"], lamp["seconds"]) == ("1", "2", 0.5)
    assert [lamp[f"shadow_{name}"] for name in ("predicted", "low", "high")] == [11.0, 9.0, 12.0]


def test_a_truth_that_is_no_number_counts_for_nothing(tmp_path: Path) -> None:
    values = ["twenty", "nan", "1e999", "1_0", "12,50", True, [1], None, float("inf")]
    rows = [asked(str(place)) for place in range(len(values))]
    truths = [true(str(place), value) for place, value in enumerate(values)]
    address = stored(tmp_path / "requests.db", *rows, *truths, true("0", 7.0, hours=2))
    assert read(address)["value"].dropna().tolist() == [7.0]


def test_of_a_key_that_stands_for_several_inputs_nothing_came_true(tmp_path: Path) -> None:
    again = [asked("retried", hours=3), asked("retried", hours=2)]
    other = [asked("shared", hours=3), asked("shared", "a lamp", hours=2)]
    address = stored(tmp_path / "requests.db", *again, *other, true("retried", 9), true("shared", 9))
    values = read(address).groupby("key")["value"]
    assert values.count().to_dict() == {"retried": 2, "shared": 0}


def test_without_a_request_there_are_all_columns_and_no_row(tmp_path: Path) -> None:
    rows = read(stored(tmp_path / "requests.db", asked("old")), days=0)
    assert (list(rows.columns), len(rows)) == (COLUMNS, 0)


def test_a_truth_goes_with_its_request_however_late_it_came(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    rows = [asked("old", hours=49), asked("again", hours=49), asked("again", hours=1), asked("new")]
    truths = [true("old", 1.0), true("again", 2.0), true("new", 3.0), true("not written yet", 4.0)]
    stored(path, *rows, *truths)
    address = stored(path, keep_days=2.0)
    with opened(address) as engine, engine.connect() as connection:
        kept = {
            table: connection.exec_driver_sql(f"SELECT key FROM {table} ORDER BY id").scalars().all()
            for table in ("requests", "truths")
        }
    assert kept == {"requests": ["again", "new"], "truths": ["again", "new", "not written yet"]}


def test_a_store_that_is_missing_empty_or_broken_is_named(tmp_path: Path) -> None:
    for address, error in (
        (None, "serve.store is null"),
        (f"sqlite:///{tmp_path}/no.db", "holds no request"),
    ):
        with pytest.raises(PricewrightError, match=error), opened(address):
            pass
    assert not (tmp_path / "no.db").exists()
    (tmp_path / "broken.db").write_text("no database")
    with pytest.raises(PricewrightError, match=r"does not answer \(file is not a database\)"):
        read(f"sqlite:///{tmp_path}/broken.db")
