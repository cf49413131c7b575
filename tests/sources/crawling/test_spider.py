"""What the spider fetches and what it refuses, from real servers that are as bad as servers get."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.support.crawling import MEGABYTE, Outcome, crawl_job, links, run, stock
from tests.support.site import Site, page, product, send, serve

ROBOTS = "User-agent: *\nDisallow: /closed/\nCrawl-delay: 0.02\nSitemap: {base}/sitemap.xml\n"


def huge(handler: BaseHTTPRequestHandler) -> None:
    """Two gigabytes, announced by Content-Length."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", str(2**31))
    handler.end_headers()
    for _ in range(2**11):
        handler.wfile.write(b"x" * MEGABYTE)


def unannounced(handler: BaseHTTPRequestHandler) -> None:
    """Two gigabytes, without a Content-Length."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Connection", "close")
    handler.end_headers()
    for _ in range(2**11):
        handler.wfile.write(b"x" * MEGABYTE)


def endless(handler: BaseHTTPRequestHandler) -> None:
    """A page that never ends, a few letters at a time."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Connection", "close")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"<div>more ")
        handler.wfile.flush()
        time.sleep(0.1)


def pagination(path: str) -> tuple[int, dict[str, str], bytes]:
    """A next page, always; and an address that gets longer with every step."""
    number = int(path.partition("=")[2] or 1) if path.startswith("/list?page=") else None
    if number is None and not path.startswith("/deeper"):
        return page("<h1>404</h1>", 404)
    body = links(f"/list?page={number + 1}") if number is not None else links(path.rstrip("/") + "/deeper/")
    return page(body)


@pytest.fixture(scope="module")
def bad_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """One crawl of a shop with every known fault, and four products that can be read."""
    with serve(Site()) as site, serve(Site()) as elsewhere:
        bomb = gzip.compress(b"<p>" + b"0" * (50 * MEGABYTE))
        html = {"Content-Type": "text/html; charset=utf-8"}
        products = {
            "/products/good": page(product("Good"), ETag='"1"'),
            "/products/latin": (200, html, product("Café", "£5").encode("cp1252")),
            "/products/mapped": page(product("Mapped")),
            "/products/huge": huge,
            "/products/unannounced": unannounced,
            "/products/endless": endless,
            "/products/bomb": (200, {**html, "Content-Encoding": "gzip"}, bomb),
            "/products/loop": (302, {"Location": "/products/loop2"}, b""),
            "/products/loop2": (302, {"Location": "/products/loop"}, b""),
            "/products/away": (302, {"Location": f"{elsewhere.base}/products/stolen"}, b""),
            "/products/busy": page("busy", 503),
            "/products/picture": (200, {"Content-Type": "image/png"}, b"\x89PNG"),
            "/products/noindex": page(product("No"), X_Robots_Tag="noindex"),
            "/products/noai": page('<meta name="robots" content="noai, noimageai">' + product("No")),
            "/products/tdm": page(product("No"), TDM_Reservation="1", TDM_Policy="https://a.example/terms"),
            "/products/free": page(product("Free"), TDM_Reservation="0"),
            "/products/german": page(product("Deutsch"), lang="de-DE"),
            "/products/empty": (200, html, b""),
        }
        site.answers = {
            "/robots.txt": (200, {"Content-Type": "text/plain"}, ROBOTS.format(base=site.base).encode()),
            "/.well-known/tdmrep.json": (200, {}, b'[{"location": "/art/*", "tdm-reservation": 1}]'),
            "/sitemap.xml": (
                200,
                {"Content-Type": "application/xml"},
                f"<urlset><url><loc>{site.base}/products/mapped</loc></url></urlset>".encode(),
            ),
            "/art/products/1": page(product("Reserved")),
            "/": page(
                links(*[path for path in products if path not in ("/products/mapped", "/products/loop2")])
                + links("/closed/products/1", "/art/products/1", "/products/gone", "/list?page=1", "/deeper")
                + links(
                    f"http://127.0.0.1:{site.port}/products/private", "http://[::1/", "mailto:a@b", "#top"
                )
            ),
            **products,
        }
        site.fallback = pagination
        start = [f"{site.base}/"]
        hosts = [f"localhost:{site.port}", f"127.0.0.1:{site.port}"]
        store = tmp_path_factory.mktemp("bad_shop") / "pages.sqlite"
        yield run(site, crawl_job(start, hosts=hosts, pages_max=120), store)
        assert elsewhere.requests == []


def test_the_good_products_of_a_bad_shop_are_read(bad_shop: Outcome) -> None:
    assert set(bad_shop.rows) == {"/products/good", "/products/latin", "/products/mapped", "/products/free"}
    assert bad_shop.rows["/products/good"]["price"] == "$24.50"
    assert bad_shop.seconds < 60


@pytest.mark.parametrize(
    ("path", "rule", "reason"),
    [
        ("/products/huge", "too_large", f"page_bytes_max, {MEGABYTE}"),
        ("/products/unannounced", "too_large", f"page_bytes_max, {MEGABYTE}"),
        ("/products/bomb", "too_large", "decompress"),
        ("/products/endless", "no_answer", "(?i)took longer|timeout|timed out"),
        ("/products/loop", "loop", "in a circle"),
        ("/products/away", "outside", r"redirects to .*; to crawl it add localhost:\d+ to scrape.shop.hosts"),
        ("/products/busy", "status", "503"),
        ("/products/gone", "not_found", "404"),
        ("/products/picture", "status", "not a page of HTML"),
        ("/closed/products/1", "robots", "robots.txt"),
        ("/products/noindex", "noindex", "noindex"),
        ("/products/noai", "noai", "noai"),
        ("/products/tdm", "tdm_reservation", "https://a.example/terms"),
        ("/art/products/1", "tdm_reservation", "tdmrep.json"),
        ("/products/german", "other_language", "de-de"),
        ("/products/empty", "no_product", "no title"),
    ],
)
def test_a_page_that_is_not_read_is_rejected_with_its_rule_and_reason(
    bad_shop: Outcome, path: str, rule: str, reason: str
) -> None:
    outcome = bad_shop.refused[path]
    assert outcome[0] == rule, outcome
    assert re.search(reason, outcome[1]), outcome


def test_a_page_in_another_encoding_than_it_says_is_read_all_the_same(bad_shop: Outcome) -> None:
    assert bad_shop.rows["/products/latin"]["title"] == "Café"
    assert bad_shop.rows["/products/latin"]["currency"] == "GBP"


def test_a_statement_of_use_is_kept_as_the_rights_of_the_listing(bad_shop: Outcome) -> None:
    assert bad_shop.rows["/products/free"]["rights"] == "tdm-reservation: 0 (header)"
    assert bad_shop.rows["/products/good"]["rights"] == ""


def test_endless_pagination_stops_at_the_limit_and_crowds_out_no_product(bad_shop: Outcome) -> None:
    assert bad_shop.crawled.stopped == "pages_max"
    assert len(bad_shop.site.requests) < 200
    assert all(len(path) < 1100 for path, _ in bad_shop.site.requests)


def test_a_private_address_that_no_seed_names_is_not_requested(bad_shop: Outcome) -> None:
    private = f"http://127.0.0.1:{bad_shop.site.port}/products/private"
    assert bad_shop.site.times("/products/private") == 0
    assert private in bad_shop.refused


def test_the_crawler_sends_its_user_agent_and_requests_robots_txt_first(bad_shop: Outcome) -> None:
    assert bad_shop.site.requests[0][0] == "/robots.txt"
    assert bad_shop.site.times("/closed/products/1") == 0
    assert {headers["User-Agent"] for _, headers in bad_shop.site.requests} == {
        "Pricewright/0.1 (+mailto:tests@shop.example)"
    }


def test_the_memory_of_the_crawl_is_bounded_whatever_is_sent(bad_shop: Outcome) -> None:
    assert (
        30 * MEGABYTE < bad_shop.memory < 400 * MEGABYTE
    )  # one page of the shop has two gigabytes, one unpacks to fifty megabytes


def sitemap_of(site: Site, parts: int, addresses: int, blanks: int = 0) -> int:
    """Give the site a sitemap with so many parts of so many products and blanks; returns its bytes."""
    index = "".join(f"<sitemap><loc>{site.base}/map{part}.xml</loc></sitemap>" for part in range(parts))
    texts = {"/map.xml": f"<sitemapindex>{index}</sitemapindex>"}
    for part in range(parts):
        paths = (f"{site.base}/products/{part}-{number:05}" for number in range(addresses))
        entries = "".join(f"<url><loc>{path}</loc></url>" for path in paths)
        texts[f"/map{part}.xml"] = f"<urlset>{entries}</urlset>" + " " * blanks
    site.answers = {path: (200, {"Content-Type": "text/xml"}, text.encode()) for path, text in texts.items()}
    site.fallback = lambda path: page(product(path), 200 if path.startswith("/products/") else 404)
    return sum(map(len, texts.values()))


def test_a_longer_queue_takes_no_more_memory(tmp_path: Path) -> None:
    peaks = []
    for parts in (1, 6):
        with serve(Site()) as site:
            size = sitemap_of(site, parts, 2000)
            hosts, sitemaps = [f"localhost:{site.port}"], [f"{site.base}/map.xml"]
            job = crawl_job([], hosts=hosts, sitemaps=sitemaps, pages_max=10**6, bytes_max=size + 2000)
            result = run(site, job, tmp_path / f"{parts}.sqlite")
        assert result.crawled.stopped == "bytes_max"
        assert sum(path.startswith("/map") for path, _ in site.requests) == parts + 1
        assert not (tmp_path / f"{parts}.queue").exists()
        peaks.append(result.memory)
    assert peaks[1] - peaks[0] < 12 * MEGABYTE  # of 10,000 requests more


HELD = """
import asyncio
from components.sources.crawling import spider

class Held(spider.ShopSpider):
    async def _parse_sitemap(self, response):
        engine, stats = self.crawler.engine, self.crawler.stats
        reading = engine.scraper.slot
        def waits():
            stats.max_value("bytes_read_at_a_time", reading.active_size)
            return not reading.needs_backout() and (engine.downloader.active or len(engine._slot.scheduler))
        while len(response.body) > 50_000 and waits():
            await asyncio.sleep(0.05)
        for request in super()._parse_sitemap(response):
            yield request

spider.ShopSpider = Held
spider.main()
"""
"""The crawling process, in which the parts of a sitemap take so long to read that others come in meanwhile:
none is read before the crawl stops requesting, or has nothing left to request."""


def test_answers_that_are_slow_to_read_wait_on_the_server_and_not_in_memory(tmp_path: Path) -> None:
    with serve(Site()) as site:
        size = sitemap_of(site, 24, 1, blanks=300_000)
        hosts, sitemaps = [f"localhost:{site.port}"], [f"{site.base}/map.xml"]
        job = crawl_job([], hosts=hosts, sitemaps=sitemaps, concurrency=2)
        command = [sys.executable, "-c", HELD, str(tmp_path / "pages.sqlite")]
        subprocess.run(command, input=job.to_json(), text=True, check=True, capture_output=True)
    assert site.times("/products/23-00000") == 1, "every part is read in the end"
    peak = json.loads((tmp_path / "pages.json").read_text())["bytes_read_at_a_time"]
    assert MEGABYTE < peak < MEGABYTE + 3 * 301_000 < size / 3, "a megabyte, and what was on its way by then"


def test_a_link_that_says_nofollow_is_not_followed(tmp_path: Path) -> None:
    with serve(Site()) as site:
        stock(site, 2)
        rels = {"/products/a": "nofollow", "/products/b": "noopener NoFollow", "/products/c": "nofollower"}
        marked = "".join(f'<a href="{path}" rel="{rel}">x</a>' for path, rel in rels.items())
        site.answers["/"] = page(links("/products/000", "/products/001") + marked)
        site.answers |= {path: page(product(path)) for path in rels}
        result = run(site, crawl_job([f"{site.base}/"]), tmp_path / "pages.sqlite")
    assert set(result.rows) == {"/products/000", "/products/001", "/products/c"}
    assert site.times("/products/a") == site.times("/products/b") == 0


def test_an_allowed_name_that_resolves_to_a_private_address_is_not_requested(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serve(Site()) as site:
        start, named = f"http://127.0.0.1:{site.port}", f"localhost:{site.port}"
        site.answers = {
            "/": page(links("/products/a", f"http://{named}/products/b")),
            "/products/a": page(product("a")),
            "/products/b": page(product("b")),
        }
        job = crawl_job([f"{start}/"], hosts=[f"127.0.0.1:{site.port}", named])
        result = run(site, job, tmp_path / "pages.sqlite")
    assert site.times("/products/a") == 1
    assert site.times("/products/b") == 0
    assert "localhost is 127.0.0.1, a private address" in result.refused["/products/b"][1]
    assert "Traceback" not in capfd.readouterr().err


def test_a_crawl_delay_is_kept_and_one_page_is_requested_at_a_time(tmp_path: Path) -> None:
    open_now, most = [0], [0]

    def slow(handler: BaseHTTPRequestHandler) -> None:
        open_now[0] += 1
        most[0] = max(most[0], open_now[0])
        time.sleep(0.02)
        open_now[0] -= 1
        send(handler, *page(product("Slow")))  # type: ignore[misc]

    with serve(Site()) as site:
        paths = [f"/products/{number}" for number in range(5)]
        site.answers = dict.fromkeys(paths, slow) | {"/": page(links(*paths))}
        site.answers["/robots.txt"] = (200, {}, b"User-agent: *\nCrawl-delay: 0.4")
        result = run(site, crawl_job([f"{site.base}/"], concurrency=1), tmp_path / "pages.sqlite")
    assert len(result.rows) == 5
    assert most == [1]
    assert result.seconds > 5 * 0.4  # a lower bound: six pages stand 0.4 seconds apart


def test_the_pages_of_a_sitemap_are_fetched_and_not_followed(tmp_path: Path) -> None:
    with serve(Site()) as site:
        stock(site, 3)
        site.answers["/products/000"] = page(product("Pot") + links("/products/002"))
        entries = "".join(f"<url><loc>{site.base}/products/00{number}</loc></url>" for number in (0, 1))
        site.answers["/map.xml"] = (200, {"Content-Type": "text/xml"}, f"<urlset>{entries}</urlset>".encode())
        job = crawl_job([], hosts=[f"localhost:{site.port}"], sitemaps=[f"{site.base}/map.xml"])
        result = run(site, job, tmp_path / "pages.sqlite")
    assert set(result.rows) == {"/products/000", "/products/001"}
    assert site.times("/") == site.times("/products/002") == 0
