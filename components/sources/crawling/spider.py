"""The process that crawls: Scrapy with the middlewares of this project. `crawl()` starts it.

Reads a CrawlJob as JSON from its input; writes pages and failures to a store and, beside it, a JSON file with
Scrapy's statistics. What is queued, and what was, lies on the disk.

    python -m components.sources.crawling.spider pages.sqlite < job.json
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from scrapy import Request
from scrapy.crawler import CrawlerProcess
from scrapy.downloadermiddlewares.httpcompression import HttpCompressionMiddleware
from scrapy.downloadermiddlewares.offsite import OffsiteMiddleware
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import DownloadCancelledError, IgnoreRequest
from scrapy.http import HtmlResponse, Response
from scrapy.spidermiddlewares.httperror import HttpError
from scrapy.spiders import SitemapSpider
from scrapy.utils.response import get_base_url
from tqdm import tqdm

from components.sources.block_list import REASON, RULE
from components.sources.crawling.addresses import host_of, resolves_privately, without_session
from components.sources.crawling.job import CAPS, DEFERRED, CrawlJob, Failure
from components.sources.crawling.middlewares import AllowedHosts, Forgotten, PageCache, Resolver, RobotsTxt
from components.sources.crawling.opt_out import directives, linked_licences
from components.sources.crawling.pace import DELAY_MAX, Pace
from components.sources.crawling.page_store import PageStore
from components.sources.crawling.seen import Seen

CHATTY = ("scrapy.core.downloader.handlers.http11", "scrapy.downloadermiddlewares.robotstxt")
"""Loggers of errors that the report names in a line each."""
LINK_CHARACTERS = 1000  # a longer URL comes from a loop of relative links
SEEN_PER_PAGE = 50  # times pages_max: URLs that are queued, so that endless links do not fill the disk
ACTIVE_BYTES = 2**20  # of answers read at a time: each sitemap among them lists thousands of addresses
REL = "concat(' ', normalize-space(translate(@rel, 'NOFLW,', 'noflw ')), ' ')"
FOLLOWED = f"//a[not(contains({REL}, ' nofollow '))]/@href"
REFUSALS = {
    "Forbidden by robots.txt": "robots",
    "no robots.txt": "no_answer",
    "outside": "outside",
    "refused": "refused",
    "max redirections": "loop",
}
"""How the message of an ignored request begins, and the rule of the reject."""


class ShopSpider(SitemapSpider):
    """Follows sitemaps and links, product pages first, so that endless pagination cannot crowd them out."""

    name = "shop"

    def __init__(self, job: CrawlJob, store: Path, **arguments: Any) -> None:
        self.job = job
        self.products = re.compile(job.products)
        roots = dict.fromkeys(urljoin(url, "/") for url in job.start)
        self.sitemap_urls = [*(f"{root}robots.txt" for root in roots), *job.sitemaps]
        self.store = PageStore(store)
        self.bar = tqdm(desc="crawl", unit=" pages", mininterval=0.5)
        super().__init__(**arguments)

    async def start(self) -> AsyncIterator[Any]:
        """The seeds, then the sitemaps."""
        for url in self.job.start:
            yield self._request(url)
        for url in self.job.pages:
            yield self._request(url, self.parse_alone)
        async for request in super().start():
            yield request.replace(errback=self.failed, priority=2)

    def request_terms(self, url: str) -> Request:
        """The request for a document that states what may be used; it is asked for again when it is old."""
        return Request(
            url, self.ignore, errback=self.ignore, priority=3, meta={"terms": True}, dont_filter=True
        )

    def ignore(self, *_: object) -> None:
        """Nothing to do: the answer is in the store, and its absence is no failure."""

    def _parse_sitemap(self, response: Response) -> Iterator[Request]:
        for request in super()._parse_sitemap(response):
            if request.callback == self._parse_sitemap:
                yield request.replace(errback=self.failed, priority=2)
            else:
                yield self._request(request.url, self.parse if self.job.start else self.parse_alone)

    def parse_alone(self, response: Response) -> Iterator[Request]:
        """Count a page whose links are not followed, but for those to its licences."""
        if isinstance(response, HtmlResponse):
            self.crawler.stats.inc_value("pricewright/pages")
        else:
            self._fail(response.url, "status", "not a page of HTML")
        self.bar.total = self.crawler.stats.get_value("scheduler/enqueued")
        self.bar.update()
        for licence in _licences(response):
            yield self.request_terms(licence).replace(dont_filter=False)

    def parse(self, response: Response) -> Iterator[Request]:  # type: ignore[override]
        """Count a page and follow its links."""
        yield from self.parse_alone(response)
        if not isinstance(response, HtmlResponse) or "nofollow" in directives(None, _robots_header(response)):
            return
        for link in sorted(set(_links(response))):
            if len(link) < LINK_CHARACTERS and host_of(link) in self.job.hosts:
                yield self._request(link)

    def _request(self, url: str, callback: Any = None) -> Request:
        return Request(url, callback or self.parse, errback=self.failed, priority=self._is_product(url))

    def _is_product(self, url: str) -> bool:
        return bool(self.products.search(url))

    def failed(self, failure: Any) -> None:
        """Record the reason why a URL gave no page; the URLs of a deferred host are yet to be requested."""
        rule, reason = self._explain(failure.value)
        if rule == "deferred":
            return
        if rule == RULE:
            self.store.put_failure(Failure(reason, rule, REASON))
            return
        self.crawler.stats.inc_value("pricewright/not_found", int(rule == "not_found"))
        request = failure.request
        self._fail(request.meta.get("redirect_urls", [request.url])[0], rule, reason)

    def _explain(self, error: Exception) -> tuple[str, str]:
        message = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, HttpError):
            status = error.response.status
            return "not_found" if status in (404, 410) else "status", f"the server answers {status}"
        if isinstance(error, IgnoreRequest) and message.startswith(RULE):
            return RULE, message
        for beginning, rule in REFUSALS.items():
            if isinstance(error, IgnoreRequest) and message.startswith(beginning):
                return rule, message
        if isinstance(error, IgnoreRequest) and message.startswith("deferred"):
            return "deferred", message
        if isinstance(error, IgnoreRequest | DownloadCancelledError):
            return "too_large", f"more than page_bytes_max, {self.job.page_bytes_max} bytes: {message}"
        return "no_answer", message

    def _fail(self, url: str, rule: str, reason: str) -> None:
        if url in self.job.seeds or self._is_product(url):
            self.store.put_failure(Failure(url, rule, reason[:300]))

    def closed(self, reason: str) -> None:  # noqa: ARG002
        """Leave the progress bar on the screen."""
        self.bar.close()
        self.store.close()


def _links(response: HtmlResponse) -> Iterator[str]:
    """URLs that a page links to, by its `<base href>` where it has one, without what tells visitors apart."""
    base = get_base_url(response)
    for href in response.xpath(FOLLOWED).getall():
        try:
            yield without_session(urljoin(base, href))
        except ValueError:  # no URL
            continue


def _licences(response: Response) -> list[str]:
    """URLs of the RSL licences that a page links to."""
    header = b", ".join(response.headers.getlist("Link")).decode("latin-1")
    tree = response.selector.root if isinstance(response, HtmlResponse) else None
    return linked_licences(tree, {"Link": header}, response.url)


def _robots_header(response: HtmlResponse) -> dict[str, str]:
    """The robots directives of a page, its meta tags included, as one X-Robots-Tag header."""
    tags = ", ".join(response.xpath("//meta[@name='robots']/@content").getall())
    header = (response.headers.get("X-Robots-Tag") or b"").decode("latin-1")
    return {"X-Robots-Tag": ", ".join(filter(None, (header, tags)))}


def settings(job: CrawlJob, store: Path) -> dict[str, Any]:
    """Scrapy's settings, where they differ from its defaults."""
    hosts = len(job.hosts)
    return {
        "USER_AGENT": job.agent,
        "ROBOTSTXT_OBEY": True,
        "CONCURRENT_REQUESTS": job.concurrency * hosts,
        "CONCURRENT_REQUESTS_PER_DOMAIN": job.concurrency,
        "DOWNLOAD_DELAY": job.delay,
        "RANDOMIZE_DOWNLOAD_DELAY": False,
        "AUTOTHROTTLE_ENABLED": True,
        "AUTOTHROTTLE_START_DELAY": job.delay,
        "AUTOTHROTTLE_MAX_DELAY": max(job.delay, DELAY_MAX),
        "AUTOTHROTTLE_TARGET_CONCURRENCY": job.concurrency,
        "CLOSESPIDER_PAGECOUNT": job.pages_max,
        "BYTES_MAX": job.bytes_max,
        "WAIT_MAX": job.wait_max,
        "REFUSALS_MAX": job.refusals_max,
        "TERMS_AGE_MAX": job.terms_age_max,
        "DOWNLOAD_MAXSIZE": job.page_bytes_max,
        "SCRAPER_SLOT_MAX_ACTIVE_SIZE": ACTIVE_BYTES,
        "DOWNLOAD_TIMEOUT": job.page_seconds_max,
        "RETRY_TIMES": job.retries,
        "RETRY_GIVE_UP_LOG_LEVEL": "WARNING",
        "DOWNLOADER_MIDDLEWARES": {
            OffsiteMiddleware: None,  # takes subdomains, and any port
            RobotsTxtMiddleware: None,
            Forgotten: 40,
            AllowedHosts: 50,
            RobotsTxt: 100,
            Pace: 560,  # nearer to the network than the retries, at 550
            HttpCompressionMiddleware: 800,
            PageCache: 780,  # sees redirects, at 600, and plain bodies
        },
        **_queue_settings(job, store),
        "BLOCKED": job.blocked,
        "HOSTS": job.hosts,
        "PRIVATE_HOSTS": _private_hosts(job),
        "STORE": str(store),
        "TWISTED_DNS_RESOLVER": Resolver,
        "COOKIES_ENABLED": False,
        "HTTPPROXY_ENABLED": False,  # a proxy from the environment does not reach loopback
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "ERROR",
    }


def _queue_settings(job: CrawlJob, store: Path) -> dict[str, Any]:
    """Those of the queue on the disk and of what it has seen."""
    return {
        "JOBDIR": str(queue_folder(store)),
        "SCHEDULER_DISK_QUEUE": "scrapy.squeues.MarshalLifoDiskQueue",
        "SCHEDULER_START_DISK_QUEUE": "scrapy.squeues.MarshalFifoDiskQueue",
        "DUPEFILTER_CLASS": Seen,
        "SEEN_MAX": job.pages_max * SEEN_PER_PAGE,
        "EXTENSIONS": {"scrapy.extensions.spiderstate.SpiderState": None},  # the store knows what is done
    }


def queue_folder(store: Path) -> Path:
    """Where the queue of a running crawl lies; a round is carried on from the store, not from here."""
    return store.with_suffix(".queue")


def _private_hosts(job: CrawlJob) -> list[str]:
    """Hosts of the seeds that are private when the crawl starts: whoever names one wants it crawled."""
    names = {urlsplit(url).hostname or "" for url in job.seeds}
    return sorted(name for name in names if resolves_privately(name))


def main() -> None:
    """Crawl the job on the standard input into the store that the first argument names."""
    store = Path(sys.argv[1])
    job = CrawlJob.from_json(sys.stdin.read())
    pages = PageStore(store)
    pages.begin_round()
    shutil.rmtree(queue_folder(store), ignore_errors=True)  # of a crawl that was killed
    queue_folder(store).mkdir()
    process = CrawlerProcess(settings(job, store))
    for name in CHATTY:  # after Scrapy has set all of its loggers anew
        logging.getLogger(name).setLevel(logging.CRITICAL)
    crawler = process.create_crawler(ShopSpider)
    process.crawl(crawler, job=job, store=store)
    process.start()
    stats = crawler.stats.get_stats() if crawler.stats else {}
    deferred = any(name.startswith(DEFERRED) for name in stats)
    if stats.get("finish_reason") in ("finished", *CAPS) and not deferred:
        pages.finish()
    shutil.rmtree(queue_folder(store))
    store.with_suffix(".json").write_text(json.dumps(stats, default=str), encoding="utf-8")


if __name__ == "__main__":
    main()
