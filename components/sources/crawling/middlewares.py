"""Scrapy middlewares that keep the crawler polite: robots.txt, allowed hosts, Retry-After, a cache of pages.

The throttle, the retries, the limits of size and time and the parser of robots.txt are Scrapy's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.extensions.throttle import AutoThrottle
from scrapy.http import Headers, Response
from scrapy.resolver import CachingThreadedResolver
from scrapy.responsetypes import responsetypes
from twisted.internet.error import DNSLookupError

from components.sources.crawling.addresses import host_of, is_private
from components.sources.crawling.page_store import KEPT_HEADERS, Page, PageStore

RETRY_AFTER_MAX = 30.0  # seconds: the longest wait that a server may ask for by Retry-After
CRAWL_DELAY_MAX = 60.0  # seconds: a shop that asks for more between two pages is not crawled
DISALLOW_ALL = b"User-agent: *\nDisallow: /"


class RobotsTxt(RobotsTxtMiddleware):
    """Obeys robots.txt and its Crawl-delay; one that cannot be fetched forbids all (RFC 9309, 2.3.1.4)."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.unreachable: dict[str, str] = {}
        """Host to the reason why its robots.txt could not be fetched."""

    async def _parse_robots(self, response: Response, netloc: str, request: Request) -> None:
        parser = self._parserimpl.from_crawler(self.crawler, response.body)
        delay = parser.crawl_delay(self._default_useragent) or 0.0
        if response.status >= 500 or delay > CRAWL_DELAY_MAX:
            response = response.replace(body=DISALLOW_ALL)
        elif response.status >= 400:
            response = response.replace(body=b"")
        else:
            self._slow_down(delay)
        await super()._parse_robots(response, netloc, request)

    def _slow_down(self, delay: float) -> None:
        throttle = self.crawler.get_extension(AutoThrottle)
        if delay and throttle:
            throttle.mindelay = max(throttle.mindelay, delay)
            throttle.maxdelay = max(throttle.maxdelay, delay)
            self.crawler.engine.downloader._delay = throttle.mindelay
            for slot in self.crawler.engine.downloader.slots.values():
                slot.delay = max(slot.delay, delay)

    def process_request_2(self, rp: Any, request: Request) -> None:
        """Raise IgnoreRequest where robots.txt forbids a request or could not be fetched."""
        if error := self.unreachable.get(urlsplit(request.url).netloc):
            raise IgnoreRequest(f"no robots.txt: {error}")
        super().process_request_2(rp, request)

    def _robots_error(self, exc: Exception, netloc: str) -> None:
        private = Resolver.refused.get(urlsplit(f"//{netloc}").hostname or "")
        self.unreachable[netloc] = private or " ".join(str(exc).split()) or type(exc).__name__
        waiting: Any = self._parsers[netloc]
        disallow_all = self._parserimpl.from_crawler(self.crawler, DISALLOW_ALL)
        self._parsers[netloc] = disallow_all
        waiting.callback(disallow_all)


class AllowedHosts:
    """Drops every request to another host than the allowed ones, after a redirect too."""

    def __init__(self, crawler: Crawler) -> None:
        self.hosts = set(crawler.settings.getlist("HOSTS"))
        self.stats = crawler.stats

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> AllowedHosts:
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        """Raise IgnoreRequest for a URL of another host or scheme."""
        if urlsplit(request.url).scheme not in ("http", "https") or host_of(request.url) not in self.hosts:
            self.stats.inc_value("allowed_hosts/outside")
            raise IgnoreRequest(f"outside: {request.url} is none of the allowed hosts")


class Resolver(CachingThreadedResolver):
    """Refuses to connect to a private address, by what the name resolves to for this connection.

    `refused` keeps the reason by host name, which Twisted drops; it is a class attribute because one process
    runs one crawl.
    """

    private: set[str]
    refused: ClassVar[dict[str, str]] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: Any) -> Resolver:
        resolver = super().from_crawler(crawler, reactor)
        resolver.private = set(crawler.settings.getlist("PRIVATE_HOSTS"))
        return resolver

    def getHostByName(self, name: str, timeout: Any = ()) -> Any:
        """The IPv4 address of a name, as a Deferred that fails where it is private and no seed names it."""
        return super().getHostByName(name, timeout).addCallback(self._checked, name)

    def _checked(self, address: str, name: str) -> str:
        if name not in self.private and is_private(address):
            reason = f"{name} is {address}, a private address; only a start address may be one"
            self.refused[name] = reason
            raise DNSLookupError(reason)  # any other error is logged at length
        return address


class RetryAfter:
    """Sends a host no request for as long as the Retry-After of its 429 or 503 says."""

    def __init__(self) -> None:
        self.until: dict[str, float] = {}

    async def process_request(self, request: Request) -> None:
        """Wait until the time that the host has named."""
        while (wait := self.until.get(host_of(request.url), 0.0) - time.monotonic()) > 0:
            await asyncio.sleep(wait)

    def process_response(self, request: Request, response: Response) -> Response:
        """Remember the time that a 429 or 503 names."""
        if response.status in (429, 503):
            written = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
            self.until[host_of(request.url)] = time.monotonic() + min(
                retry_after_seconds(written), RETRY_AFTER_MAX
            )
        return response


class PageCache:
    """Answers from the store what this round has fetched, revalidates older pages, stores every answer."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.store = PageStore(Path(crawler.settings["STORE"]))
        self.bytes_left = crawler.settings.getint("BYTES_MAX")
        self.parent_pid = os.getppid()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> PageCache:
        return cls(crawler)

    def process_request(self, request: Request) -> Response | None:
        """The stored page if this round fetched it; else make the request conditional on its validators."""
        page = self.store.get(request.url)
        if page and page.round == self.store.round:
            return to_response(page, request)
        for validator, condition in (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")):
            if page and validator in page.headers:
                request.headers[condition] = page.headers[validator]
        return None

    def process_response(self, request: Request, response: Response) -> Response:
        """Store the answer, unless it is a temporary one (408, 429, 5xx)."""
        if os.getppid() != self.parent_pid:  # the process that waits for this crawl is gone
            os.kill(os.getpid(), signal.SIGKILL)
        if "stored" in response.flags:
            return response
        page = self.store.get(request.url)
        if response.status == 304 and page:
            self.store.confirm(request.url)
            self.crawler.stats.inc_value("pricewright/not_modified")
            return to_response(page, request)
        if response.status < 500 and response.status not in (304, 408, 429):
            self.store.put(request.url, response.status, _headers(response), response.body)
        self.bytes_left -= len(response.body)
        if self.bytes_left < 0 and self.crawler.spider:
            self.crawler.engine.close_spider(self.crawler.spider, "bytes_max")
        return response


def to_response(page: Page, request: Request) -> Response:
    """A stored page as a Scrapy response."""
    headers = Headers(page.headers, encoding="latin-1")
    response_class = responsetypes.from_args(headers=headers, url=page.url, body=page.body)
    return response_class(page.url, page.status, headers, page.body, flags=["stored"], request=request)


def _headers(response: Response) -> dict[str, str]:
    lists = {name: response.headers.getlist(name) for name in KEPT_HEADERS}
    return {name: b", ".join(values).decode("latin-1") for name, values in lists.items() if values}


def retry_after_seconds(written: str) -> float:
    """Seconds to wait by a Retry-After header, a number or a date; 0 where it is neither."""
    with contextlib.suppress(ValueError):
        return max(float(written), 0.0)
    with contextlib.suppress(ValueError, TypeError):
        return max(parsedate_to_datetime(written).timestamp() - time.time(), 0.0)
    return 0.0
