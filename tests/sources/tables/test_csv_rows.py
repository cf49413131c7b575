"""CSV whose quotes are wrong, with lines above its header, with a name twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.core.errors import PricewrightError
from components.sources.tables.csv_rows import RECORD_LINES, csv_rows
from components.sources.tables.lines import Fault

NAMES = ["title", "price"]


def read(path: Path, text: str, names: list[str] = NAMES) -> tuple[list[list[str]], list[Fault]]:
    """The cells of the rows, and the faults."""
    path.write_text(text, encoding="utf-8")
    entries = list(csv_rows(path, names, 2**30))
    rows = [list(entry[2].values()) for entry in entries if not isinstance(entry, Fault)]
    return rows, [entry for entry in entries if isinstance(entry, Fault)]


@pytest.mark.parametrize("other", ["Pot {at},{at}.50", '"Pot, {at}",{at}.50', '"Pot\n{at}",{at}.50'])
@pytest.mark.parametrize("bad", ['"Kettle,5.00', '"19" monitor",5.00', '"Kettle" x,"5.00'])
def test_one_bad_quote_costs_one_row(tmp_path: Path, other: str, bad: str) -> None:
    good = [other.format(at=at) for at in range(1, 1000)]
    rows, faults = read(tmp_path / "a.csv", "\n".join(["title,price", *good[:3], bad, *good[3:]]) + "\n")
    lost = 999 - len(rows)
    assert lost <= ("\n" in other)  # one row of two lines may look like the end of the bad one
    assert [fault.rule for fault in faults][:1] == ["broken_row"]
    assert len(faults) == 1
    assert all(title.startswith("Pot") and price.endswith(".50") for title, price in rows)
    assert faults[0].address.endswith(":4")


def test_a_quote_that_is_never_closed_is_not_looked_for_through_the_whole_file(tmp_path: Path) -> None:
    lines = ["title,price", '"Kettle,5', *["Pot,6"] * (3 * RECORD_LINES)]
    rows, faults = read(tmp_path / "a.csv", "\n".join(lines))
    assert (len(rows), len(faults)) == (3 * RECORD_LINES, 1)
    assert f"a quote is not closed within {RECORD_LINES:,} lines" in faults[0].reason


def test_a_row_of_several_lines_with_a_cell_too_many_is_one_fault(tmp_path: Path) -> None:
    rows, faults = read(tmp_path / "a.csv", 'title,price\n"Pot\nblue\nlarge",5,6\nPan,7\n')
    assert rows == [["Pan", "7"]]
    assert [fault.reason for fault in faults] == ["row 1 (line 2) has 3 cells, the header 2"]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_lines_above_the_header_are_passed_over(tmp_path: Path, delimiter: str) -> None:
    above = "Export of the shop, 2026-11-01; all rights\n\nRows: 2\n"
    table = f" title {delimiter}price\nPot{delimiter}5\nPan{delimiter}6\n"
    rows, faults = read(tmp_path / "a.csv", above + table)
    assert (rows, faults) == ([["Pot", "5"], ["Pan", "6"]], [])


def test_a_name_that_stands_twice_in_the_header_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PricewrightError, match=r"a\.csv: the column 'price' stands twice"):
        read(tmp_path / "a.csv", "title,price,price\nPot,5,6\n")
