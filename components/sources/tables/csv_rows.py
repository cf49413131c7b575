"""Rows of CSV: any delimiter, lines above the header; a row whose quotes are wrong costs itself alone."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from components.core.errors import PricewrightError
from components.sources.tables.lines import (
    LINE_CHARACTERS,
    UNREADABLE,
    Fault,
    NumberedRow,
    encoding_of,
    lines,
)

DELIMITERS = ",;\t|"
HEADER_LINES = 20  # in which the header is looked for
RECORD_LINES = 1000  # of one row; a quote that is open for longer was never closed


class _Lines(Iterator[str]):
    """The lines of a file, from which those of a broken row can be put back."""

    def __init__(self, source: Iterator[str]) -> None:
        self.source = source
        self.waiting: deque[str] = deque()
        self.record: list[str] = []
        self.consumed = 0

    def __next__(self) -> str:
        if len(self.record) == RECORD_LINES:
            raise csv.Error(f"a quote is not closed within {RECORD_LINES:,} lines")
        line = self.waiting.popleft() if self.waiting else next(self.source)
        self.consumed += 1
        self.record.append(line)
        return line

    def put_back(self, start: int) -> None:
        """Put back the lines of the current record from `start` on."""
        self.waiting.extendleft(reversed(self.record[start:]))
        self.consumed -= len(self.record) - start


def csv_rows(path: Path, names: list[str], bytes_max: int) -> Iterator[NumberedRow | Fault]:
    """The rows below the header, which is the first line with all of `names`, else the first line.

    A row with wrong quotes, or too many or too few cells, is a Fault; the next line that is a row by itself
    is read again. Raises PricewrightError for a name that stands twice in the header.
    """
    csv.field_size_limit(LINE_CHARACTERS)
    encoding = encoding_of(path, bytes_max)
    start = _first_lines(path, encoding, bytes_max)
    delimiter, above = _header_line(start, names) or (_delimiter(start), 0)
    source = _Lines(lines(path, encoding, bytes_max))
    for _ in range(above):
        next(source)
    source.record.clear()
    rows = csv.reader(source, delimiter=delimiter, strict=True)
    header = [name.strip() for name in next(rows, [])]
    require_distinct(path, header)
    number = 0
    while True:
        source.record.clear()
        reason, cells = "", None
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            reason = str(error)
        if cells == []:
            continue
        number, line = number + 1, source.consumed - len(source.record) + 1
        if cells is not None and len(cells) == len(header):
            yield number, json.dumps(cells).encode(), dict(zip(header, cells, strict=True))
            continue
        reason = reason or f"{len(cells or [])} cells, the header {len(header)}"
        yield Fault(f"{path.as_posix()}:{number}", "broken_row", f"row {number} (line {line}) has {reason}")
        source.put_back(_next_row(source.record, delimiter, len(header), unclosed=cells is None))
        rows = csv.reader(source, delimiter=delimiter, strict=True)


def _next_row(record: list[str], delimiter: str, width: int, *, unclosed: bool) -> int:
    """The position of the first line below the broken one that is a row by itself."""
    for position, line in enumerate(record[1:], start=1):
        with contextlib.suppress(csv.Error, StopIteration):
            cells = next(csv.reader([line], delimiter=delimiter, strict=True))
            if len(cells) == width and line.count('"') % 2 == 0:
                return position
    return 1 if unclosed else len(record)


def require_distinct(path: Path, header: list[str]) -> None:
    """Raise PricewrightError where a name stands twice in a header."""
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise PricewrightError(
            f"{path}: the column {twice[0]!r} stands twice in its header: which of them is meant? Rename one"
        )


def _first_lines(path: Path, encoding: str, bytes_max: int) -> list[str]:
    start: list[str] = []
    with contextlib.suppress(*UNREADABLE):  # the reader of its rows reports the fault
        start.extend(itertools.islice(lines(path, encoding, bytes_max), HEADER_LINES))
    return start


def _header_line(start: list[str], names: list[str]) -> tuple[str, int] | None:
    """Delimiter and position of the first line that has all of `names` as cells."""
    for position, line in enumerate(start):
        for delimiter in DELIMITERS:
            with contextlib.suppress(csv.Error, StopIteration):
                if set(names) <= {cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))}:
                    return delimiter, position
    return None


def _delimiter(start: list[str]) -> str:
    """The delimiter by which the most of the first rows have as many cells as the header, at least two."""

    def agreeing_rows(sign: str) -> tuple[int, int]:
        widths = [len(cells) for cells in csv.reader(start, delimiter=sign) if cells]
        return (widths.count(widths[0]), widths[0]) if widths and widths[0] > 1 else (0, 0)

    return max(DELIMITERS, key=agreeing_rows)
