"""Opens files that may be compressed, up to a limit of what they unpack to."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from components.core.errors import PricewrightError

OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": lambda path, _: pa.input_stream(str(path), compression="zstd"),
}
"""By the last suffix of a file."""
BUFFER = 2**16


def open_unpacked(path: Path, bytes_max: int) -> IO[bytes]:
    """The bytes of a file, unpacked where its suffix says that it is compressed.

    Reading beyond `bytes_max` of a compressed file raises PricewrightError: a few kilobytes may unpack to
    more than any disk holds.
    """
    if path.suffix not in OPENERS:
        return path.open("rb")
    packed = OPENERS[path.suffix](path, "rb")
    return io.BufferedReader(_Limited(packed, path, bytes_max), BUFFER)


def require_unpacked(path: Path, unpacked: int, bytes_max: int) -> None:
    """Raises PricewrightError where so many bytes of a compressed file are more than allowed."""
    if unpacked > bytes_max:
        raise PricewrightError(
            f"{path}: unpacks to more than {bytes_max:,} bytes: split it, or, where you trust it, raise "
            "scrape.files.unpacked_bytes_max"
        )


class _Limited(io.RawIOBase):
    """A stream that counts what is read from it."""

    def __init__(self, stream: Any, path: Path, bytes_max: int) -> None:
        self._stream, self._path, self._bytes_max = stream, path, bytes_max
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._stream.read1(len(buffer))  # what comes before a break is not lost
        self._read += len(chunk)
        require_unpacked(self._path, self._read, self._bytes_max)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._stream.close()
        super().close()
