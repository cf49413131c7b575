"""Any shop: its pages are crawled into a store on the disk, and listings are extracted from there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from components.core.errors import PricewrightError
from components.core.params.scrape import Shop
from components.core.schemas import Listing, Reject
from components.sources.crawling.addresses import host_of
from components.sources.crawling.crawl import Crawled, crawl
from components.sources.crawling.job import CrawlJob
from components.sources.crawling.page_store import PageStore
from components.sources.extraction.pages import Row, read_listings
from components.sources.result import Collected

DAY = 86_400.0  # seconds: what RFC 9309, 2.4 lets a robots.txt be kept for
NOTES = 20  # lines; the rest is in rejects.parquet


def collect(section: Shop) -> Collected:
    """Crawl the shops of `section` and extract listings from their product pages.

    Raises PricewrightError where no URL or no contact is configured, or the crawl fails.
    """
    path = Path(section.store)
    crawled = crawl(crawl_job(section), path)
    store = PageStore(path)
    rows, rejected = read_listings(
        store, section.products, section.languages, str, section.extraction_seconds_max
    )
    store.close()
    return to_collected(rows, rejected, crawled, str)


def crawl_job(section: Shop) -> CrawlJob:
    """The crawl that `section` describes. Raises PricewrightError where no URL or contact is configured."""
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
    )


def to_collected(
    rows: list[Row], rejected: list[Row], crawled: Crawled, address: Callable[[str], str]
) -> Collected:
    """Listings, rejects (pages rejected or not fetched) and notes, one for each of the first NOTES rejects.

    `address` turns a URL into the address of its listing.
    """
    unfetched = [
        {"title": "", "price": "", "rule": rule, "reason": reason, "address": address(url)}
        for url, rule, reason in crawled.failures
    ]
    rejects = pd.DataFrame([*rejected, *unfetched], columns=_without_origin(Reject.columns()))
    lines = [f"{row.address}: {row.reason}" for row in rejects.head(NOTES).itertuples()]
    if len(rejects) > NOTES:
        lines.append(f"and {len(rejects) - NOTES} more, in artifacts/scrape/rejects.parquet")
    if crawled.stopped:
        lines.insert(0, f"stopped at {crawled.stopped}: there are more pages than that; raise it to see them")
    counts = {**crawled.counts, "rejected": rejects["rule"].value_counts().sort_index().to_dict()}
    return Collected(
        pd.DataFrame(rows, columns=_without_origin(Listing.columns())), counts, rejects=rejects, notes=lines
    )


def _without_origin(columns: list[str]) -> list[str]:
    return [name for name in columns if name not in ("id", "source")]
