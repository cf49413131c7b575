"""Listings from JSONL, JSON, CSV, Parquet and Excel files, the text ones compressed or not.

A row's address is its file as params.yaml names it and its number: the line in JSONL, the row in the others
(the first below the header is 1). Its id is that of its key column, else of its content: neither a new name
of the file nor another order of its rows changes it. A row that cannot be parsed or understood is rejected
with its reason, and so is the rest of a file from the point where it is broken; the other rows are kept. A
JSON line that is no object becomes an empty listing, for curate to reject with a reason.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from components.core.currencies import agreed, named
from components.core.errors import PricewrightError
from components.core.params.scrape import Columns, Files
from components.core.schemas import Listing, Reject
from components.core.tables import schema_of
from components.sources import writable
from components.sources.decimals import decimal_sign, read_number
from components.sources.extraction.money import WrittenPrice, parse, plain_number
from components.sources.fields import MISSING, Number, category_name, details, lookup, text
from components.sources.keys import content_hash, with_distinct_keys
from components.sources.result import COLUMNS, Collected, Row, RowFile, Spool
from components.sources.tables.kinds import read
from components.sources.tables.lines import UNREADABLE, Fault, NumberedRow

EXAMPLES = 3  # lost rows in a message
LOST = "\ufffd"  # what stands for bytes that are no character
LOSSES = ("broken_row", "undecodable", "repeated_id")


def collect(section: Files, spool: Spool) -> Collected:
    """Hand on the listings of the files of `section`, and a reject for each row or file that cannot be used.

    Raises PricewrightError, naming the file, where one is missing, of an unknown kind, without a row or
    without a mapped column, where one unpacks to more than `unpacked_bytes_max`, where more than
    `lost_rows_max` of its rows are lost, and where its prices leave open how decimals are written.
    """
    paths = find_files(section.paths)
    unkeyed = RowFile(spool.folder / "unkeyed.parquet", schema_of(Listing, [*COLUMNS[Listing], "content"]))
    for path in tqdm(paths, desc="files", unit=" files"):
        for entry in _listings(path, section):
            if isinstance(entry, Fault):
                spool.add(Reject, {"title": "", **entry._asdict()})
            else:
                content = content_hash(entry)
                unkeyed.add(entry | {"key": entry["key"] or content, "content": content})
    unkeyed.close()
    repeated = _Losses("the files")
    for entry in with_distinct_keys(unkeyed.path, spool.folder):
        if isinstance(entry, Fault):
            repeated.note(entry)
            spool.add(Reject, {"title": "", **entry._asdict()})
        else:
            spool.add(Listing, entry)
    repeated.require_few(unkeyed.rows, section.lost_rows_max)
    unkeyed.path.unlink()
    counts: dict[str, Any] = {"files": len(paths)}
    if spool.rules:
        counts["rejected"] = dict(sorted(spool.rules.items()))
    return Collected(counts, spool.notes())


def find_files(patterns: list[str]) -> list[Path]:
    """The files that paths and patterns match, each once. Raises PricewrightError where one matches none."""
    if not patterns:
        raise PricewrightError(
            "scrape.files.paths is empty: name files or patterns of JSONL, JSON, CSV, Parquet or Excel files"
        )
    files: dict[Path, Path] = {}
    for pattern in patterns:
        matches = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))
        matching = [Path(match) for match in matches if not Path(match).is_dir()]
        if not matching:
            what = "is a folder: write a pattern of its files" if Path(pattern).is_dir() else "no such file"
            raise PricewrightError(f"{pattern}: {what} (scrape.files.paths, looked up from {Path.cwd()})")
        for file in matching:
            files.setdefault(file.resolve(), file)
    return list(files.values())


def _listings(path: Path, section: Files) -> Iterator[Row | Fault]:
    """The rows of a file as listings, and what cannot be parsed or understood."""
    columns = section.columns
    place = f"{path}: the column {columns.price}"
    sign = columns.decimal or decimal_sign(_numbers(path, section), place)
    mapped, lost = _MappedColumns(path, columns), _Losses(str(path))
    number = rows = faults = 0
    try:
        for entry in read(path, columns.mapped(), section.unpacked_bytes_max):
            listing: Row | Fault
            if isinstance(entry, Fault):
                faults += 1
                listing = entry
            else:
                rows, number = rows + 1, entry[0]
                mapped.note(entry[2])
                listing = _listing(path, entry, sign, columns)
            if isinstance(listing, Fault):
                lost.note(listing)
            yield listing
    except UNREADABLE as error:
        after = f" after row {number}" if rows else ""
        faults += 1
        yield Fault(path.as_posix(), "broken_file", f"not readable{after}: {error}")
    if rows:
        mapped.require_all()
    elif not faults:
        raise PricewrightError(f"{path}: empty: no row in it")
    lost.require_few(rows + faults, section.lost_rows_max)


def _numbers(path: Path, section: Files) -> Iterator[str]:
    """The numbers of the prices that are text, up to where the file is broken."""
    with suppress(*UNREADABLE):
        for entry in read(path, section.columns.mapped(), section.unpacked_bytes_max):
            if not isinstance(entry, Fault):
                price = _Price.of(_cell(entry[2], section.columns.price))
                if not price.typed:
                    yield price.parts.number


class _MappedColumns:
    """Which mapped columns no row of a file has had so far."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self._path = path
        self._missing = columns.mapped()
        self._present: dict[str, None] = {}

    def note(self, row: object) -> None:
        """See what a row has."""
        if self._missing and isinstance(row, dict):
            self._missing = [column for column in self._missing if lookup(row, column) is MISSING]
            self._present |= dict.fromkeys(row)

    def require_all(self) -> None:
        """Raises PricewrightError where a mapped column is in no row."""
        if self._missing:
            missing, present = ", ".join(self._missing), ", ".join(self._present) or "none"
            where = f"{self._path}: no column {missing} (scrape.files.columns)"
            raise PricewrightError(f"{where}; it has: {present}")


class _Losses:
    """How many rows are lost, and the first of them."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._lost = 0
        self._first: list[Fault] = []

    def note(self, fault: Fault) -> None:
        """Count a fault that costs a row."""
        if fault.rule in LOSSES:
            self._lost += 1
            self._first = [*self._first, fault][:EXAMPLES]

    def require_few(self, rows: int, share: float) -> None:
        """Raises PricewrightError where more than a share of all rows is lost."""
        if self._lost > share * rows:
            examples = "".join(f"\n  {fault.address}: {fault.reason}" for fault in self._first)
            raise PricewrightError(
                f"{self._where}: {self._lost:,} of {rows:,} rows are lost, more than "
                f"scrape.files.lost_rows_max ({share:g}) allows; mend the file, or raise it:{examples}"
            )


def _cell(value: Any, column: str | None) -> Any:
    cell = lookup(value, column) if column else None
    return None if cell is MISSING else cell


class _Price(NamedTuple):
    """The cell of a price."""

    written: str
    parts: WrittenPrice
    typed: bool
    """Whether it is a number rather than text."""

    @classmethod
    def of(cls, cell: Any) -> _Price:
        written = text(cell)
        typed = isinstance(cell, Number | int | float | Decimal) and not isinstance(cell, bool)
        return cls(written, parse(written), typed)

    def amount(self, sign: str | None) -> Decimal | None:
        """The number by the sign in front of the decimals of its column."""
        if self.typed:
            number = Decimal(self.written or "NaN")
            return number if number.is_finite() else None
        number_as_read = read_number(self.parts.number, sign)
        return -number_as_read if number_as_read and self.parts.negative else number_as_read


def _listing(path: Path, row: NumberedRow, sign: str | None, columns: Columns) -> Row | Fault:
    number, written, value = row
    price = _Price.of(_cell(value, columns.price))
    address = f"{path.as_posix()}:{number}"
    title = text(_cell(value, columns.title))
    if fault := _undecodable(address, title, price.written):
        return fault
    column = text(_cell(value, columns.currency))
    currency = _currency(column, price.parts)
    if currency is None:
        beside = f" with {column!r} in the column of currencies" if column else ""
        unknown = f"{price.parts.unknown!r}" if price.parts.unknown else "the currency"
        reason = f"cannot understand {unknown} of the price {price.written!r}{beside}"
        return Fault(address, "unknown_currency", reason, price.written)
    listing = {
        "title": title,
        "description": text(_cell(value, columns.description)),
        "brand": text(_cell(value, columns.brand)),
        "category": category_name(_cell(value, columns.category)),
        "details": json.dumps(details(_cell(value, columns.details)), ensure_ascii=False),
        "price": price.written,
        "amount": plain_number(price.amount(sign)),
        "currency": currency,
        "address": address,
        "page_hash": hashlib.sha256(written).hexdigest(),
        "found_in": "row" if price.written else "",
        "places": "{}",
        "rights": text(_cell(value, columns.rights)),
        "key": text(_cell(value, columns.id)),
    }
    return {name: writable(entry) for name, entry in listing.items()}


def _undecodable(address: str, title: str, price: str) -> Fault | None:
    """The fault of a row whose title or price holds a character that was lost in decoding."""
    for name, value in (("title", title), ("price", price)):
        if LOST in value:
            reason = f"its {name} has a character that cannot be decoded, {value!r}: save it as UTF-8"
            return Fault(address, "undecodable", reason)
    return None


def _currency(written: str, price: WrittenPrice) -> str | None:
    """The currency of a row: of its column and its price; empty for none, None where it is not understood."""
    column = named(written) if written else ""
    if column is None or price.unknown:
        return None
    return agreed({*price.currencies, column} - {""})
