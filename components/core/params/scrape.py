"""Section `scrape` of params.yaml: where listings come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from components.core.params.section import Count, Section, Seed


class DemoShop(Section):
    """The generated shop that is served on loopback and crawled over HTTP."""

    seed: Seed
    listings: Annotated[int, Field(ge=40)]
    """Listings in the catalogue, re-listings and price-less ones included."""
    noise: Annotated[float, Field(ge=0, lt=2)]
    """Standard deviation of the log-normal noise on every price."""
    mislabelled: Annotated[float, Field(ge=0, lt=1)]
    """Share of the listings whose page names another category than theirs."""
    concurrency: Count
    """Requests at a time."""
    pages_max: Count
    """Pages after which a crawl is given up as endless."""
    port: Annotated[int, Field(ge=0, le=65535)]
    """Loopback port that it is served on; 0 picks a free one."""


class SleepingBags(Section):
    """Generated sleeping bags, whose comfort temperature is asked for."""

    seed: Seed
    listings: Annotated[int, Field(ge=40)]
    noise: Annotated[float, Field(ge=0)]
    """Standard deviation of the normal noise on every temperature, degrees Celsius."""


class Columns(Section):
    """Which column of a file holds which field; null where a file has none. `a.0.b` reaches inside."""

    id: str | None
    """A column whose value is another one in every row and stays with it; null: the hash of the content."""
    title: str
    description: str | None
    price: str | None
    decimal: Literal[".", ",", " "] | None
    """The sign in front of the decimals of a price; null: decided by all values of the column."""
    currency: str | None
    brand: str | None
    category: str | None
    """A column of text, or of a path of categories as a list (see `category_name` in sources/fields.py)."""
    details: str | None
    """A column that holds an object, or JSON text of one."""
    rights: str | None
    """A column that names the licence of a listing."""

    def mapped(self) -> list[str]:
        """The columns that are named."""
        values = self.model_dump(exclude={"decimal"}).values()
        return [column for column in values if column is not None]


class Files(Section):
    """Listings from JSONL, JSON, CSV, Parquet or Excel files."""

    paths: list[str]
    """Files or glob patterns, relative to the project's root."""
    unpacked_bytes_max: Count
    """Bytes that a compressed file may unpack to; one with more stops the run."""
    columns: Columns
    lost_rows_max: Annotated[float, Field(ge=0, le=1)]
    """Share of a file's rows that may be lost because they cannot be parsed; above it the run stops."""


class Shop(Section):
    """Any shop on the web, or several, crawled politely."""

    start: list[str]
    """URLs from which a crawl follows every link within their hosts, and their sitemaps."""
    sitemaps: list[str]
    """URLs of sitemaps whose pages are fetched."""
    pages: list[str]
    """URLs of product pages; without `start` and `sitemaps` nothing else is fetched."""
    hosts: list[str]
    """Further hosts that may be crawled, such as `www.shop.example`, beside those of the URLs above."""
    products: str
    """Pattern (Python `re`) that matches in the URL of every product page and of no other page."""
    languages: list[str]
    """Languages (`de`, `en`) of the pages that are used, by their `lang` attribute; empty uses all."""
    contact: str | None
    """Mail or web address in the User-Agent; without one nothing is crawled."""
    concurrency: Count
    """Requests at a time to one host."""
    delay: Annotated[float, Field(gt=0)]
    """Seconds between two requests to a host, at least; a slow host or its Crawl-delay raises it."""
    retries: Annotated[int, Field(ge=0)]
    """Retries of a page that answers 429 or 5xx, or not at all."""
    wait_max: Annotated[float, Field(gt=0)]
    """Seconds that a busy host is waited for in a run; one that asks for more is deferred to a later run."""
    refusals_max: Count
    """Refusals in a row (401, 403, 429, 451, 5xx, no answer) after which a host is left alone."""
    pages_max: Count
    """Responses after which a crawl stops."""
    bytes_max: Count
    """Bytes after which a crawl stops."""
    page_bytes_max: Count
    """Bytes, unpacked, above which a page is given up."""
    page_seconds_max: Annotated[float, Field(gt=0)]
    """Seconds after which a page is given up."""
    extraction_seconds_max: Annotated[float, Field(gt=0)]
    """Seconds after which a page that is still being read is stopped and rejected, as `too_slow`."""
    store: str
    """SQLite file of the pages as received; a second crawl fetches only what has changed since."""


class AmazonReviews(Section):
    """Items of Amazon Reviews 2023."""

    repository: str
    """Data set on the hub, or a local directory of the same layout (`raw_meta_<category>/full-*.parquet`)."""
    revision: str | None
    """Commit of the data set, 40 hex digits; not needed for a local directory."""
    categories: Annotated[list[str], Field(min_length=1)]
    """For example `Appliances` or `Musical_Instruments`."""
    rows_max: Count
    """Items of each category."""


class Requests(Section):
    """Requests to the service whose right answer is known: listings beside those of the source."""

    path: Annotated[str, Field(min_length=1)] | None
    """Parquet file that `make retrain` writes, under data/, where DVC watches it; null adds none, and so does
    a file that is not there yet."""


class Scrape(Section):
    """Where listings come from."""

    source: Literal["demo_shop", "files", "shop", "amazon_reviews", "sleeping_bags"]
    demo_shop: DemoShop
    files: Files
    shop: Shop
    amazon_reviews: AmazonReviews
    sleeping_bags: SleepingBags
    requests: Requests
