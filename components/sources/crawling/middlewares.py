"""Scrapy middlewares that keep the crawler polite: robots.txt, allowed hosts, a cache of pages.

The throttle, the retries, the limits of size and time and the parser of robots.txt are Scrapy's own.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.extensions.throttle import AutoThrottle
from scrapy.http import Headers, Response, TextResponse
from scrapy.resolver import CachingThreadedResolver
from scrapy.responsetypes import responsetypes
from twisted.internet.error import DNSLookupError

from components.sources.block_list import BlockList
from components.sources.crawling.addresses import host_of, is_private
from components.sources.crawling.pace import DELAY_MAX, Pace
from components.sources.crawling.page_store import KEPT_HEADERS, Page, PageStore
from components.sources.crawling.site_terms import AI_TXT, ROBOTS, TDMREP, licences_of

DISALLOW_ALL = b"User-agent: *\nDisallow: /"


class RobotsTxt(RobotsTxtMiddleware):
    """Obeys robots.txt and its Crawl-delay (RFC 9309); where it cannot be fetched, nothing is requested.

    A 429 or 5xx defers the host: its rules are asked for again when the round is carried on.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.unreachable: dict[str, str] = {}
        """Host to the message of its requests, where robots.txt could not be fetched."""
        self.asked: dict[str, float] = {}
        """Host to the time when its robots.txt was asked for, seconds of the monotonic clock."""
        self.age_max = crawler.settings.getfloat("TERMS_AGE_MAX")

    async def robot_parser(self, request: Request) -> Any:
        """The rules of a host; those older than a day are asked for again (RFC 9309, 2.4)."""
        netloc = urlsplit(request.url).netloc
        now = time.monotonic()
        if now - self.asked.setdefault(netloc, now) > self.age_max:
            self.asked[netloc] = now
            self._parsers.pop(netloc, None)
            self.unreachable.pop(netloc, None)
        return await super().robot_parser(request)

    async def _parse_robots(self, response: Response, netloc: str, request: Request) -> None:
        parser = self._parserimpl.from_crawler(self.crawler, response.body)
        delay = parser.crawl_delay(self._default_useragent) or 0.0
        pace = self.crawler.get_downloader_middleware(Pace)
        if pace and (response.status == 429 or response.status >= 500):
            pace.defer(request.url, pace.wait_max)
            self.unreachable[netloc] = pace.left_alone[host_of(request.url)]
        if delay > DELAY_MAX:  # nor is a shop crawled that asks for more than that between two pages
            response = response.replace(body=DISALLOW_ALL)
        elif response.status >= 400:
            response = response.replace(body=b"")
        else:
            self._slow_down(delay)
        await super()._parse_robots(response, netloc, request)
        self._request_terms(response, request.url)

    def _request_terms(self, robots: Response, url: str) -> None:
        licences = licences_of(robots.text if isinstance(robots, TextResponse) else "", url)
        for document in (urljoin(url, TDMREP), urljoin(url, AI_TXT), *licences):
            self.crawler.engine.crawl(self.crawler.spider.request_terms(document))  # type: ignore[union-attr]

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
        if message := self.unreachable.get(urlsplit(request.url).netloc):
            raise IgnoreRequest(message)
        super().process_request_2(rp, request)

    def _robots_error(self, exc: Exception, netloc: str) -> None:
        private = Resolver.refused.get(urlsplit(f"//{netloc}").hostname or "")
        reason = private or " ".join(str(exc).split()) or type(exc).__name__
        self.unreachable[netloc] = reason if isinstance(exc, IgnoreRequest) else f"no robots.txt: {reason}"
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
        host = host_of(request.url)
        if urlsplit(request.url).scheme not in ("http", "https") or host not in self.hosts:
            self.stats.inc_value("allowed_hosts/outside")
            verb = "redirects to" if request.meta.get("redirect_urls") else "is"
            raise IgnoreRequest(f"outside: {verb} {request.url}; to crawl it add {host} to scrape.shop.hosts")


class Forgotten:
    """Drops every request for a page that was erased on request, after a redirect too."""

    def __init__(self, crawler: Crawler) -> None:
        self.blocked: BlockList = crawler.settings["BLOCKED"]

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Forgotten:
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        """Raise IgnoreRequest, by the label of the page, for a URL on the list."""
        if self.blocked.holds(request.url):
            raise IgnoreRequest(self.blocked.label(request.url))


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


class PageCache:
    """Answers from the store what this round has fetched, revalidates older pages, stores every answer."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.store = PageStore(Path(crawler.settings["STORE"]))
        self.bytes_left = crawler.settings.getint("BYTES_MAX")
        self.terms_age_max = crawler.settings.getfloat("TERMS_AGE_MAX")
        self.parent_pid = os.getppid()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> PageCache:
        return cls(crawler)

    def process_request(self, request: Request) -> Response | None:
        """The stored page if this round fetched it; else make the request conditional on its validators.

        Terms that are older than a day are asked for again.
        """
        page = self.store.get(request.url)
        current = not are_terms(request) or self.store.terms_age(request.url) < self.terms_age_max
        if page and page.round == self.store.round and current:
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
        if are_terms(request) and (response.status < 500 and response.status != 429):
            self.store.put_terms(request.url)
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


def are_terms(request: Request) -> bool:
    """Whether a request is for robots.txt or another document that states what may be crawled and used."""
    return bool(request.meta.get("terms")) or urlsplit(request.url).path == ROBOTS


def to_response(page: Page, request: Request) -> Response:
    """A stored page as a Scrapy response."""
    headers = Headers(page.headers, encoding="latin-1")
    response_class = responsetypes.from_args(headers=headers, url=page.url, body=page.body)
    return response_class(page.url, page.status, headers, page.body, flags=["stored"], request=request)


def _headers(response: Response) -> dict[str, str]:
    lists = {name: response.headers.getlist(name) for name in KEPT_HEADERS}
    return {name: b", ".join(values).decode("latin-1") for name, values in lists.items() if values}
