from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import pandas as pd
import pytest

from components.core.tables import first_rows, read_arrow, rows_in, split_sorted


@pytest.mark.parametrize(("rows", "partitions"), [(1000, 1), (40, 3), (7, 15)])
def test_partitions_are_ranges_of_ids_that_hold_every_row_once(
    tmp_path: Path, rows: int, partitions: int
) -> None:
    ids = [f"{number // 2:04}" for number in range(100)]  # each id twice
    Random(1).shuffle(ids)
    pd.DataFrame({"id": ids, "row": range(100)}).to_parquet(tmp_path / "all.parquet")
    paths = split_sorted(tmp_path / "all.parquet", tmp_path, rows, "id")
    tables = [read_arrow(path).to_pandas() for path in paths]
    assert len(paths) == partitions
    assert sorted(pd.concat(tables)["row"]) == list(range(100))
    assert all(table["row"].is_monotonic_increasing for table in tables)
    filled = [table["id"] for table in tables if len(table)]
    assert all(left.max() < right.min() for left, right in pairwise(filled))


def test_the_first_rows_of_a_file_are_read_and_all_are_counted(tmp_path: Path) -> None:
    for rows in (0, 2, 5):
        path = tmp_path / f"{rows}.parquet"
        pd.DataFrame({"id": [str(number) for number in range(rows)]}).to_parquet(path)
        assert rows_in(path) == rows
        assert first_rows(path, 3)["id"].tolist() == ["0", "1", "2"][:rows]
