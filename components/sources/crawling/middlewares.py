"""How the crawler behaves, as parts of Scrapy: robots.txt, the fence, waiting, and the store of pages.

Scrapy brings the throttle, the retries, the limits of size and time, and the parser of robots.txt.
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
from components.sources.crawling.page_store import KEPT_HEADERS, Page, Store

PATIENCE = 30.0  # seconds: the longest wait that a server may ask for by Retry-After
CRAWL_DELAY_MAX = 60.0  # seconds: a shop that asks for more between two pages is not crawled
NOBODY = b"User-agent: *\nDisallow: /"


class Robots(RobotsTxtMiddleware):
    """robots.txt with its Crawl-delay; one that cannot be had forbids everything (RFC 9309, 2.3.1.4)."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.lost: dict[str, str] = {}
        """Why there is none, by host."""

    async def _parse_robots(self, response: Response, netloc: str, request: Request) -> None:
        parser = self._parserimpl.from_crawler(self.crawler, response.body)
        delay = parser.crawl_delay(self._default_useragent) or 0.0
        if response.status >= 500 or delay > CRAWL_DELAY_MAX:
            response = response.replace(body=NOBODY)
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
        """Raise IgnoreRequest where robots.txt forbids a request, or could not be had."""
        if error := self.lost.get(urlsplit(request.url).netloc):
            raise IgnoreRequest(f"no robots.txt: {error}")
        super().process_request_2(rp, request)

    def _robots_error(self, exc: Exception, netloc: str) -> None:
        private = Resolver.refused.get(urlsplit(f"//{netloc}").hostname or "")
        self.lost[netloc] = private or " ".join(str(exc).split()) or type(exc).__name__
        waiting: Any = self._parsers[netloc]
        nobody = self._parserimpl.from_crawler(self.crawler, NOBODY)
        self._parsers[netloc] = nobody
        waiting.callback(nobody)


class Fence:
    """Lets no request out of the allowed hosts, redirected ones included."""

    def __init__(self, crawler: Crawler) -> None:
        self.hosts = set(crawler.settings.getlist("HOSTS"))
        self.stats = crawler.stats

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Fence:
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        """Raise IgnoreRequest for an address outside."""
        if urlsplit(request.url).scheme not in ("http", "https") or host_of(request.url) not in self.hosts:
            self.stats.inc_value("fence/outside")
            raise IgnoreRequest(f"outside: {request.url} is none of the allowed hosts")


class Resolver(CachingThreadedResolver):
    """Refuses private addresses by what a name resolves to at the moment of the connection, and keeps why,
    for Twisted drops the reason. One process is one crawl.
    """

    private: set[str]
    refused: ClassVar[dict[str, str]] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: Any) -> Resolver:
        resolver = super().from_crawler(crawler, reactor)
        resolver.private = set(crawler.settings.getlist("PRIVATE_HOSTS"))
        return resolver

    def getHostByName(self, name: str, timeout: Any = ()) -> Any:
        """The IPv4 address of a name, as a Deferred that fails where it is private and may not be."""
        return super().getHostByName(name, timeout).addCallback(self._checked, name)

    def _checked(self, address: str, name: str) -> str:
        if name not in self.private and is_private(address):
            reason = f"{name} is {address}, a private address; only a start address may be one"
            self.refused[name] = reason
            raise DNSLookupError(reason)  # any other error is logged at length
        return address


class RetryAfter:
    """Asks a host nothing for as long as its 429 or 503 asks for, in seconds or as a date."""

    def __init__(self) -> None:
        self.until: dict[str, float] = {}

    async def process_request(self, request: Request) -> None:
        """Wait until the host wants to be asked again."""
        while (wait := self.until.get(host_of(request.url), 0.0) - time.monotonic()) > 0:
            await asyncio.sleep(wait)

    def process_response(self, request: Request, response: Response) -> Response:
        """Note when the host wants to be asked again."""
        if response.status in (429, 503):
            written = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
            self.until[host_of(request.url)] = time.monotonic() + min(seconds(written), PATIENCE)
        return response


class Keep:
    """Answers from the store what this round has seen, asks the rest for changes, keeps what comes."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.store = Store(Path(crawler.settings["STORE"]))
        self.left = crawler.settings.getint("BYTES_MAX")
        self.parent = os.getppid()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Keep:
        return cls(crawler)

    def process_request(self, request: Request) -> Response | None:
        """The kept page, where it is of this round; else put its validators on the request."""
        page = self.store.get(request.url)
        if page and page.round == self.store.round:
            return answer(page, request)
        for validator, condition in (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")):
            if page and validator in page.headers:
                request.headers[condition] = page.headers[validator]
        return None

    def process_response(self, request: Request, response: Response) -> Response:
        """Keep the answer, unless the server is busy or broken and may answer otherwise the next time."""
        if os.getppid() != self.parent:  # whoever waits for this crawl is gone: so is its reason
            os.kill(os.getpid(), signal.SIGKILL)
        if "kept" in response.flags:
            return response
        page = self.store.get(request.url)
        if response.status == 304 and page:
            self.store.confirm(request.url)
            self.crawler.stats.inc_value("pricewright/not_modified")
            return answer(page, request)
        if response.status < 500 and response.status not in (304, 408, 429):
            self.store.put(request.url, response.status, _headers(response), response.body)
        self.left -= len(response.body)
        if self.left < 0 and self.crawler.spider:
            self.crawler.engine.close_spider(self.crawler.spider, "bytes_max")
        return response


def answer(page: Page, request: Request) -> Response:
    """A kept page as Scrapy's response."""
    headers = Headers(page.headers, encoding="latin-1")
    response_class = responsetypes.from_args(headers=headers, url=page.url, body=page.body)
    return response_class(page.url, page.status, headers, page.body, flags=["kept"], request=request)


def _headers(response: Response) -> dict[str, str]:
    lists = {name: response.headers.getlist(name) for name in KEPT_HEADERS}
    return {name: b", ".join(values).decode("latin-1") for name, values in lists.items() if values}


def seconds(written: str) -> float:
    """The seconds of a Retry-After header; 0 for one that is neither a number nor a date."""
    with contextlib.suppress(ValueError):
        return max(float(written), 0.0)
    with contextlib.suppress(ValueError, TypeError):
        return max(parsedate_to_datetime(written).timestamp() - time.time(), 0.0)
    return 0.0
