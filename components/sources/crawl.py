"""A polite crawl of one shop: its sitemap and its links, within its host, as robots.txt allows.

`crawl()` runs Scrapy in a process of its own (a Twisted reactor starts once per process, and the demo shop
keeps the other core), which writes its product pages and its counts to a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import pandas as pd
from scrapy import Request
from scrapy.crawler import CrawlerProcess
from scrapy.http import HtmlResponse, Response
from scrapy.spiders import SitemapSpider
from tqdm import tqdm

from components.records import PricewrightError
from components.sources import writable
from components.sources.extract import Found, extract

USER_AGENT = "Pricewright/0.1 (price research; obeys robots.txt)"
PATIENCE = 30.0  # seconds: the longest wait that a server may ask for by Retry-After
RETRIES = 4  # further tries of a page that answers 429 or 5xx, or not at all
COUNTS = {
    "fetched": "pricewright/pages",
    "retried": "retry/count",
    "given_up": "retry/max_reached",
    "not_found": "downloader/response_status_count/404",
    "refused_by_robots": "robotstxt/forbidden",
}


def crawl(base: str, products: str, concurrency: int, pages_max: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Crawl the shop at `base` (scheme, host, port) with `concurrency` requests at a time.

    `products` is the pattern of the product pages' paths. Gives one row per product page that answered
    (`address` without host and port, `page_hash`, the fields of `Found`; `details` as JSON), sorted by
    address, and the counts of `COUNTS`. Raises PricewrightError where the shop does not answer, has
    more than `pages_max` pages, or the crawl breaks down.
    """
    _reach(base)
    with tempfile.TemporaryDirectory(prefix="pricewright-crawl-") as folder:
        order = [base, products, str(concurrency), str(pages_max), folder]
        done = subprocess.run([sys.executable, "-m", "components.sources.crawl", *order], check=False)
        if done.returncode != 0:
            raise PricewrightError(f"the crawl of {base} ended with exit code {done.returncode}: see above")
        stats = json.loads((Path(folder) / "stats.json").read_text(encoding="utf-8"))
        with (Path(folder) / "rows.jsonl").open(encoding="utf-8") as lines:
            rows = [{key: writable(value) for key, value in json.loads(line).items()} for line in lines]
    if stats.get("finish_reason") != "finished":
        raise PricewrightError(
            f"{base} has more than {pages_max} pages ({stats.get('finish_reason')}): raise pages_max"
        )
    if stats.get("spider_exceptions/count"):
        raise PricewrightError(
            f"{stats['spider_exceptions/count']} pages of {base} could not be read: see above"
        )
    columns = ["address", "page_hash", *Found.__dataclass_fields__]
    counts = {name: int(stats.get(key, 0)) for name, key in COUNTS.items()}
    return pd.DataFrame(rows, columns=columns).sort_values("address", ignore_index=True), counts


def _reach(base: str) -> None:
    parts = urlsplit(base)
    try:
        port = parts.port or {"https": 443}.get(parts.scheme, 80)
        socket.create_connection((parts.hostname or "", port), timeout=PATIENCE).close()
    except (OSError, ValueError) as reason:
        raise PricewrightError(
            f"{base} does not answer ({reason}): is the shop up, and its address right?"
        ) from None


class ShopSpider(SitemapSpider):
    """Follows the sitemaps that robots.txt names and every link within the host; reads product pages."""

    name = "shop"

    def __init__(self, base: str, products: str, **arguments: Any) -> None:
        self.base = base
        self.products = re.compile(products)
        self.allowed_domains = [urlsplit(base).hostname]
        self.sitemap_urls = [f"{base}/robots.txt"]
        self.known = {f"{base}/"}
        self.bar = tqdm(desc="crawl", unit=" pages", mininterval=0.5)
        super().__init__(**arguments)

    async def start(self) -> AsyncIterator[Any]:
        """The front page, then the sitemaps."""
        yield Request(f"{self.base}/")
        async for request in super().start():
            yield request

    def parse(self, response: Response) -> Iterator[Any]:  # type: ignore[override]
        """A page: the product on it, if it is a product page, and the addresses it links to."""
        if not isinstance(response, HtmlResponse):
            return
        self.crawler.stats.inc_value("pricewright/pages")
        links = {urldefrag(urljoin(response.url, href))[0] for href in response.xpath("//a/@href").getall()}
        fresh = {link for link in links if link.startswith(f"{self.base}/")} - self.known
        self.known |= fresh | {response.url}
        self.bar.total = len(self.known)
        self.bar.update()
        address = response.url.removeprefix(self.base)
        if self.products.match(address):
            page_hash = hashlib.sha256(response.body).hexdigest()
            found = asdict(extract(response.text, address))
            found |= {name: json.dumps(found[name], ensure_ascii=False) for name in ("details", "places")}
            yield {"address": address, "page_hash": page_hash, **found}
        for link in sorted(fresh):
            yield Request(link)

    def closed(self, reason: str) -> None:  # noqa: ARG002
        """Leave the last state of the bar on the screen."""
        self.bar.close()


class RetryAfter:
    """Waits as long as a 429 or 503 asks for before Scrapy's own retry middleware sees it."""

    async def process_response(self, request: Request, response: Response) -> Response:  # noqa: ARG002
        """Hold the answer back for the seconds of its Retry-After header."""
        wait = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
        if response.status in (429, 503) and wait.isdigit():
            await asyncio.sleep(min(float(wait), PATIENCE))
        return response


def settings(concurrency: int, pages_max: int, folder: Path) -> dict[str, Any]:
    """Scrapy's settings, where they differ from its defaults."""
    return {
        "USER_AGENT": USER_AGENT,
        "ROBOTSTXT_OBEY": True,
        "CONCURRENT_REQUESTS": concurrency,
        "CONCURRENT_REQUESTS_PER_DOMAIN": concurrency,
        "CLOSESPIDER_PAGECOUNT": pages_max,
        "RETRY_TIMES": RETRIES,
        "RETRY_GIVE_UP_LOG_LEVEL": "WARNING",
        "DOWNLOADER_MIDDLEWARES": {RetryAfter: 560},  # nearer to the network than the retries, at 550
        "COOKIES_ENABLED": False,
        "HTTPPROXY_ENABLED": False,  # a proxy from the environment does not reach loopback
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "ERROR",
        "FEEDS": {folder / "rows.jsonl": {"format": "jsonlines", "store_empty": True}},
    }


def main() -> None:
    """The crawling process: rows.jsonl and stats.json in the folder."""
    parser = argparse.ArgumentParser(description="Crawl one shop.")
    parser.add_argument("base")
    parser.add_argument("products")
    parser.add_argument("concurrency", type=int)
    parser.add_argument("pages_max", type=int)
    parser.add_argument("folder", type=Path)
    order = parser.parse_args()
    process = CrawlerProcess(settings(order.concurrency, order.pages_max, order.folder))
    crawler = process.create_crawler(ShopSpider)
    process.crawl(crawler, base=order.base, products=order.products)
    process.start()
    stats = crawler.stats.get_stats() if crawler.stats else {}
    (order.folder / "stats.json").write_text(json.dumps(stats, default=str), encoding="utf-8")


if __name__ == "__main__":
    main()
