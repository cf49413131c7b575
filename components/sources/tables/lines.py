"""Text files, compressed or not, as lines in the encoding that they are in."""

from __future__ import annotations

import codecs
import contextlib
import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from components.sources.extraction.encoding import looks_like
from components.sources.tables.unpacking import open_unpacked

SAMPLE_BYTES = 2**20
LINE_CHARACTERS = 2**24
UNREADABLE = (pa.ArrowException, OSError, EOFError, zlib.error, lzma.LZMAError)
NumberedRow = tuple[int, bytes, Any]
"""Number from 1, the bytes that are hashed, the parsed value."""


class Fault(NamedTuple):
    """A row, or the rest of a file, that cannot be parsed."""

    address: str
    """Of the row or the file."""
    rule: str
    """Such as `broken_row`, or `broken_file` for all that follows."""
    reason: str
    target: str = ""
    """As written, where it could be read."""


def lines(path: Path, encoding: str, bytes_max: int) -> Iterator[str]:
    """Lines of text with their ends, without a byte order mark.

    Raises OSError for one that is too long, PricewrightError where the file unpacks to more than `bytes_max`.
    """
    with (
        open_unpacked(path, bytes_max) as stream,
        io.TextIOWrapper(stream, encoding, errors="replace", newline="") as text,
    ):
        while line := text.readline(LINE_CHARACTERS):
            if len(line) == LINE_CHARACTERS:
                raise OSError(f"a line of more than {LINE_CHARACTERS:,} characters")
            yield line


def encoding_of(path: Path, bytes_max: int) -> str:
    """UTF-8 where most lines that are not plain ASCII decode as it, else a guess from those that do not."""
    utf8, other, sample = 0, 0, bytearray()
    with open_unpacked(path, bytes_max) as stream, contextlib.suppress(*UNREADABLE):
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
