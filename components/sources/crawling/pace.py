"""The pace of a crawl, host by host: how long to wait for a busy host, and when to leave a host alone.

A 429 or 503 doubles the delay of its host, with or without a Retry-After, and Scrapy's AutoThrottle brings it
down again with every good answer. A wait that is longer than `wait_max` defers the host: nothing is requested
from it before its time, in this run or the next, and the round stays open until then.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from email.utils import parsedate_to_datetime
from pathlib import Path

from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import DownloadCancelledError, IgnoreRequest
from scrapy.http import Response

from components.sources.crawling.addresses import host_of
from components.sources.crawling.job import DEFERRED
from components.sources.crawling.page_store import PageStore

DENIALS = (401, 403, 407, 451)
BUSY = (429, 503)
SLOWED_FIRST = 0.25  # seconds: the delay of a host that had none, after its first 429 or 503
DELAY_MAX = 60.0  # seconds between two requests to a host, at most


class Pace:
    """Slows down, defers or gives up a host by what it answers."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.store = PageStore(Path(crawler.settings["STORE"]))
        self.wait_max = crawler.settings.getfloat("WAIT_MAX")
        self.refusals_max = crawler.settings.getint("REFUSALS_MAX")
        self.refusals: Counter[str] = Counter()
        """Answers in a row that refused, by host."""
        self.left_alone: dict[str, str] = {}
        """Host to the message of the requests that it does not get."""
        for host, until in self.store.deferrals().items():
            self._defer_until(host, until)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Pace:
        pace = cls(crawler)
        crawler.signals.connect(pace.answered, signal=signals.response_downloaded)
        return pace

    def process_request(self, request: Request) -> None:
        """Raise IgnoreRequest for a host that is left alone."""
        if message := self.left_alone.get(host_of(request.url)):
            raise IgnoreRequest(message)

    def process_exception(self, request: Request, exception: Exception) -> None:
        """Count a request without an answer as a refusal."""
        if not isinstance(exception, IgnoreRequest | DownloadCancelledError):
            self._refused(request, f"no answer: {' '.join(str(exception).split())}", denied=False)

    def answered(self, response: Response, request: Request) -> None:
        """Take note of an answer before the downloader sends the next request to its host."""
        host = host_of(request.url)
        if response.status in BUSY:
            written = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
            self._wait(request, retry_after_seconds(written))
        if response.status in (*DENIALS, 429) or response.status >= 500:
            self._refused(request, f"the server answers {response.status}", response.status in DENIALS)
        else:
            self.refusals[host] = 0

    def defer(self, url: str, seconds: float) -> None:
        """Request nothing from the host of `url` for so many seconds, and drop what waits for it."""
        host, until = host_of(url), time.time() + seconds
        self.store.defer(host, until)
        self._defer_until(host, until)
        self._drop_waiting(host)

    def _defer_until(self, host: str, until: float) -> None:
        self.left_alone[host] = f"deferred: {host} is busy"
        if self.crawler.stats:
            self.crawler.stats.set_value(DEFERRED + host, until)

    def _wait(self, request: Request, seconds: float) -> None:
        slot = self.crawler.engine.downloader.slots.get(request.meta.get("download_slot", ""))
        if seconds > self.wait_max:
            self.defer(request.url, seconds)
        elif slot:
            slot.delay = max(slot.delay, min(max(2 * slot.delay, SLOWED_FIRST), DELAY_MAX))
            slot.lastseen = max(slot.lastseen, time.monotonic() + seconds)  # the next one comes after that

    def _refused(self, request: Request, reason: str, denied: bool) -> None:
        host = host_of(request.url)
        self.refusals[host] += 1
        if self.refusals[host] < self.refusals_max or host in self.left_alone:
            return
        if denied:
            self.left_alone[host] = f"refused: left alone after {self.refusals_max} refusals, {reason}"
            self._drop_waiting(host)
        else:
            self.defer(request.url, self.wait_max)

    def _drop_waiting(self, host: str) -> None:
        for slot in self.crawler.engine.downloader.slots.values():
            for request, waiting in list(slot.queue):
                if host_of(request.url) == host:
                    slot.queue.remove((request, waiting))
                    waiting.errback(IgnoreRequest(self.left_alone[host]))


def retry_after_seconds(written: str) -> float:
    """Seconds to wait by a Retry-After header, a number or a date; 0 where it is neither."""
    with contextlib.suppress(ValueError):
        return max(float(written), 0.0)
    with contextlib.suppress(ValueError, TypeError):
        return max(parsedate_to_datetime(written).timestamp() - time.time(), 0.0)
    return 0.0
