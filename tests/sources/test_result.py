"""The spool between a source and the stage: everything arrives, and only a batch is in memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from components.core.schemas import Law, Listing, Reject
from components.sources import result
from components.sources.block_list import BlockList
from components.sources.result import COLUMNS, Spool

NONE_BLOCKED = BlockList("files", frozenset())


def row(number: int) -> dict[str, str]:
    return {**dict.fromkeys(COLUMNS[Listing], f"{number} of a kind"), "address": f"/p/{number}"}


def peak(folder: Path, rows: int) -> int:
    """Bytes of Python objects at the highest while so many rows go through a spool."""
    folder.mkdir()
    tracemalloc.start()
    with Spool(folder, NONE_BLOCKED) as spool:
        for number in range(rows):
            spool.add(Listing, row(number))
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return highest


def test_four_times_the_rows_need_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "BATCH_ROWS", 500)
    peak(tmp_path / "first", 500)  # what is made once in a process
    assert peak(tmp_path / "many", 8000) < 1.2 * peak(tmp_path / "few", 2000)


def test_every_row_arrives_in_its_table_in_the_order_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result, "BATCH_ROWS", 3)
    with Spool(tmp_path, NONE_BLOCKED) as spool:
        spool.extend((Listing, row(number)) for number in range(10))
        spool.add(Law, {"address": "/p/1", "median": 5.0, "sigma": 0.25})
    addresses = [f"/p/{number}" for number in range(10)]
    assert pd.read_parquet(spool.path(Listing))["address"].tolist() == addresses
    assert pd.read_parquet(spool.path(Law))["median"].tolist() == [5.0]
    assert pd.read_parquet(spool.path(Reject)).empty
    assert (spool.rows(Listing), spool.rows(Law), spool.rows(Reject)) == (10, 1, 0)


def test_a_few_long_rows_are_a_batch_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "BATCH_CHARACTERS", 1000)
    with Spool(tmp_path, NONE_BLOCKED) as spool:
        for number in range(4):
            spool.add(Listing, {**row(number), "description": "x" * 2000})
    assert len(pd.read_parquet(spool.path(Listing))) == 4
    assert pq.ParquetFile(spool.path(Listing)).num_row_groups == 4


def test_rejects_are_counted_by_rule_and_the_first_of_them_are_told(tmp_path: Path) -> None:
    with Spool(tmp_path, NONE_BLOCKED) as spool:
        for number in range(25):
            reject = {"title": "", "price": "", "rule": "no_product", "reason": "nothing on it"}
            spool.add(Reject, {**reject, "address": f"/p/{number}"})
    assert spool.rules == {"no_product": 25}
    assert spool.notes()[0] == "/p/0: nothing on it"
    assert spool.notes()[result.NOTES :] == ["and 5 more, in artifacts/scrape/rejects.parquet"]
