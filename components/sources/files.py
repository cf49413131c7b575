"""Listings from JSONL, CSV and Parquet files, the text ones compressed or not.

A row's address is its file as params.yaml names it and its number: the line in JSONL, the row in CSV (the
first below the header is 1) and Parquet. A row that cannot be parsed, or whose title or price cannot be
decoded, is rejected with its reason, and so is the rest of a file from the point where it is broken; the
other rows are kept. A JSON line that is no object
becomes an empty listing, for curate to reject with a reason.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import csv
import glob
import gzip
import hashlib
import io
import itertools
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from components.core.errors import PricewrightError
from components.core.params.scrape import Columns, Files
from components.core.schemas import Reject
from components.sources import writable
from components.sources.extraction.encoding import looks_like
from components.sources.extraction.money import amount, plain_number
from components.sources.result import Collected, empty

NumberedRow = tuple[int, bytes, Any]
"""Number from 1, the bytes that are hashed, the parsed value."""


class Fault(NamedTuple):
    """A row, or the rest of a file, that cannot be parsed."""

    address: str
    """Of the row or the file."""
    rule: str
    """`broken_row` or `undecodable`, or `broken_file` for all that follows."""
    reason: str


REJECTED = [name for name in Reject.columns() if name not in ("id", "source")]
NOTES = 20  # lines of the report; the rest is in rejects.parquet
DELIMITERS = ",;\t|"
SAMPLE_BYTES, SAMPLE_LINES = 2**20, 20
LINE_CHARACTERS = 2**24
UNREADABLE = (pa.ArrowException, OSError, EOFError, zlib.error, lzma.LZMAError)
BATCH = 10_000  # rows of Parquet at a time
LEVEL = 3  # the entry of a category path that becomes the category, counted from 1
LOST = "\ufffd"  # what stands for bytes that are no character
MISSING = object()


def collect(section: Files) -> Collected:
    """The listings of the files of `section`, and a reject for each row or file that cannot be parsed.

    Raises PricewrightError, naming the file, where one is missing, of an unknown kind, without a row or
    without a mapped column.
    """
    paths = find_files(section.paths)
    rows: list[dict[str, str]] = []
    faults: list[Fault] = []
    for path in tqdm(paths, desc="files", unit=" files"):
        rows.extend(_listings(path, section.columns, faults))
    rejects = pd.DataFrame(
        [{"title": "", "price": "", **fault._asdict()} for fault in faults], columns=REJECTED
    )
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
            "scrape.files.paths is empty: name files or patterns of JSONL, CSV or Parquet files"
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


def _listings(path: Path, columns: Columns, faults: list[Fault]) -> list[dict[str, str]]:
    """The rows of a file as listings; what cannot be parsed is appended to `faults`."""
    rows: list[NumberedRow] = []
    before = len(faults)
    try:
        for entry in read(path):
            if isinstance(entry, Fault):
                faults.append(entry)
            else:
                rows.append(entry)
    except (*UNREADABLE, csv.Error) as error:
        after = f" after row {rows[-1][0]}" if rows else ""
        faults.append(Fault(path.as_posix(), "broken_file", f"not readable{after}: {error}"))
    if not rows and len(faults) == before:
        raise PricewrightError(f"{path}: empty: no row in it")
    if rows:
        _check_columns(path, [value for _, _, value in rows if isinstance(value, dict)], columns)
    listings = []
    for row in rows:
        listing = _listing(path, row, columns)
        if fault := _undecodable(listing):
            faults.append(fault)
        else:
            listings.append(listing)
    return listings


def _undecodable(listing: dict[str, str]) -> Fault | None:
    """The fault of a listing whose title or price holds a character that was lost in decoding."""
    for name in ("title", "price"):
        if LOST in listing[name]:
            reason = f"its {name} has a character that cannot be decoded, {listing[name]!r}: save it as UTF-8"
            return Fault(listing["address"], "undecodable", reason)
    return None


def read(path: Path) -> Iterator[NumberedRow | Fault]:
    """The rows of a file, parsed by its suffixes.

    Raises PricewrightError for an unknown kind of file; the iterator raises one of UNREADABLE or csv.Error at
    the point where the file is broken.
    """
    name = path.with_suffix("") if path.suffix in OPENERS else path
    reader = READERS.get(name.suffix.lower())
    if reader is None or (reader is _parquet and name != path):
        kinds = f"{', '.join(READERS)} are read, the text ones with {', '.join(OPENERS)} too"
        raise PricewrightError(f"{path}: unknown kind of file: {kinds}")
    return reader(path)


def _check_columns(path: Path, objects: list[dict[str, Any]], columns: Columns) -> None:
    mapped = [column for column in columns.model_dump().values() if column is not None]
    missing = [column for column in mapped if all(lookup(row, column) is MISSING for row in objects)]
    if missing:
        present = ", ".join(dict.fromkeys(key for row in objects for key in row)) or "none"
        raise PricewrightError(
            f"{path}: no column {', '.join(missing)} (scrape.files.columns); it has: {present}"
        )


def _listing(path: Path, row: NumberedRow, columns: Columns) -> dict[str, str]:
    number, written, value = row

    def field(column: str | None) -> Any:
        cell = lookup(value, column) if column else None
        return None if cell is MISSING else cell

    price = text(field(columns.price))
    listing = {
        "title": text(field(columns.title)),
        "description": text(field(columns.description)),
        "brand": text(field(columns.brand)),
        "category": category_name(field(columns.category)),
        "details": json.dumps(details(field(columns.details)), ensure_ascii=False),
        "price": price,
        "amount": plain_number(amount(price)),
        "currency": text(field(columns.currency)).upper(),
        "address": f"{path.as_posix()}:{number}",
        "page_hash": hashlib.sha256(written).hexdigest(),
        "found_in": "row" if price else "",
        "places": "{}",
        "rights": text(field(columns.rights)),
    }
    return {name: writable(value) for name, value in listing.items()}


def lookup(value: object, column: str) -> Any:
    """The value of column `a.0.b`: of a key of just that name, else nested; MISSING where there is none."""
    if isinstance(value, dict) and column in value:
        return value[column]
    for key in column.split("."):
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            return MISSING
    return value


def text(value: object) -> str:
    """A cell as text: empty for null and NaN; the entries of a list are joined by blanks."""
    if value is None or value != value:
        return ""
    if isinstance(value, list):
        return " ".join(filter(None, map(text, value)))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value).strip()


def category_name(value: object) -> str:
    """A category as it is; of a path from general to special the third entry, or the last of a shorter one.

    The first levels often hold the whole catalogue, the last ones only a handful of listings.
    """
    if not isinstance(value, list):
        return text(value)
    entries = [entry for entry in map(text, value) if entry]
    return entries[:LEVEL][-1] if entries else ""


def details(value: object) -> dict[str, Any]:
    """Specifications: an object, or JSON text of one; other text becomes the one entry `Details`."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, dict):
        return {str(name): entry for name, entry in value.items() if entry is not None}
    written = text(value)
    return {"Details": written} if written else {}


# --- readers, by suffix ------------------------------------------------------------------------------


def _open(path: Path) -> IO[bytes]:
    return OPENERS.get(path.suffix, Path.open)(path, "rb")


def _lines(path: Path, encoding: str) -> Iterator[str]:
    """Lines of text with their ends, without a byte order mark. Raises OSError for one that is too long."""
    with _open(path) as stream, io.TextIOWrapper(stream, encoding, errors="replace", newline="") as text:
        while line := text.readline(LINE_CHARACTERS):
            if len(line) == LINE_CHARACTERS:
                raise OSError(f"a line of more than {LINE_CHARACTERS:,} characters")
            yield line


def _encoding(path: Path) -> str:
    """UTF-8 where most lines that are not plain ASCII decode as it, else a guess from those that do not."""
    utf8, other, sample = 0, 0, bytearray()
    with _open(path) as stream, contextlib.suppress(*UNREADABLE):
        for line in iter(lambda: stream.readline(LINE_CHARACTERS), b""):
            if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and not utf8 + other:
                return "utf-16"
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
                utf8 += 1
            except UnicodeDecodeError:
                other += 1
                sample += line if len(sample) < SAMPLE_BYTES else b""
    return "utf-8-sig" if utf8 >= other else looks_like(bytes(sample)) or "cp1252"


def _jsonl(path: Path) -> Iterator[NumberedRow | Fault]:
    for number, line in enumerate(_lines(path, _encoding(path)), start=1):
        if not line.strip():
            continue
        try:
            # Numbers stay as written, 19.90 too; NaN is no JSON, yet common.
            value = json.loads(line, parse_int=str, parse_float=str, parse_constant=lambda _: None)
        except (json.JSONDecodeError, RecursionError) as error:
            yield Fault(f"{path.as_posix()}:{number}", "broken_row", f"broken JSON: {error}")
        else:
            yield number, writable(line.strip()).encode(), value


def _csv(path: Path) -> Iterator[NumberedRow | Fault]:
    csv.field_size_limit(LINE_CHARACTERS)
    encoding = _encoding(path)
    rows = csv.reader(_lines(path, encoding), delimiter=_delimiter(path, encoding), strict=True)
    header = next(rows, [])
    for number, cells in enumerate(filter(None, rows), start=1):
        if len(cells) != len(header):
            reason = f"row {number} (line {rows.line_num}) has {len(cells)} cells, the header {len(header)}"
            yield Fault(f"{path.as_posix()}:{number}", "broken_row", reason)
        else:
            yield number, json.dumps(cells).encode(), dict(zip(header, cells, strict=True))


def _delimiter(path: Path, encoding: str) -> str:
    """The delimiter by which the most of the first rows have as many cells as the header, at least two."""
    start: list[str] = []
    with contextlib.suppress(*UNREADABLE):  # the reader of its rows reports the fault
        start.extend(itertools.islice(_lines(path, encoding), SAMPLE_LINES))

    def agreeing_rows(sign: str) -> tuple[int, int]:
        widths = [len(cells) for cells in csv.reader(start, delimiter=sign) if cells]
        return (widths.count(widths[0]), widths[0]) if widths and widths[0] > 1 else (0, 0)

    return max(DELIMITERS, key=agreeing_rows)


def _parquet(path: Path) -> Iterator[NumberedRow]:
    with pq.ParquetFile(path) as file:
        rows = itertools.chain.from_iterable(batch.to_pylist() for batch in file.iter_batches(BATCH))
        for number, row in enumerate(rows, start=1):
            yield number, json.dumps(row, default=str, sort_keys=True).encode(), row


OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": lambda path, _: pa.input_stream(str(path), compression="zstd"),
}
READERS: dict[str, Callable[[Path], Iterator[NumberedRow | Fault]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
}
