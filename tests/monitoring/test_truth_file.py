"""A file of what came true, and the real store that it is joined to."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import Engine

from components.core.errors import PricewrightError
from components.monitoring.truth import answered
from components.monitoring.truth_file import Intake, take_in
from components.serving.request_store import opened
from tests.support.project import TASK
from tests.support.requests import NOW, asked, stored, true

DAY = NOW.date()
HEADER = "key,value,time\n"


def at(hours: float) -> str:
    """So many hours ago, as a file has it."""
    return (NOW - timedelta(hours=hours)).isoformat()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A store with the requests `a` (two rows), `b` and, with two inputs, `shared`, of 10 hours ago."""
    shared = asked("shared"), asked("shared", "a lamp")
    rows = [asked("a"), asked("a", "its chair", row=1), asked("b", "a lamp"), *shared]
    with opened(stored(tmp_path / "requests.db", *rows)) as engine:
        yield engine


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sales.csv"


def take(file: Path, engine: Engine, text: str = "", when: datetime = NOW) -> Intake:
    if text:
        file.write_text(text)
    return take_in(file, engine, 10**6, when, TASK)


def values(engine: Engine) -> dict[tuple[str, int], float]:
    rows = answered(engine, NOW - timedelta(days=1), TASK).dropna(subset=["value"])
    return {(row.key, row.row): row.value for row in rows.itertuples()}


def kept(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql("SELECT * FROM truths ORDER BY id")]


def test_truths_late_and_out_of_order_are_joined_and_the_later_time_holds(file: Path, engine: Engine) -> None:
    text = f"key,row,value,time\nb,,30,{at(1)}\na,0,12.5,{at(2)}\na,1,7,{at(3)}\na,0,11,{at(4)}\n"
    assert take(file, engine, text) == Intake(4, 1, 0, [])
    assert values(engine) == {("a", 0): 12.5, ("a", 1): 7.0, ("b", 0): 30.0}
    assert take(file, engine, f"{HEADER}a,13,{at(1)}\nb,29,{at(9)}\n") == Intake(2, 2, 0, [])
    assert values(engine) == {("a", 0): 13.0, ("a", 1): 7.0, ("b", 0): 30.0}


def test_a_file_that_was_taken_in_before_changes_nothing(file: Path, engine: Engine) -> None:
    text = f"{HEADER}a,10,{at(4)}\na,12,{at(3)}\na,10,{at(2)}\na,10,{at(2)}\nb,9,{DAY - timedelta(days=0)}\n"
    assert take(file, engine, text) == Intake(4, 2, 1, [])
    before = kept(engine)
    assert take(file, engine) == Intake(0, 0, 5, [])
    assert kept(engine) == before
    assert values(engine) == {("a", 0): 10.0, ("b", 0): 9.0}


def test_what_the_page_has_kept_is_the_same_truth(tmp_path: Path, file: Path) -> None:
    address = stored(tmp_path / "page.db", asked("a"), true("a", 12, hours=2))
    with opened(address) as engine:
        assert take(file, engine, f"{HEADER}a,12.0,{at(2)}\n") == Intake(0, 0, 1, [])


@pytest.mark.parametrize(
    ("row", "rule", "reason"),
    [
        ("nobody,1,{ago}", "unknown_key", "never asked, or is forgotten"),
        ("shared,1,{ago}", "shared_key", "with different inputs"),
        (",1,{ago}", "no_key", "it has no key"),
        ("a,twenty,{ago}", "no_number", "value is twenty"),
        ("a,,{ago}", "no_number", "value is missing"),
        ("a,nan,{ago}", "no_number", "value is nan"),
        ('a,"1,299",{ago}', "no_number", "such as 1299.50"),
        ("a,1,yesterday", "no_time", "time is yesterday"),
        ("a,1,31/05/2026", "no_time", "it is to be as 2026-05-31T"),
        ("a,1,0001-01-01T00:00:00+14:00", "no_time", "0001-01-01"),
        ("a,1,{later}", "in_the_future", "now it is"),
        ("a,1,{tomorrow}", "in_the_future", "now it is"),
        ("a,1,{before}", "before_request", "came only at"),
        ("a,1", "broken_row", "2 cells"),
    ],
)
def test_a_row_that_cannot_be_used_is_rejected_with_its_reason_and_the_others_are_kept(
    file: Path, engine: Engine, row: str, rule: str, reason: str
) -> None:
    times = {"ago": at(1), "later": at(-1), "before": at(11), "tomorrow": DAY + timedelta(days=1)}
    intake = take(file, engine, f"{HEADER}{row.format(**times)}\nb,5,{at(1)}\n")
    [rejected] = intake.rejects
    assert (rejected.line, rejected.rule) == (1, rule)
    assert reason in rejected.reason
    assert (intake.added, values(engine)) == (1, {("b", 0): 5.0})


@pytest.mark.parametrize("row", ["-1", "0.5", "first", "1e400"])
def test_a_row_of_a_request_is_a_whole_number(file: Path, engine: Engine, row: str) -> None:
    intake = take(file, engine, f"key,value,time,row\na,1,{at(1)},{row}\na,1,{at(1)},1.0\n")
    assert [(reject.rule, reject.row) for reject in intake.rejects] == [("no_row", row)]
    assert values(engine) == {("a", 1): 1.0}


def test_a_time_is_understood_with_its_zone_and_a_date_is_the_end_of_its_day(
    file: Path, engine: Engine
) -> None:
    zoned = (NOW - timedelta(hours=1)).isoformat() + "+00:00"
    east = (NOW - timedelta(hours=1)).isoformat() + "+02:00"
    today, midnight = f"{DAY}", f"{DAY} 00:00:00"
    text = f"{HEADER}a,1,{zoned}\na,2,{east}\nb,3,{today}\nb,3,{midnight}\n"
    assert take(file, engine, text) == Intake(3, 1, 1, [])
    assert values(engine) == {("a", 0): 1.0, ("b", 0): 3.0}
    latest = answered(engine, NOW - timedelta(days=1), TASK).set_index("key")["truth_time"]["b"]
    assert latest == datetime.combine(DAY, datetime.max.time())


def test_other_kinds_of_file_are_read_too(file: Path, engine: Engine) -> None:
    rows = [{"key": "a", "value": 12.5, "time": NOW - timedelta(hours=1), "row": 0}]
    pd.DataFrame(rows).to_parquet(file.with_suffix(".parquet"))
    assert take(file.with_suffix(".parquet"), engine).added == 1
    pd.DataFrame(rows).assign(key="b").to_excel(file.with_suffix(".xlsx"), index=False)
    assert take(file.with_suffix(".xlsx"), engine).added == 1
    lines = [{"key": "a", "value": 9, "time": at(1), "row": 1}, {"key": "b"}, [1]]
    packed = file.with_name("sales.jsonl.gz")
    packed.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    intake = take(packed, engine)
    assert (intake.added, [reject.rule for reject in intake.rejects]) == (1, ["no_number", "broken_row"])
    assert values(engine) == {("a", 0): 12.5, ("a", 1): 9.0, ("b", 0): 12.5}
    semicolons = f"sales of May\nkey;value;time\nb;8;{at(0)}\n"
    assert take(file, engine, semicolons).added == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (HEADER, "is empty: no row in it"),
        ("key,price,time\na,1,{ago}\n", "has no column value, but key, price, time: rename them"),
        (HEADER + "a,one,{ago}\nnobody,1,{ago}\n", "none of its 2 rows can be used; row 1: value is one"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_whole(
    file: Path, engine: Engine, text: str, error: str
) -> None:
    with pytest.raises(PricewrightError, match=error):
        take(file, engine, text.format(ago=at(1)))
    for name in ("missing.csv", "sales.txt", "cut.parquet"):
        if name == "cut.parquet":
            (file.parent / name).write_bytes(b"PAR1 and no more")
        with pytest.raises(PricewrightError, match=name):
            take(file.parent / name, engine)
    assert kept(engine) == []


def test_a_store_that_is_locked_keeps_nothing_of_the_file(file: Path, engine: Engine) -> None:
    with closing(sqlite3.connect(str(engine.url.database))) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(PricewrightError, match=r"does not answer \(database is locked\)"),
            opened(str(engine.url)) as locked,
        ):
            take(file, locked, f"{HEADER}a,1,{at(1)}\n")
    assert kept(engine) == []


def test_a_file_of_many_keys_is_joined_in_parts(tmp_path: Path, file: Path) -> None:
    keys = [f"order {number}" for number in range(1200)]
    with opened(stored(tmp_path / "many.db", *map(asked, keys))) as engine:
        text = HEADER + "".join(f"{key},{place},{at(1)}\n" for place, key in enumerate(keys))
        assert take(file, engine, text + f"nul\0,1,{at(1)}\n").added == 1200
        assert values(engine) == {(key, 0): float(place) for place, key in enumerate(keys)}
