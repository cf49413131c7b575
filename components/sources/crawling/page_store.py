"""The pages of a crawl as they were received, in an SQLite file: a killed crawl resumes, a later one updates.

One crawl of a shop is a round. Each page is written in a transaction of its own before anything is extracted
from it, so a round that was killed resumes with the pages that are missing. The next round revalidates every
page by the validators that came with it (`ETag`, `Last-Modified`; RFC 9110, section 13).
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from components.sources.crawling.job import Failure

TABLES = """
CREATE TABLE IF NOT EXISTS page (
    url TEXT PRIMARY KEY, round INTEGER, status INTEGER, headers TEXT, body BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS round (number INTEGER PRIMARY KEY, finished INTEGER);
CREATE TABLE IF NOT EXISTS terms (url TEXT PRIMARY KEY, time REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failure (url TEXT PRIMARY KEY, rule TEXT, reason TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deferral (host TEXT PRIMARY KEY, until REAL) WITHOUT ROWID;
"""
KEPT_HEADERS = (
    "Content-Type",
    "ETag",
    "Last-Modified",
    "X-Robots-Tag",
    "TDM-Reservation",
    "TDM-Policy",
    "Content-Usage",
    "Link",
    "Location",
)


@dataclass(frozen=True)
class Page:
    """An answer of a server."""

    url: str
    round: int
    """Number of the last round that fetched or confirmed it, from 1."""
    status: int
    headers: dict[str, str]
    """The headers of KEPT_HEADERS that came with it; repeated ones are joined by commas."""
    body: bytes


class PageStore:
    """A file of pages: `begin_round()`, then `put()` and `confirm()` pages, then `finish()` the round."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.database = sqlite3.connect(path, isolation_level=None, timeout=60)
        self.database.execute("PRAGMA journal_mode=WAL")
        self.database.execute("PRAGMA synchronous=NORMAL")
        self.database.executescript(TABLES)
        self.round = self.database.execute("SELECT coalesce(max(number), 0) FROM round").fetchone()[0]

    def begin_round(self) -> int:
        """Resume the round that was not finished, or begin a new one; its number. Forgets the failures."""
        self.database.execute("DELETE FROM failure")
        self.database.execute(
            "INSERT INTO round SELECT coalesce(max(number), 0) + 1, 0 FROM round "
            "HAVING coalesce(min(finished), 1) = 1"
        )
        self.round = self.database.execute("SELECT max(number) FROM round").fetchone()[0]
        return self.round

    def finish(self) -> None:
        """Mark this round as complete: the next one is a new round."""
        self.database.execute("UPDATE round SET finished = 1")

    def put(self, url: str, status: int, headers: dict[str, str], body: bytes) -> None:
        """Store an answer of this round."""
        row = (url, self.round, status, json.dumps(headers), zlib.compress(body, 1))
        self.database.execute("INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?, ?)", row)

    def confirm(self, url: str) -> None:
        """Count a page of an earlier round, unchanged since, to this round."""
        self.database.execute("UPDATE page SET round = ? WHERE url = ?", (self.round, url))

    def get(self, url: str) -> Page | None:
        """The page of a URL, from this round or an earlier one; None where there is none."""
        row = self.database.execute("SELECT * FROM page WHERE url = ?", (url,)).fetchone()
        return _page(row) if row else None

    def pages(self) -> Iterator[Page]:
        """The pages of this round, sorted by URL."""
        rows = self.database.execute("SELECT * FROM page WHERE round = ? ORDER BY url", (self.round,))
        return map(_page, rows)

    def all_pages(self) -> Iterator[Page]:
        """The pages of all rounds, sorted by URL."""
        return map(_page, self.database.execute("SELECT * FROM page ORDER BY url"))

    def erase(self, urls: Iterable[str]) -> None:
        """Remove all that is stored of some URLs, from the bytes of the file too."""
        self.database.execute("PRAGMA secure_delete=ON")
        for table in ("page", "failure", "terms"):
            self.database.executemany(f"DELETE FROM {table} WHERE url = ?", [(url,) for url in urls])  # noqa: S608
        self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def put_failure(self, failure: Failure) -> None:
        """Note a URL that gave no page in this run."""
        self.database.execute("INSERT OR REPLACE INTO failure VALUES (?, ?, ?)", failure)

    def failures(self) -> Iterator[Failure]:
        """The URLs that gave no page in the last run, sorted."""
        rows = self.database.execute("SELECT url, rule, reason FROM failure ORDER BY url")
        return (Failure(*row) for row in rows)

    def put_terms(self, url: str) -> None:
        """Note that the terms at `url`, robots.txt or one of its relatives, have been asked for now."""
        self.database.execute("INSERT OR REPLACE INTO terms VALUES (?, ?)", (url, time.time()))

    def terms(self) -> dict[str, float]:
        """URLs of all terms, and the time when each was last asked for, seconds since 1970."""
        return dict(self.database.execute("SELECT url, time FROM terms ORDER BY url").fetchall())

    def terms_age(self, url: str) -> float:
        """Seconds since the terms at `url` were asked for; infinite where they never were."""
        row = self.database.execute("SELECT time FROM terms WHERE url = ?", (url,)).fetchone()
        return time.time() - row[0] if row else math.inf

    def defer(self, host: str, until: float) -> None:
        """Note that a host gets no request before `until`, seconds since 1970."""
        self.database.execute("INSERT OR REPLACE INTO deferral VALUES (?, ?)", (host, until))

    def deferrals(self) -> dict[str, float]:
        """The hosts that get no request now, and the time until then, seconds since 1970."""
        rows = self.database.execute("SELECT host, until FROM deferral WHERE until > ?", (time.time(),))
        return dict(rows.fetchall())

    def close(self) -> None:
        """Close the file."""
        self.database.close()


@dataclass(frozen=True)
class Failures:
    """The failures of the last crawl into a store, sorted by URL, read from its file."""

    path: Path

    def __iter__(self) -> Iterator[Failure]:
        store = PageStore(self.path)
        try:
            yield from store.failures()
        finally:
            store.close()


def _page(row: tuple[str, int, int, str, bytes]) -> Page:
    url, number, status, headers, body = row
    return Page(url, number, status, json.loads(headers), zlib.decompress(body))
