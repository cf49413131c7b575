"""Listings from JSONL, CSV and Parquet files, the text ones gzipped or not.

A row is addressed by its file as params.yaml names it and its number: the line in JSONL, the row in CSV (the
first below the header is 1) and Parquet. A file that cannot be read as what its suffix says is an error that
names the line. A JSON line that is no object is kept as an empty listing, for curate to reject with a reason.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from components.params import Columns, Files
from components.records import PricewrightError
from components.sources import writable
from components.sources.collected import Collected

Row = tuple[int, bytes, Any]
"""Number from 1, the bytes that are hashed, the value."""
LEVEL = 3  # the entry of a category path that is taken, counted from 1
MISSING = object()


def collect(section: Files) -> Collected:
    """The listings of `section`, and how many files there were."""
    paths = find(section.paths)
    return Collected(listings(paths, section.columns), {"files": len(paths)})


def find(patterns: list[str]) -> list[Path]:
    """The files that paths and patterns name, each once. Raises PricewrightError for one without a file."""
    if not patterns:
        raise PricewrightError(
            "scrape.files.paths is empty: name files or patterns of JSONL, CSV or Parquet files"
        )
    found: dict[Path, Path] = {}
    for pattern in patterns:
        matches = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))
        files = [Path(match) for match in matches if not Path(match).is_dir()]
        if not files:
            what = "is a folder: write a pattern of its files" if Path(pattern).is_dir() else "no such file"
            raise PricewrightError(f"{pattern}: {what} (scrape.files.paths, looked up from {Path.cwd()})")
        for file in files:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def listings(paths: list[Path], columns: Columns) -> pd.DataFrame:
    """One row per row of the files: the columns of Listing but `id` and `source`, which scrape adds.

    Raises PricewrightError, naming the file, where one is empty, of an unknown kind, not readable as what
    its suffix says, or without a mapped column.
    """
    return pd.DataFrame(
        [row for path in tqdm(paths, desc="files", unit=" files") for row in _listings(path, columns)]
    )


def _listings(path: Path, columns: Columns) -> list[dict[str, str]]:
    name = path.name.removesuffix(".gz")
    reader = READERS.get(Path(name).suffix.lower())
    if reader is None or (reader is _parquet and name != path.name):
        raise PricewrightError(
            f"{path}: unknown kind of file: {', '.join(READERS)} are read, .jsonl.gz and .csv.gz too"
        )
    try:
        rows = list(reader(path))
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        raise PricewrightError(f"{path}: not readable: {error}") from error
    if not rows:
        raise PricewrightError(f"{path}: empty: no row in it")
    _check_columns(path, [value for _, _, value in rows if isinstance(value, dict)], columns)
    return [_listing(path, row, columns) for row in rows]


def _check_columns(path: Path, objects: list[dict[str, Any]], columns: Columns) -> None:
    mapped = [column for column in columns.model_dump().values() if column is not None]
    lacking = [column for column in mapped if all(reach(row, column) is MISSING for row in objects)]
    if lacking:
        has = ", ".join(dict.fromkeys(key for row in objects for key in row)) or "none"
        raise PricewrightError(
            f"{path}: no column {', '.join(lacking)} (scrape.files.columns); it has: {has}"
        )


def _listing(path: Path, row: Row, columns: Columns) -> dict[str, str]:
    number, written, value = row

    def field(column: str | None) -> Any:
        found = reach(value, column) if column else None
        return None if found is MISSING else found

    price = text(field(columns.price))
    listing = {
        "title": text(field(columns.title)),
        "description": text(field(columns.description)),
        "brand": text(field(columns.brand)),
        "category": most_telling(field(columns.category)),
        "details": json.dumps(details(field(columns.details)), ensure_ascii=False),
        "price": price,
        "currency": text(field(columns.currency)).upper(),
        "address": f"{path.as_posix()}:{number}",
        "page_hash": hashlib.sha256(written).hexdigest(),
        "found_in": "row" if price else "",
        "places": "{}",
        "rights": text(field(columns.rights)),
    }
    return {name: writable(value) for name, value in listing.items()}


def reach(value: object, column: str) -> Any:
    """The value under `a.b`: of the key of just that name, else step by step; MISSING where there is none."""
    if isinstance(value, dict) and column in value:
        return value[column]
    for key in column.split("."):
        if not isinstance(value, dict) or key not in value:
            return MISSING
        value = value[key]
    return value


def text(value: object) -> str:
    """A cell as text: nothing for null and NaN, the entries of a list one after another."""
    if value is None or value != value:
        return ""
    if isinstance(value, list):
        return " ".join(filter(None, map(text, value)))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value).strip()


def most_telling(value: object) -> str:
    """Text as it is; of a path from general to special the third entry, or the last of a shorter one.

    The first ones often hold the whole catalogue, the last ones only a handful of listings.
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


def _lines(path: Path) -> Iterator[str]:
    """Lines of UTF-8 text, plain or gzipped, with their ends and without a byte order mark."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise PricewrightError(f"{path}:{number}: not UTF-8 text: save it as UTF-8") from error


def _jsonl(path: Path) -> Iterator[Row]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            # Numbers stay as written, 19.90 too; NaN is no JSON, yet common.
            value = json.loads(line, parse_int=str, parse_float=str, parse_constant=lambda _: None)
        except (json.JSONDecodeError, RecursionError) as error:
            raise PricewrightError(f"{path}:{number}: broken JSON: {error}") from error
        yield number, line.strip().encode(), value


def _csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(2**27)
    rows = csv.reader(_lines(path), strict=True)
    try:
        header = next(rows, [])
        for number, cells in enumerate(filter(None, rows), start=1):
            if len(cells) != len(header):
                message = f"row {number} has {len(cells)} cells, the header {len(header)}"
                raise PricewrightError(f"{path}:{rows.line_num}: {message}")
            yield number, json.dumps(cells).encode(), dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise PricewrightError(f"{path}:{rows.line_num}: broken CSV: {error}") from error


def _parquet(path: Path) -> Iterator[Row]:
    for number, row in enumerate(pq.read_table(path).to_pylist(), start=1):
        yield number, json.dumps(row, default=str, sort_keys=True).encode(), row


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
