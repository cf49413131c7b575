"""Any shop: its pages are crawled into a store on the disk, and listings are extracted from there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from components.core.errors import PricewrightError
from components.core.params.scrape import Shop
from components.core.schemas import Reject
from components.sources.block_list import BlockList
from components.sources.crawling.addresses import host_of
from components.sources.crawling.crawl import Crawled, crawl
from components.sources.crawling.job import CrawlJob
from components.sources.crawling.page_store import PageStore
from components.sources.extraction.pages import read_listings
from components.sources.result import Collected, Spool

DAY = 86_400.0  # seconds: what RFC 9309, 2.4 lets a robots.txt be kept for


def collect(section: Shop, spool: Spool) -> Collected:
    """Crawl the shops of `section` and extract listings from their product pages.

    Raises PricewrightError where no URL or no contact is configured, or the crawl fails.
    """
    path = Path(section.store)
    crawled = crawl(crawl_job(section, spool.blocked), path)
    store = PageStore(path)
    seconds = section.extraction_seconds_max
    spool.extend(read_listings(store, section.products, section.languages, str, seconds))
    store.close()
    return to_collected(spool, crawled, str)


def crawl_job(section: Shop, blocked: BlockList) -> CrawlJob:
    """The crawl that `section` describes, without pages that are `blocked`.

    Raises PricewrightError where no URL or contact is configured.
    """
    named = [*section.start, *section.sitemaps, *section.pages]
    if not named:
        raise PricewrightError("scrape.shop names no address: give start, sitemaps or pages")
    if wrong := [url for url in named if not url.startswith(("http://", "https://")) or not host_of(url)]:
        raise PricewrightError(f"{wrong[0]!r} (scrape.shop) is no address: write https://…")
    if not section.contact:
        raise PricewrightError("scrape.shop.contact is empty: who is crawled must be able to write to you")
    return CrawlJob(
        start=section.start,
        sitemaps=section.sitemaps,
        pages=section.pages,
        hosts=list(dict.fromkeys([*map(host_of, named), *section.hosts])),
        products=section.products,
        agent=f"Pricewright/0.1 (+{section.contact})",
        concurrency=section.concurrency,
        delay=section.delay,
        retries=section.retries,
        wait_max=section.wait_max,
        refusals_max=section.refusals_max,
        terms_age_max=DAY,
        pages_max=section.pages_max,
        bytes_max=section.bytes_max,
        page_bytes_max=section.page_bytes_max,
        page_seconds_max=section.page_seconds_max,
        blocked=blocked,
    )


def to_collected(spool: Spool, crawled: Crawled, address: Callable[[str], str]) -> Collected:
    """Counts and notes of a crawl whose pages are in the spool, where those go that could not be fetched.

    `address` turns a URL into the address of its listing.
    """
    for url, rule, reason in crawled.failures:
        row = {"title": "", "target": "", "rule": rule, "reason": reason, "address": address(url)}
        spool.add(Reject, row)
    lines = spool.notes()
    if crawled.stopped:
        lines.insert(0, f"stopped at {crawled.stopped}: there are more pages than that; raise it to see them")
    return Collected({**crawled.counts, "rejected": dict(sorted(spool.rules.items()))}, lines)
