"""A crawl to run: what `crawl()` hands to the process of the spider, and the failures it hands back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import NamedTuple

from components.sources.block_list import BlockList

CAPS = {  # Scrapy's reason to finish, and the limit that it stands for
    "closespider_pagecount": "pages_max",
    "bytes_max": "bytes_max",
}
DEFERRED = "pricewright/deferred/"
"""Beginning of the statistic of a deferred host; its value is the time until then, seconds since 1970."""


@dataclass(frozen=True)
class CrawlJob:
    """What to crawl, and how politely."""

    start: list[str]
    """URLs from which links are followed, page after page, within `hosts`."""
    sitemaps: list[str]
    """URLs of sitemaps, in addition to those that the robots.txt of a start URL names."""
    pages: list[str]
    """URLs that are fetched, and whose links are not followed."""
    hosts: list[str]
    """Host, or host:port, of every URL that may be requested."""
    products: str
    """Regular expression that is searched for in the URL of a page: product pages match."""
    agent: str
    """The User-Agent header."""
    concurrency: int
    """Requests at a time to one host."""
    delay: float
    """Seconds between two requests to a host, at least."""
    retries: int
    """Retries of a page that answers 429 or 5xx, or not at all."""
    wait_max: float
    """Seconds that a busy host is waited for; one that asks for more is deferred to a later run."""
    refusals_max: int
    """Refusals in a row after which a host is left alone."""
    terms_age_max: float
    """Seconds after which robots.txt and what states the use of pages are asked for again."""
    pages_max: int
    """Responses after which the crawl stops."""
    bytes_max: int
    """Bytes after which the crawl stops."""
    page_bytes_max: int
    """Bytes, unpacked, above which a page is given up."""
    page_seconds_max: float
    """Seconds after which a page is given up."""
    blocked: BlockList
    """Whose pages are not requested."""

    def to_json(self) -> str:
        """The job as JSON, which `from_json` reads."""
        return json.dumps(asdict(self), default=sorted)

    @classmethod
    def from_json(cls, text: str) -> CrawlJob:
        """The job that `to_json` wrote."""
        values = json.loads(text)
        blocked = values["blocked"]
        values["blocked"] = BlockList(**{**blocked, "ids": frozenset(blocked["ids"])})
        return cls(**values)

    @property
    def seeds(self) -> list[str]:
        """All URLs that params.yaml names."""
        return [*self.start, *self.sitemaps, *self.pages]


class Failure(NamedTuple):
    """A URL that gave no page."""

    url: str
    """Of a page on the list of what is blocked, its label there."""
    rule: str
    """`robots`, `outside`, `refused`, `loop`, `not_found`, `status`, `too_large`, `no_answer` or
    `forgotten`."""
    reason: str
