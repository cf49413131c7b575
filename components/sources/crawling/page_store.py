"""The pages of a crawl on the disk, as they came: a killed crawl carries on, the next asks for changes.

A crawl is a round. A page is written before anything is read off it, in one transaction: a round that was
killed finds every page it had, and asks for the others only. The next round asks again for each, by the
validators that the server gave with it (`ETag`, `Last-Modified`; RFC 9110, section 13). No time is kept.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TABLES = """
CREATE TABLE IF NOT EXISTS page (
    url TEXT PRIMARY KEY, round INTEGER, status INTEGER, headers TEXT, body BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS round (number INTEGER PRIMARY KEY, finished INTEGER);
"""
KEPT_HEADERS = (
    "Content-Type",
    "ETag",
    "Last-Modified",
    "X-Robots-Tag",
    "TDM-Reservation",
    "TDM-Policy",
    "Location",
)


@dataclass(frozen=True)
class Page:
    """An answer of a server."""

    url: str
    round: int
    """Number of the last crawl that saw it, from 1."""
    status: int
    headers: dict[str, str]
    """Those of KEPT_HEADERS that it had; several of one name are joined by commas."""
    body: bytes


class Store:
    """A file of pages; `carry_on` or begin a round, put pages into it, `finish` it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.base = sqlite3.connect(path, isolation_level=None, timeout=60)
        self.base.execute("PRAGMA journal_mode=WAL")
        self.base.execute("PRAGMA synchronous=NORMAL")
        self.base.executescript(TABLES)
        self.round = self.base.execute("SELECT coalesce(max(number), 0) FROM round").fetchone()[0]

    def carry_on(self) -> int:
        """The number of the round that was not finished, or of a new one."""
        self.base.execute(
            "INSERT INTO round SELECT coalesce(max(number), 0) + 1, 0 FROM round "
            "HAVING coalesce(min(finished), 1) = 1"
        )
        self.round = self.base.execute("SELECT max(number) FROM round").fetchone()[0]
        return self.round

    def finish(self) -> None:
        """Say that this round has seen all there is: the next one begins anew."""
        self.base.execute("UPDATE round SET finished = 1")

    def put(self, url: str, status: int, headers: dict[str, str], body: bytes) -> None:
        """Keep what a server answered in this round."""
        row = (url, self.round, status, json.dumps(headers), zlib.compress(body, 1))
        self.base.execute("INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?, ?)", row)

    def confirm(self, url: str) -> None:
        """Say that a page is still as it was in an earlier round."""
        self.base.execute("UPDATE page SET round = ? WHERE url = ?", (self.round, url))

    def get(self, url: str) -> Page | None:
        """The page of an address, of this round or of an earlier one."""
        row = self.base.execute("SELECT * FROM page WHERE url = ?", (url,)).fetchone()
        return _page(row) if row else None

    def pages(self) -> Iterator[Page]:
        """The pages that this round saw, by address."""
        rows = self.base.execute("SELECT * FROM page WHERE round = ? ORDER BY url", (self.round,))
        return map(_page, rows)

    def close(self) -> None:
        """Let go of the file."""
        self.base.close()


def _page(row: tuple[str, int, int, str, bytes]) -> Page:
    url, number, status, headers, body = row
    return Page(url, number, status, json.loads(headers), zlib.decompress(body))
