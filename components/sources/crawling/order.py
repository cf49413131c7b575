"""What a crawl is to do: the order that the parent process hands to the spider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

CAPS = {"closespider_pagecount": "pages_max", "bytes_max": "bytes_max"}


@dataclass(frozen=True)
class Order:
    """What to crawl and how."""

    start: list[str]
    """Addresses whose links are followed, and the links of what they lead to, within `hosts`."""
    sitemaps: list[str]
    """Sitemaps beside those that the robots.txt of a start address names."""
    pages: list[str]
    """Addresses that are fetched and not followed."""
    hosts: list[str]
    """Host, or host:port, of every address that may be asked."""
    products: str
    """Pattern that is searched for in the addresses of product pages."""
    agent: str
    concurrency: int
    """Requests at a time to one host."""
    delay: float
    """Seconds between two requests to a host, at least; 0 leaves the throttle off."""
    retries: int
    """Further tries of a page that answers 429 or 5xx, or not at all."""
    pages_max: int
    bytes_max: int
    page_bytes_max: int
    page_seconds_max: float

    @property
    def first(self) -> list[str]:
        """The addresses that a person named."""
        return [*self.start, *self.sitemaps, *self.pages]


class Failure(NamedTuple):
    """An address that gave no page."""

    url: str
    rule: str
    """`robots`, `outside`, `loop`, `not_found`, `status`, `too_large`, `no_answer`."""
    reason: str
