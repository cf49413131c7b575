"""Crawls of a test site (tests/support/site.py), their pages read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psutil

from components.core.schemas import Listing, Record, Reject
from components.sources.block_list import BlockList
from components.sources.crawling.crawl import Crawled, crawl
from components.sources.crawling.job import CrawlJob
from components.sources.crawling.page_store import PageStore
from components.sources.extraction.pages import Row, read_listings
from tests.support.site import Site, page, product

PRODUCTS = "/products/"
MEGABYTE = 2**20
NONE_BLOCKED = BlockList("shop", frozenset())


def crawl_job(start: list[str], **changes: object) -> CrawlJob:
    """A crawl of these URLs with the limits of a test."""
    job = CrawlJob(
        start=start,
        sitemaps=[],
        pages=[],
        hosts=[url.split("/")[2] for url in start],
        products=PRODUCTS,
        agent="Pricewright/0.1 (+mailto:tests@shop.example)",
        concurrency=4,
        delay=0.01,
        retries=1,
        wait_max=30.0,
        refusals_max=20,
        terms_age_max=86_400.0,
        pages_max=200,
        bytes_max=100 * MEGABYTE,
        page_bytes_max=MEGABYTE,
        page_seconds_max=2.0,
        blocked=NONE_BLOCKED,
    )
    return replace(job, **changes)


class Outcome(NamedTuple):
    """A crawl and the listings and rejects of its pages."""

    crawled: Crawled
    rows: dict[str, Row]
    """By path."""
    refused: dict[str, tuple[str, str]]
    """Path to rule and reason, of pages and of URLs that gave none."""
    site: Site
    seconds: float
    memory: int
    """Peak resident memory of the crawling process, bytes."""


@contextmanager
def memory_watched() -> Iterator[list[int]]:
    """Resident memory of the crawling process, sampled while the block lasts, bytes."""
    sizes, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    if "components.sources.crawling.spider" in child.cmdline():
                        sizes.append(child.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield sizes
    finally:
        done.set()
        watcher.join()


def run(site: Site, job: CrawlJob, store: Path) -> Outcome:
    """Crawl the site into a store and read its product pages."""
    start = time.monotonic()
    with memory_watched() as sizes:
        crawled = crawl(job, store)
    pages = PageStore(store)
    entries = read_listings(pages, PRODUCTS, ["en"], lambda url: url.removeprefix(site.base), 30.0)
    rows, refused = listings_and_rejects(entries)
    pages.close()
    unfetched = {
        failure.url.removeprefix(site.base): (failure.rule, failure.reason) for failure in crawled.failures
    }
    return Outcome(
        crawled,
        {row["address"]: row for row in rows},
        unfetched | {row["address"]: (row["rule"], row["reason"]) for row in refused},
        site,
        time.monotonic() - start,
        max(sizes),
    )


def listings_and_rejects(entries: Iterable[tuple[type[Record], Row]]) -> tuple[list[Row], list[Row]]:
    """What `read_listings` yields, in two lists."""
    rows: dict[type[Record], list[Row]] = {Listing: [], Reject: []}
    for kind, row in entries:
        rows[kind].append(row)
    return rows[Listing], rows[Reject]


def links(*paths: str) -> str:
    return "".join(f'<a href="{path}">x</a>' for path in paths)


def stock(site: Site, count: int) -> None:
    """Give the site a front page that links to so many product pages."""
    paths = [f"/products/{number:03}" for number in range(count)]
    site.answers = {path: page(product(path), ETag=f'"{path}"') for path in paths}
    site.answers["/"] = page(links(*paths))
