"""The demo shop: the generated catalogue, served on loopback and crawled over HTTP.

It has what makes real shops hard: pagination, products that only the sitemap or only the category pages link
to, three kinds of markup, distracting prices, discontinued products that answer 404, pages that answer 429 or
503 to the first request, and pages that robots.txt forbids. All of it follows from the SKUs.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random
from socketserver import ThreadingTCPServer

from components.core.errors import PricewrightError
from components.core.params.scrape import DemoShop
from components.core.schemas import Law
from components.sources.crawling.addresses import host_of
from components.sources.crawling.crawl import crawl
from components.sources.crawling.job import CrawlJob
from components.sources.crawling.page_store import PageStore
from components.sources.extraction.pages import read_listings
from components.sources.result import Collected, Spool
from components.sources.shop import to_collected
from components.synthetic import shop_pages
from components.synthetic.catalogue import Product, catalogue
from components.synthetic.price_law import CATEGORIES

PRODUCT_PAGES = "/p/"
FIRST_STATUS = {429: 0.003, 503: 0.003}  # status to share of the product pages whose first answer it is
DISCONTINUED = 0.004  # dead links per product
SITEMAP_ONLY, CATEGORY_ONLY = 0.1, 0.1  # shares of the products
PAGE_SECONDS = 30.0  # to fetch a page, and to read it
SITEMAP_PART = 1000  # addresses per part of the sitemap
ROBOTS = "User-agent: *\nDisallow: /staff/\n\nSitemap: {base}/sitemap.xml\n"


@dataclass(frozen=True)
class RunningShop:
    """A running shop."""

    address: str
    """Scheme, host and port."""
    hits: Counter[str] = field(default_factory=Counter)
    """Requests so far, by path with query."""


def collect(section: DemoShop, spool: Spool) -> Collected:
    """Serve the catalogue, crawl it, hand on its listings and its law, and return the crawl's counts.

    The law knows the category of each product, also of one whose page names another. Raises
    PricewrightError where the port is in use or the crawl fails.
    """
    products = catalogue(section.seed, section.listings, section.noise)
    with (
        serve(mislabelled(products, section.mislabelled, section.seed), section.port) as shop,
        tempfile.TemporaryDirectory(prefix="pricewright-crawl-") as folder,
    ):
        path = Path(folder) / "pages.sqlite"
        crawled = crawl_shop(shop.address, section.concurrency, section.pages_max, path, spool)
    for product in products:
        address = shop_pages.address(product)
        law = {"median": product.median, "sigma": section.noise, "label": product.category}
        spool.add(Law, {"address": address} | law)
    return replace(crawled, notes=[])


def mislabelled(products: list[Product], share: float, seed: int) -> list[Product]:
    """The products as the shop shows them: that share of them, drawn at random, in another category, each of
    the others as likely as any.

    The random stream is its own, so that nothing else about the products depends on the share.
    """
    rng = Random(f"mislabelled {seed}")
    shown = list(products)
    for place in rng.sample(range(len(products)), round(share * len(products))):
        others = [category.name for category in CATEGORIES if category.name != products[place].category]
        shown[place] = replace(products[place], category=rng.choice(others))
    return shown


def crawl_shop(base: str, concurrency: int, pages_max: int, path: Path, spool: Spool) -> Collected:
    """Crawl the shop at `base` into the store at `path` and read its product pages.

    Addresses are stripped of host and port, which change from run to run. Raises PricewrightError where the
    shop has more pages than `pages_max`: a part of it would be another catalogue.
    """
    job = CrawlJob(
        start=[f"{base}/"],
        sitemaps=[],
        pages=[],
        hosts=[host_of(base)],
        products=PRODUCT_PAGES,
        agent="Pricewright/0.1 (price research; obeys robots.txt)",
        concurrency=concurrency,
        delay=0.0,
        retries=4,
        wait_max=30.0,
        refusals_max=20,
        terms_age_max=86_400.0,
        pages_max=pages_max,
        bytes_max=2**40,
        page_bytes_max=2**24,
        page_seconds_max=PAGE_SECONDS,
        blocked=replace(spool.blocked, host=base),
    )
    crawled = crawl(job, path)
    if crawled.stopped:
        raise PricewrightError(f"{base} has more than {pages_max} pages: raise scrape.demo_shop.pages_max")
    store = PageStore(path)
    spool.extend(read_listings(store, PRODUCT_PAGES, [], lambda url: url.removeprefix(base), PAGE_SECONDS))
    store.close()
    return to_collected(spool, crawled, lambda url: url.removeprefix(base))


@contextmanager
def serve(products: list[Product], port: int) -> Iterator[RunningShop]:
    """Serve the catalogue on 127.0.0.1; port 0 picks a free one. Raises PricewrightError for one in use."""
    try:
        server = _Server(("127.0.0.1", port), _Handler)
    except OSError as error:
        raise PricewrightError(
            f"port {port} of 127.0.0.1 cannot be opened ({error.strerror}): "
            "set scrape.demo_shop.port to another one, or to 0 for any that is free"
        ) from error
    server.shop = RunningShop(f"http://127.0.0.1:{server.server_address[1]}")
    server.pages = site(products, server.shop.address)
    server.first_status = {
        shop_pages.address(product): status for product in products if (status := _first_status(product))
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.shop
    finally:
        server.shutdown()
        server.server_close()


def site(products: list[Product], base: str) -> dict[str, bytes]:
    """Path with query to page, of the whole shop. Only robots.txt and the sitemap contain the host."""
    shelves: dict[str, list[Product]] = {}
    for product in products:
        shelves.setdefault(product.category, []).append(product)
    texts = {
        "/robots.txt": ROBOTS.format(base=base),
        "/": shop_pages.front(shelves),
        "/staff/": shop_pages.staff(products),
    }
    for category, shelf in sorted(shelves.items()):
        listed = [product for product in shelf if not draw(product, "listed") < SITEMAP_ONLY]
        dead = [
            f"{PRODUCT_PAGES}gone-{product.sku}" for product in shelf if draw(product, "gone") < DISCONTINUED
        ]
        texts |= shop_pages.category(category, listed, dead)
        for index, product in enumerate(shelf):
            related = [shelf[(index + step) % len(shelf)] for step in (1, 2, 3)]
            texts[shop_pages.address(product)] = shop_pages.product(product, related, draw(product, "markup"))
    mapped = [
        shop_pages.address(product)
        for product in products
        if not SITEMAP_ONLY <= draw(product, "listed") < SITEMAP_ONLY + CATEGORY_ONLY
    ]
    parts = [mapped[start : start + SITEMAP_PART] for start in range(0, len(mapped), SITEMAP_PART)]
    texts |= shop_pages.sitemap(base, parts)
    return {path: text.encode() for path, text in texts.items()}


def draw(product: Product, purpose: str) -> float:
    """A pseudo-random number in [0, 1) from the hash of SKU and purpose."""
    digest = hashlib.sha256(f"{purpose} {product.sku}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _first_status(product: Product) -> int | None:
    number = draw(product, "status")
    for status, share in FIRST_STATUS.items():
        if number < share:
            return status
        number -= share
    return None


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    shop: RunningShop
    pages: dict[str, bytes]
    first_status: dict[str, int]
    lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: two would wait for each other (Nagle, delayed ACK)
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.shop.hits[self.path] += 1
            first = self.server.shop.hits[self.path] == 1
        body = self.server.pages.get(self.path)
        status = 404 if body is None else 200
        if first and self.path in self.server.first_status:
            status = self.server.first_status[self.path]
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        content = body if body is not None and status == 200 else f"<h1>{status}</h1>".encode()
        media_type = {"txt": "text/plain", "xml": "application/xml"}.get(
            self.path.rpartition(".")[2], "text/html"
        )
        self.send_header("Content-Type", f"{media_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: `hits` counts the requests."""
