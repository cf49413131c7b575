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
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from tqdm import tqdm

from components.core.currencies import agreed, named
from components.core.errors import PricewrightError
from components.core.params.scrape import Columns, Files
from components.core.schemas import Reject
from components.sources import writable
from components.sources.decimals import decimal_sign, read_number
from components.sources.extraction.money import WrittenPrice, parse, plain_number
from components.sources.fields import MISSING, Number, category_name, details, lookup, text
from components.sources.result import Collected, empty
from components.sources.tables.kinds import read
from components.sources.tables.lines import UNREADABLE, Fault, NumberedRow

REJECTED = [name for name in Reject.columns() if name not in ("id", "source")]
NOTES = 20  # lines of the report; the rest is in rejects.parquet
EXAMPLES = 3  # lost rows in a message
LOST = "\ufffd"  # what stands for bytes that are no character
CONTENT = ("title", "description", "brand", "category", "details", "price", "currency", "rights")
LOSSES = ("broken_row", "undecodable", "repeated_id")
Row = dict[str, str]


def collect(section: Files) -> Collected:
    """The listings of the files of `section`, and a reject for each row or file that cannot be used.

    Raises PricewrightError, naming the file, where one is missing, of an unknown kind, without a row or
    without a mapped column, where more than `lost_rows_max` of its rows are lost, and where its prices leave
    open how decimals are written.
    """
    paths = find_files(section.paths)
    rows: list[Row] = []
    faults: list[Fault] = []
    for path in tqdm(paths, desc="files", unit=" files"):
        rows.extend(_listings(path, section, faults))
    rows = _with_distinct_keys(rows, section, faults)
    rejects = pd.DataFrame([{"title": "", **fault._asdict()} for fault in faults], columns=REJECTED)
    notes = [f"{fault.address}: {fault.reason}" for fault in faults]
    kept = notes if len(notes) <= NOTES else [*notes[:NOTES], f"and {len(notes) - NOTES} more rows"]
    counts: dict[str, Any] = {"files": len(paths)}
    if faults:
        counts["rejected"] = rejects["rule"].value_counts().sort_index().to_dict()
    return Collected(pd.DataFrame(rows), counts, rejects=rejects if faults else empty(Reject), notes=kept)


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


def _listings(path: Path, section: Files, faults: list[Fault]) -> list[Row]:
    """The rows of a file as listings; what cannot be parsed or understood is appended to `faults`."""
    columns = section.columns
    rows: list[NumberedRow] = []
    broken: list[Fault] = []
    try:
        for entry in read(path, columns.mapped()):
            if isinstance(entry, Fault):
                broken.append(entry)
            else:
                rows.append(entry)
    except UNREADABLE as error:
        after = f" after row {rows[-1][0]}" if rows else ""
        broken.append(Fault(path.as_posix(), "broken_file", f"not readable{after}: {error}"))
    if not rows and not broken:
        raise PricewrightError(f"{path}: empty: no row in it")
    if rows:
        _check_columns(path, [value for _, _, value in rows if isinstance(value, dict)], columns)
    cells = [_cell(value, columns.price) for _, _, value in rows]
    prices = [_Price.of(cell) for cell in cells]
    sign = columns.decimal or decimal_sign(
        (price.parts.number for price in prices if not price.typed), f"{path}: the column {columns.price}"
    )
    listings = []
    for row, price in zip(rows, prices, strict=True):
        listing = _listing(path, row, price, sign, columns)
        if isinstance(listing, Fault):
            broken.append(listing)
        else:
            listings.append(listing)
    _require_few_losses(str(path), broken, len(rows) + len(broken), section.lost_rows_max)
    faults.extend(broken)
    return listings


def _check_columns(path: Path, objects: list[dict[str, Any]], columns: Columns) -> None:
    missing = [
        column for column in columns.mapped() if all(lookup(row, column) is MISSING for row in objects)
    ]
    if missing:
        present = ", ".join(dict.fromkeys(key for row in objects for key in row)) or "none"
        raise PricewrightError(
            f"{path}: no column {', '.join(missing)} (scrape.files.columns); it has: {present}"
        )


def _require_few_losses(where: str, faults: list[Fault], rows: int, share: float) -> None:
    lost = [fault for fault in faults if fault.rule in LOSSES]
    if len(lost) > share * rows:
        examples = "".join(f"\n  {fault.address}: {fault.reason}" for fault in lost[:EXAMPLES])
        raise PricewrightError(
            f"{where}: {len(lost):,} of {rows:,} rows are lost, more than scrape.files.lost_rows_max "
            f"({share:g}) allows; mend the file, or raise it:{examples}"
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


def _listing(path: Path, row: NumberedRow, price: _Price, sign: str | None, columns: Columns) -> Row | Fault:
    number, written, value = row
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


# --- ids ---------------------------------------------------------------------------------------------


def _with_distinct_keys(rows: list[Row], section: Files, faults: list[Fault]) -> list[Row]:
    """The rows, each with a `key` of its own: that of its key column, else the hash of its content.

    Rows of the same content are told apart by their count. Rows of different content with one key are all
    rejected, so that their order decides nothing.
    """
    contents = [
        hashlib.sha256(json.dumps([row[name] for name in CONTENT]).encode()).hexdigest() for row in rows
    ]
    of_key: dict[str, set[str]] = defaultdict(set)
    for row, content in zip(rows, contents, strict=True):
        row["key"] = row["key"] or content
        of_key[row["key"]].add(content)
    seen: Counter[str] = Counter()
    kept: list[Row] = []
    repeated: list[Fault] = []
    for row in rows:
        key = row["key"]
        if len(of_key[key]) > 1:
            reason = f"{len(of_key[key])} different rows have the id {key!r} (scrape.files.columns.id)"
            repeated.append(Fault(row["address"], "repeated_id", reason, row["price"]))
            continue
        seen[key] += 1
        kept.append(row if seen[key] == 1 else row | {"key": f"{key} {seen[key]}"})
    _require_few_losses("the files", repeated, len(rows), section.lost_rows_max)
    faults.extend(repeated)
    return kept


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
