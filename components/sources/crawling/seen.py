"""The requests that a crawl has queued, in a file, so that many of them take no memory."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.dupefilters import BaseDupeFilter


class Seen(BaseDupeFilter):
    """Scrapy's filter of duplicates over an SQLite file in the folder of its queue; both live for one run.

    Past SEEN_MAX requests every further one counts as seen: endless links do not fill the disk.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.left = crawler.settings.getint("SEEN_MAX")
        self.database = sqlite3.connect(
            Path(crawler.settings["JOBDIR"]) / "seen.sqlite", isolation_level=None
        )
        self.database.execute("PRAGMA journal_mode=OFF")
        self.database.execute("CREATE TABLE seen (fingerprint BLOB PRIMARY KEY) WITHOUT ROWID")
        self.database.execute("BEGIN")  # and never committed: nobody reads the file after this run

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Seen:
        return cls(crawler)

    def request_seen(self, request: Request) -> bool:
        """Whether a request was queued before, or is one too many; if not, it is now."""
        if self.left <= 0:
            return True
        fingerprint = self.crawler.request_fingerprinter.fingerprint(request)  # type: ignore[union-attr]
        added = self.database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (fingerprint,)).rowcount
        self.left -= added
        return added == 0

    def log(self, request: Request, spider: Spider) -> None:
        """Duplicates are no news: the pages of a shop link to each other."""

    def close(self, reason: str) -> None:  # noqa: ARG002
        """Close the file."""
        self.database.close()
