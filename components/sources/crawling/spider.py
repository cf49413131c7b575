"""The crawling process: Scrapy with the middlewares of this project, from an order on its input to a store.

python -m components.sources.crawling.spider pages.sqlite < order.json
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from scrapy import Request
from scrapy.crawler import CrawlerProcess
from scrapy.downloadermiddlewares.httpcompression import HttpCompressionMiddleware
from scrapy.downloadermiddlewares.offsite import OffsiteMiddleware
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import DownloadCancelledError, IgnoreRequest
from scrapy.http import HtmlResponse, Response
from scrapy.spidermiddlewares.httperror import HttpError
from scrapy.spiders import SitemapSpider
from tqdm import tqdm

from components.sources.crawling.addresses import host_of, resolves_privately
from components.sources.crawling.middlewares import Fence, Keep, Resolver, RetryAfter, Robots
from components.sources.crawling.opt_out import TDMREP, directives
from components.sources.crawling.order import CAPS, Failure, Order
from components.sources.crawling.page_store import Store

CHATTY = ("scrapy.core.downloader.handlers.http11", "scrapy.downloadermiddlewares.robotstxt")
"""They log at length what becomes a line of the report."""
LINK_CHARACTERS = 1000  # a longer address is one of a loop that writes itself longer
KNOWN_PER_PAGE = 50  # times pages_max: addresses that are remembered
REFUSALS = {
    "Forbidden by robots.txt": "robots",
    "no robots.txt": "no_answer",
    "outside": "outside",
    "max redirections": "loop",
}
"""How a middleware begins to say why it does not ask, and what that is called."""


class ShopSpider(SitemapSpider):
    """Follows sitemaps and links; product pages go first, so that no endless list of pages starves them."""

    name = "shop"

    def __init__(self, order: Order, **arguments: Any) -> None:
        self.order = order
        self.products = re.compile(order.products)
        roots = dict.fromkeys(urljoin(url, "/") for url in order.start)
        self.sitemap_urls = [*(f"{root}robots.txt" for root in roots), *order.sitemaps]
        self.known = set(order.first)
        self.failures: list[Failure] = []
        self.bar = tqdm(desc="crawl", unit=" pages", mininterval=0.5)
        super().__init__(**arguments)

    async def start(self) -> AsyncIterator[Any]:
        """The reservations of each host, the addresses that were named, then the sitemaps."""
        for url in dict.fromkeys(urljoin(url, TDMREP) for url in self.order.first):
            yield Request(url, self.ignore, errback=self.ignore, priority=3)
        for url in self.order.start:
            yield self._request(url)
        for url in self.order.pages:
            yield self._request(url, self.parse_alone)
        async for request in super().start():
            yield request.replace(errback=self.failed, priority=2)

    def ignore(self, *_: object) -> None:
        """What comes is in the store, or does not matter."""

    def _parse_sitemap(self, response: Response) -> Iterator[Request]:
        for request in super()._parse_sitemap(response):
            if request.callback == self._parse_sitemap:
                yield request.replace(errback=self.failed, priority=2)
            elif len(self.known) < self.order.pages_max * KNOWN_PER_PAGE:
                self.known.add(request.url)
                yield self._request(request.url, self.parse if self.order.start else self.parse_alone)

    def parse_alone(self, response: Response) -> None:
        """A page whose links are not followed."""
        if isinstance(response, HtmlResponse):
            self.crawler.stats.inc_value("pricewright/pages")
        else:
            self._fail(response.url, "status", "not a page of HTML")
        self.known.add(response.url)
        self.bar.total = len(self.known)
        self.bar.update()

    def parse(self, response: Response) -> Iterator[Request]:  # type: ignore[override]
        """A page whose links are followed."""
        self.parse_alone(response)
        if not isinstance(response, HtmlResponse) or "nofollow" in directives(None, _plain(response)):
            return
        links = {urldefrag(urljoin(response.url, href))[0] for href in _hrefs(response)}
        own_links = {link for link in links if host_of(link) in self.order.hosts}
        for link in sorted(own_links - self.known):
            if len(link) < LINK_CHARACTERS and len(self.known) < self.order.pages_max * KNOWN_PER_PAGE:
                self.known.add(link)
                yield self._request(link)

    def _request(self, url: str, callback: Any = None) -> Request:
        return Request(url, callback or self.parse, errback=self.failed, priority=self._is_product(url))

    def _is_product(self, url: str) -> bool:
        return bool(self.products.search(url))

    def failed(self, failure: Any) -> None:
        """An address that gave no page."""
        rule, reason = self._explain(failure.value)
        self.crawler.stats.inc_value("pricewright/not_found", int(rule == "not_found"))
        request = failure.request
        self._fail(request.meta.get("redirect_urls", [request.url])[0], rule, reason)

    def _explain(self, error: Exception) -> tuple[str, str]:
        message = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, HttpError):
            status = error.response.status
            return "not_found" if status in (404, 410) else "status", f"the server answers {status}"
        for starts, rule in REFUSALS.items():
            if isinstance(error, IgnoreRequest) and message.startswith(starts):
                return rule, message
        if isinstance(error, IgnoreRequest | DownloadCancelledError):
            return "too_large", f"more than page_bytes_max, {self.order.page_bytes_max} bytes: {message}"
        return "no_answer", message

    def _fail(self, url: str, rule: str, reason: str) -> None:
        if url in self.order.first or self._is_product(url):
            self.failures.append(Failure(url, rule, reason[:300]))

    def closed(self, reason: str) -> None:  # noqa: ARG002
        """Leave the last state of the bar on the screen."""
        self.bar.close()


def _hrefs(response: HtmlResponse) -> Iterator[str]:
    for href in response.xpath("//a/@href").getall():
        try:
            urlsplit(urljoin(response.url, href))
        except ValueError:
            continue
        yield href


def _plain(response: HtmlResponse) -> dict[str, str]:
    """The robots directives of a page as of one header."""
    tags = ", ".join(response.xpath("//meta[@name='robots']/@content").getall())
    header = (response.headers.get("X-Robots-Tag") or b"").decode("latin-1")
    return {"X-Robots-Tag": ", ".join(filter(None, (header, tags)))}


def settings(order: Order, store: Path) -> dict[str, Any]:
    """Scrapy's settings, where they differ from its defaults."""
    hosts = len(order.hosts)
    return {
        "USER_AGENT": order.agent,
        "ROBOTSTXT_OBEY": True,
        "CONCURRENT_REQUESTS": order.concurrency * hosts,
        "CONCURRENT_REQUESTS_PER_DOMAIN": order.concurrency,
        "DOWNLOAD_DELAY": order.delay,
        "RANDOMIZE_DOWNLOAD_DELAY": False,
        "AUTOTHROTTLE_ENABLED": order.delay > 0,
        "AUTOTHROTTLE_START_DELAY": order.delay,
        "AUTOTHROTTLE_TARGET_CONCURRENCY": order.concurrency,
        "CLOSESPIDER_PAGECOUNT": order.pages_max,
        "BYTES_MAX": order.bytes_max,
        "DOWNLOAD_MAXSIZE": order.page_bytes_max,
        "DOWNLOAD_TIMEOUT": order.page_seconds_max,
        "RETRY_TIMES": order.retries,
        "RETRY_GIVE_UP_LOG_LEVEL": "WARNING",
        "DOWNLOADER_MIDDLEWARES": {
            OffsiteMiddleware: None,  # takes subdomains, and any port
            RobotsTxtMiddleware: None,
            Fence: 50,
            Robots: 100,
            RetryAfter: 560,  # nearer to the network than the retries, at 550
            HttpCompressionMiddleware: 800,
            Keep: 780,  # sees redirects, at 600, and plain bodies
        },
        "HOSTS": order.hosts,
        "PRIVATE_HOSTS": _private_hosts(order),
        "STORE": str(store),
        "TWISTED_DNS_RESOLVER": Resolver,
        "COOKIES_ENABLED": False,
        "HTTPPROXY_ENABLED": False,  # a proxy from the environment does not reach loopback
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "ERROR",
    }


def _private_hosts(order: Order) -> list[str]:
    """Hosts of the start addresses that are private already now: who names them wants them."""
    names = {urlsplit(url).hostname or "" for url in order.first}
    return sorted(name for name in names if resolves_privately(name))


def main() -> None:
    """The crawling process: the order on its input; the store, and beside it a file of what happened."""
    store = Path(sys.argv[1])
    order = Order(**json.loads(sys.stdin.read()))
    pages = Store(store)
    pages.carry_on()
    process = CrawlerProcess(settings(order, store))
    for name in CHATTY:  # after Scrapy has set all of its loggers anew
        logging.getLogger(name).setLevel(logging.CRITICAL)
    crawler = process.create_crawler(ShopSpider)
    process.crawl(crawler, order=order)
    process.start()
    stats = crawler.stats.get_stats() if crawler.stats else {}
    if stats.get("finish_reason") in ("finished", *CAPS):
        pages.finish()
    failures = getattr(crawler.spider, "failures", [])
    text = json.dumps({"stats": stats, "failures": failures}, default=str)
    store.with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
