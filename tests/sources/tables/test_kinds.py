"""JSON arrays, JSON by other names, and Excel."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.sources.tables.kinds import CHUNK, read
from components.sources.tables.lines import Fault

NAMES = ["title", "price"]
ROWS = [{"title": "Pot, [large]", "price": 19.90}, {"title": "Pan", "price": "5"}]


def values(path: Path, names: list[str] = NAMES) -> list[Any]:
    return [entry[2] for entry in read(path, names, 2**30) if not isinstance(entry, Fault)]


@pytest.mark.parametrize("indent", [None, 2])
def test_the_elements_of_a_json_array_are_rows(tmp_path: Path, indent: int | None) -> None:
    (tmp_path / "a.json").write_text("\n " + json.dumps(ROWS, indent=indent), encoding="utf-8")
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    expected = [{"title": "Pot, [large]", "price": "19.9"}, {"title": "Pan", "price": "5"}]
    assert values(tmp_path / "a.json") == values(tmp_path / "b.json.gz") == expected


def test_an_array_of_many_chunks_is_read_whole(tmp_path: Path) -> None:
    numbers = [{"title": "x" * 1000, "price": at} for at in range(4 * CHUNK // 1000)] + [12345]  # type: ignore[list-item]
    (tmp_path / "a.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    read_back = values(tmp_path / "a.json")
    assert [int(row["price"]) for row in read_back[:-1]] == list(range(len(numbers) - 1))
    assert read_back[-1] == "12345"


def test_json_without_an_array_and_ndjson_are_an_object_a_line(tmp_path: Path) -> None:
    for name in ("a.json", "a.ndjson", "a.jsonl"):
        (tmp_path / name).write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
        assert [row["title"] for row in values(tmp_path / name)] == ["Pot, [large]", "Pan"]


@pytest.mark.parametrize(
    "text", ['[{"title": "a"}, {"title": }]', '[{"title": "a"}', '[{"title": "a"}, nope]']
)
def test_an_array_that_is_broken_stops_the_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(PricewrightError, match=r"a\.json: the array is broken in its element [12]"):
        values(tmp_path / "a.json")


def workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    with pd.ExcelWriter(path, engine="openpyxl") as writer:
        for name, cells in sheets.items():
            pd.DataFrame(cells).to_excel(writer, sheet_name=name, header=False, index=False)
    return path


TABLE = [["title", "price", "stock"], ["Pot", 19.5, 3], ["Pan", "$5", None]]


def test_the_sheet_with_the_columns_is_read_from_below_its_header(tmp_path: Path) -> None:
    sheets = {"About": [["Export of the shop"]], "Goods": [["Made on 1 May"], [None], *TABLE]}
    rows = values(workbook(tmp_path / "a.xlsx", sheets))
    assert [(row["title"], row["price"]) for row in rows] == [("Pot", 19.5), ("Pan", "$5")]


def test_a_workbook_with_two_such_sheets_a_name_twice_or_no_workbook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PricewrightError, match="2 sheets have the columns title, price"):
        values(workbook(tmp_path / "a.xlsx", {"A": TABLE, "B": TABLE}))
    with pytest.raises(PricewrightError, match="the column 'price' stands twice"):
        values(workbook(tmp_path / "b.xlsx", {"A": [["title", "price", "price"], ["a", 1, 2]]}))
    (tmp_path / "c.xlsx").write_bytes(b"PK no workbook")
    with pytest.raises(OSError, match="no Excel workbook"):
        values(tmp_path / "c.xlsx")
