"""The rows of a file of any kind that is read."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pyarrow.parquet as pq

from components.core.errors import PricewrightError
from components.sources import writable
from components.sources.fields import Number
from components.sources.tables.csv_rows import HEADER_LINES, csv_rows, require_distinct
from components.sources.tables.lines import LINE_CHARACTERS, Fault, NumberedRow, encoding_of, lines
from components.sources.tables.unpacking import OPENERS, require_unpacked

BATCH = 1000  # rows of Parquet at a time
READ_BYTES = 2**20  # of a column of Parquet at a time
CHUNK = 2**16  # characters of a JSON array at a time
# Numbers stay as written, 19.90 too; NaN is no JSON, yet common.
JSON = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=lambda _: None)


def read(path: Path, names: list[str], bytes_max: int) -> Iterator[NumberedRow | Fault]:
    """The rows of a file, parsed by its suffixes; `names` are columns by which a header is recognized.

    Raises PricewrightError for an unknown kind of file, a header that names a column twice, a JSON array that
    is broken, or a compressed file that unpacks to more than `bytes_max`; the iterator raises one of
    UNREADABLE at the point where the file is broken.
    """
    name = path.with_suffix("") if path.suffix in OPENERS else path
    reader = READERS.get(name.suffix.lower())
    if reader is None or (reader in (_parquet, _xlsx) and name != path):
        kinds = f"{', '.join(READERS)} are read, the text ones with {', '.join(OPENERS)} too"
        raise PricewrightError(f"{path}: unknown kind of file: {kinds}")
    return reader(path, names, bytes_max)


def _jsonl(path: Path, _: list[str], bytes_max: int) -> Iterator[NumberedRow | Fault]:
    for number, line in enumerate(lines(path, encoding_of(path, bytes_max), bytes_max), start=1):
        written = line.strip()
        if not written:
            continue
        try:
            value = JSON.decode(written)
        except (json.JSONDecodeError, RecursionError) as error:
            yield Fault(f"{path.as_posix()}:{number}", "broken_row", f"broken JSON: {error}")
        else:
            yield number, writable(written).encode(), value


def _json(path: Path, names: list[str], bytes_max: int) -> Iterator[NumberedRow | Fault]:
    """The elements of an array; a file that is none is read as JSONL."""
    pieces = lines(path, encoding_of(path, bytes_max), bytes_max)
    buffer = next((line.lstrip() for line in pieces if line.strip()), "")
    if not buffer.startswith("["):
        yield from _jsonl(path, names, bytes_max)
        return
    buffer = buffer[1:]
    for number in itertools.count(1):
        wanted = CHUNK
        while True:
            buffer = buffer.lstrip().removeprefix(",").lstrip()
            if buffer.startswith("]"):
                return
            try:
                value, end = JSON.raw_decode(buffer)
                if buffer[end:].lstrip():  # a number may go on behind the end of the buffer
                    break
            except (json.JSONDecodeError, RecursionError) as error:
                if len(buffer) > LINE_CHARACTERS:
                    raise _broken_array(path, number, error) from error
            more = _characters(pieces, wanted)
            if not more:
                raise _broken_array(path, number, "it ends without ]")
            buffer, wanted = buffer + more, 2 * wanted
        yield number, writable(json.dumps(value, ensure_ascii=False)).encode(), value
        buffer = buffer[end:]


def _characters(pieces: Iterator[str], wanted: int) -> str:
    gathered, length = [], 0
    for piece in pieces:
        gathered.append(piece)
        length += len(piece)
        if length >= wanted:
            break
    return "".join(gathered)


def _broken_array(path: Path, number: int, error: object) -> PricewrightError:
    return PricewrightError(
        f"{path}: the array is broken in its element {number} ({error}): mend it, or write an object a line "
        "as .jsonl, of which a broken line costs itself alone"
    )


def _parquet(path: Path, _: list[str], bytes_max: int) -> Iterator[NumberedRow]:
    read = unpacked = 0
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES) as file:
        require_distinct(path, file.schema_arrow.names)
        for batch in file.iter_batches(BATCH):
            unpacked += batch.nbytes
            require_unpacked(path, unpacked, bytes_max)
            for number, row in enumerate(batch.to_pylist(), start=read + 1):
                yield number, json.dumps(row, default=str, sort_keys=True).encode(), row
            read += len(batch)


def _xlsx(path: Path, names: list[str], bytes_max: int) -> Iterator[NumberedRow]:
    """The rows of the one sheet that has a header with all of `names`, else of the first sheet."""
    from openpyxl import load_workbook

    try:
        with ZipFile(path) as archive:
            require_unpacked(path, sum(entry.file_size for entry in archive.infolist()), bytes_max)
        book = load_workbook(path, read_only=True, data_only=True)
    except PricewrightError:
        raise
    except Exception as error:  # of zip, of XML, and the library's own
        raise OSError(f"no Excel workbook: {error}") from error
    sheets = []
    for sheet in book.worksheets:
        head = sheet.iter_rows(max_row=HEADER_LINES, values_only=True)
        sheets += [(sheet, at) for at, cells in enumerate(head) if set(names) <= set(_names(cells))][:1]
    if len(sheets) > 1:
        raise PricewrightError(
            f"{path}: {len(sheets)} sheets have the columns {', '.join(names)}: write each into its own file"
        )
    sheet, above = sheets[0] if sheets else (book.worksheets[0], 0)
    rows = itertools.islice(sheet.iter_rows(values_only=True), above, None)
    header = _names(next(rows, ()))
    require_distinct(path, header)
    for number, cells in enumerate(rows, start=1):
        if any(cell is not None for cell in cells):
            row = {name: cell for name, cell in zip(header, cells, strict=False) if name}
            yield number, json.dumps(row, default=str, sort_keys=True).encode(), row
    book.close()


def _names(cells: tuple[Any, ...]) -> list[str]:
    return ["" if cell is None else str(cell).strip() for cell in cells]


READERS: dict[str, Callable[[Path, list[str], int], Iterator[NumberedRow | Fault]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".csv": csv_rows,
    ".tsv": csv_rows,
    ".parquet": _parquet,
    ".xlsx": _xlsx,
}
