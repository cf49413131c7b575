"""The crawler against a real server that is as bad as servers get."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.scrape import scrape
from components.sources.crawling.crawl import Crawled, crawl
from components.sources.crawling.order import Order
from components.sources.crawling.page_store import Store
from components.sources.extraction.pages import Row, read
from tests.support.site import Site, page, product, send, serve

PRODUCTS = "/products/"
MEGABYTE = 2**20
ROBOTS = "User-agent: *\nDisallow: /closed/\nCrawl-delay: 0.02\nSitemap: {base}/sitemap.xml\n"


def order(start: list[str], **changes: object) -> Order:
    """An order with the limits of a test."""
    made = Order(
        start=start,
        sitemaps=[],
        pages=[],
        hosts=[url.split("/")[2] for url in start],
        products=PRODUCTS,
        agent="Pricewright/0.1 (+mailto:tests@shop.example)",
        concurrency=4,
        delay=0.01,
        retries=1,
        pages_max=200,
        bytes_max=100 * MEGABYTE,
        page_bytes_max=MEGABYTE,
        page_seconds_max=2.0,
    )
    return replace(made, **changes)


class Result(NamedTuple):
    crawled: Crawled
    rows: dict[str, Row]
    """By path."""
    refused: dict[str, tuple[str, str]]
    """Rule and reason by path, of pages and of addresses that gave none."""
    site: Site
    seconds: float
    memory: int
    """Bytes that the crawling process had at most."""


@contextmanager
def watched() -> Iterator[list[int]]:
    """The bytes in memory of the crawling process, while the block lasts."""
    sizes, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    if "components.sources.crawling.spider" in child.cmdline():
                        sizes.append(child.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield sizes
    done.set()
    watcher.join()


def run(site: Site, made: Order, store: Path) -> Result:
    start = time.monotonic()
    with watched() as sizes:
        crawled = crawl(made, store)
    kept = Store(store)
    rows, refused = read(kept, PRODUCTS, ["en"], lambda url: url.removeprefix(site.base))
    kept.close()
    lost = {one.url.removeprefix(site.base): (one.rule, one.reason) for one in crawled.failures}
    return Result(
        crawled,
        {row["address"]: row for row in rows},
        lost | {row["address"]: (row["rule"], row["reason"]) for row in refused},
        site,
        time.monotonic() - start,
        max(sizes),
    )


def links(*paths: str) -> str:
    return "".join(f'<a href="{path}">x</a>' for path in paths)


def huge(handler: BaseHTTPRequestHandler) -> None:
    """Two gigabytes, as it says at once."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", str(2**31))
    handler.end_headers()
    for _ in range(2**11):
        handler.wfile.write(b"x" * MEGABYTE)


def unannounced(handler: BaseHTTPRequestHandler) -> None:
    """As much, without a word of it."""
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
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    """One crawl of a shop in which everything is wrong that can be, and two products that are right."""
    with serve(Site()) as site, serve(Site()) as other:
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
            "/products/away": (302, {"Location": f"{other.base}/products/stolen"}, b""),
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
        store = tmp_path_factory.mktemp("odd") / "pages.sqlite"
        yield run(site, order(start, hosts=hosts, pages_max=120), store)
        assert other.asked == []


def test_what_is_right_is_found_whatever_is_wrong_beside_it(odd: Result) -> None:
    assert set(odd.rows) == {"/products/good", "/products/latin", "/products/mapped", "/products/free"}
    assert odd.rows["/products/good"]["price"] == "$24.50"
    assert odd.seconds < 60


@pytest.mark.parametrize(
    ("path", "rule", "reason"),
    [
        ("/products/huge", "too_large", f"page_bytes_max, {MEGABYTE}"),
        ("/products/unannounced", "too_large", f"page_bytes_max, {MEGABYTE}"),
        ("/products/bomb", "too_large", "decompress"),
        ("/products/endless", "no_answer", "(?i)took longer|timeout|timed out"),
        ("/products/loop", "loop", "in a circle"),
        ("/products/away", "outside", "none of the allowed hosts"),
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
def test_what_is_wrong_is_named_with_its_rule(odd: Result, path: str, rule: str, reason: str) -> None:
    found = odd.refused[path]
    assert found[0] == rule, found
    assert re.search(reason, found[1]), found


def test_a_page_in_another_encoding_than_it_says_is_read_all_the_same(odd: Result) -> None:
    assert odd.rows["/products/latin"]["title"] == "Café"
    assert odd.rows["/products/latin"]["currency"] == "GBP"


def test_what_a_page_says_of_its_use_stays_with_its_listing(odd: Result) -> None:
    assert odd.rows["/products/free"]["rights"] == "tdm-reservation: 0 (header)"
    assert odd.rows["/products/good"]["rights"] == ""


def test_pages_without_an_end_stop_at_the_cap_and_starve_no_product(odd: Result) -> None:
    assert odd.crawled.stopped == "pages_max"
    assert len(odd.site.asked) < 200
    assert all(len(path) < 1100 for path, _ in odd.site.asked)


def test_a_private_address_that_is_no_start_address_is_not_asked(odd: Result) -> None:
    private = f"http://127.0.0.1:{odd.site.port}/products/private"
    assert odd.site.times("/products/private") == 0
    assert private in odd.refused


def test_the_crawler_says_who_it_is_and_asks_for_robots_txt_first(odd: Result) -> None:
    assert odd.site.asked[0][0] == "/robots.txt"
    assert odd.site.times("/closed/products/1") == 0
    assert {headers["User-Agent"] for _, headers in odd.site.asked} == {
        "Pricewright/0.1 (+mailto:tests@shop.example)"
    }


def test_the_memory_of_the_crawl_is_bounded_whatever_is_sent(odd: Result) -> None:
    assert (
        30 * MEGABYTE < odd.memory < 400 * MEGABYTE
    )  # one page of the shop has two gigabytes, one unpacks to fifty megabytes


def shop_of(site: Site, count: int) -> None:
    paths = [f"/products/{number:03}" for number in range(count)]
    site.answers = {path: page(product(path), ETag=f'"{path}"') for path in paths}
    site.answers["/"] = page(links(*paths))


def test_a_second_crawl_takes_over_only_what_has_changed(tmp_path: Path) -> None:
    with serve(Site()) as site:
        shop_of(site, 6)
        first = run(site, order([f"{site.base}/"]), tmp_path / "pages.sqlite")
        site.answers["/products/001"] = page(product("New", "$9"), ETag='"new"')
        del site.answers["/products/002"]
        second = run(site, order([f"{site.base}/"]), tmp_path / "pages.sqlite")
    assert second.crawled.counts["not_modified"] == 4
    assert set(first.rows) - set(second.rows) == {"/products/002"}
    changed = {path for path in second.rows if second.rows[path] != first.rows[path]}
    assert changed == {"/products/001"}
    assert second.rows["/products/001"]["price"] == "$9"


def test_a_page_without_an_etag_is_asked_whether_it_was_modified_since(tmp_path: Path) -> None:
    old, new = "Mon, 01 Jun 2026 10:00:00 GMT", "Tue, 02 Jun 2026 10:00:00 GMT"
    with serve(Site()) as site:
        site.answers = {f"/products/{name}": page(product(name), Last_Modified=old) for name in ("a", "b")}
        site.answers["/"] = page(links("/products/a", "/products/b"))
        run(site, order([f"{site.base}/"]), tmp_path / "pages.sqlite")
        site.answers["/products/b"] = page(product("b", "$9"), Last_Modified=new)
        second = run(site, order([f"{site.base}/"]), tmp_path / "pages.sqlite")
    assert second.crawled.counts["not_modified"] == 1
    assert [second.rows[f"/products/{name}"]["price"] for name in ("a", "b")] == ["$24.50", "$9"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_shop_is_left_alone_for_as_long_as_it_asks(tmp_path: Path, status: int) -> None:
    times: list[float] = []

    def busy(handler: BaseHTTPRequestHandler) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            send(handler, status, {"Retry-After": "2"}, b"later")
        else:
            send(handler, *page(product("Busy")))  # type: ignore[misc]

    with serve(Site()) as site:
        site.answers = {"/": page(links("/products/busy")), "/products/busy": busy}
        result = run(site, order([f"{site.base}/"]), tmp_path / "pages.sqlite")
    assert "/products/busy" in result.rows
    assert times[1] - times[0] > 1.9  # a lower bound


def test_an_allowed_name_that_resolves_to_a_private_address_is_not_asked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serve(Site()) as site:
        start, named = f"http://127.0.0.1:{site.port}", f"localhost:{site.port}"
        site.answers = {
            "/": page(links("/products/a", f"http://{named}/products/b")),
            "/products/a": page(product("a")),
            "/products/b": page(product("b")),
        }
        made = order([f"{start}/"], hosts=[f"127.0.0.1:{site.port}", named])
        result = run(site, made, tmp_path / "pages.sqlite")
    assert site.times("/products/a") == 1
    assert site.times("/products/b") == 0
    assert "localhost is 127.0.0.1, a private address" in result.refused["/products/b"][1]
    assert "Traceback" not in capfd.readouterr().err


def test_a_crawl_that_is_killed_carries_on_and_loses_no_page(tmp_path: Path) -> None:
    with serve(Site()) as site:
        shop_of(site, 60)
        made = order([f"{site.base}/"], concurrency=1, delay=0.05)
        code = (
            "import json, sys; from pathlib import Path; "
            "from components.sources.crawling.crawl import crawl; "
            "from components.sources.crawling.order import Order; "
            "crawl(Order(**json.loads(sys.argv[1])), Path(sys.argv[2]))"
        )
        store = tmp_path / "pages.sqlite"
        command = [sys.executable, "-c", code, json.dumps(asdict(made)), str(store)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
            while len(site.asked) < 20:
                assert running.poll() is None
                time.sleep(0.05)
            [child] = psutil.Process(running.pid).children()
            os.kill(running.pid, signal.SIGKILL)
            child.wait(timeout=20)  # who waited for it is gone, so it ends
        kept = Store(store)
        had = {one.url.removeprefix(site.base) for one in kept.pages()}
        kept.close()
        result = run(site, replace(made, concurrency=4, delay=0.01), store)
    assert 10 < len(had) < 60
    assert len(result.rows) == 60
    assert {path for path in had if site.times(path) != 1} == set()


def test_two_crawls_of_one_store_do_not_meet(tmp_path: Path) -> None:
    store = tmp_path / "pages.sqlite"
    with store.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(PricewrightError, match="another crawl is at work"):
            crawl(order(["http://localhost:1/"]), store)


def test_a_shop_that_asks_for_a_delay_gets_it_and_is_asked_one_page_at_a_time(tmp_path: Path) -> None:
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
        result = run(site, order([f"{site.base}/"], concurrency=1), tmp_path / "pages.sqlite")
    assert len(result.rows) == 5
    assert most == [1]
    assert result.seconds > 5 * 0.4  # a lower bound: six pages stand 0.4 seconds apart


def test_a_crawl_stops_at_its_cap_of_bytes_and_says_so(tmp_path: Path) -> None:
    with serve(Site()) as site:
        paths = [f"/products/{number}" for number in range(30)]
        site.answers = {path: page(product("Pot") + "x" * 100_000) for path in paths}
        site.answers["/"] = page(links(*paths))
        made = order([f"{site.base}/"], concurrency=1, bytes_max=500_000)
        result = run(site, made, tmp_path / "pages.sqlite")
    assert result.crawled.stopped == "bytes_max"
    assert 3 < len(result.rows) < 10


def test_a_sitemap_is_enough_and_its_pages_are_not_followed(tmp_path: Path) -> None:
    with serve(Site()) as site:
        shop_of(site, 3)
        site.answers["/products/000"] = page(product("Pot") + links("/products/002"))
        entries = "".join(f"<url><loc>{site.base}/products/00{number}</loc></url>" for number in (0, 1))
        site.answers["/map.xml"] = (200, {"Content-Type": "text/xml"}, f"<urlset>{entries}</urlset>".encode())
        made = order([], hosts=[f"localhost:{site.port}"], sitemaps=[f"{site.base}/map.xml"])
        result = run(site, made, tmp_path / "pages.sqlite")
    assert set(result.rows) == {"/products/000", "/products/001"}
    assert site.times("/") == site.times("/products/002") == 0


def section(params: Params, tmp_path: Path, **shop: object) -> object:
    """The scrape section with a shop."""
    limits = {
        "contact": "mailto:a@b.example",
        "delay": 0.01,
        "retries": 0,
        "store": str(tmp_path / "s.sqlite"),
    }
    return params.scrape.model_copy(
        update={"source": "shop", "shop": params.scrape.shop.model_copy(update={**limits, **shop})}
    )


def test_a_list_of_pages_is_fetched_and_nothing_else(params: Params, tmp_path: Path) -> None:
    with serve(Site()) as site:
        shop_of(site, 3)
        site.answers["/products/000"] = page(product("Kettle") + links("/products/001"))
        found = scrape(
            section(params, tmp_path, pages=[f"{site.base}/products/000", f"{site.base}/products/x"])
        )
    assert list(found.listings["title"]) == ["Kettle"]
    assert list(found.listings["address"]) == [f"{site.base}/products/000"]
    assert set(found.listings["source"]) == {"shop"}
    assert json.loads(found.listings["places"][0])["price"].startswith("page /html")
    assert list(found.rejects["rule"]) == ["not_found"]
    assert found.report["notes"] == [f"{site.base}/products/x: the server answers 404"]
    assert found.report["shop"]["rejected"] == {"not_found": 1}
    assert site.times("/products/001") == 0


def test_a_shop_that_forbids_everything_gives_an_error_that_says_so(params: Params, tmp_path: Path) -> None:
    with serve(Site()) as site:
        site.answers["/robots.txt"] = (200, {}, b"User-agent: *\nDisallow: /")
        with pytest.raises(PricewrightError, match=r"no listings(.|\n)*Forbidden by robots\.txt"):
            scrape(section(params, tmp_path, start=[f"{site.base}/"]))
    assert [path for path, _ in site.asked] == ["/robots.txt"]


def test_a_shop_that_is_down_gives_an_error_that_says_so(params: Params, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(PricewrightError, match=rf"no listings(.|\n)*http://localhost:{port}/"):
        scrape(section(params, tmp_path, start=[f"http://localhost:{port}/"]))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, "names no address"),
        ({"start": ["shop.example"]}, "is no address"),
        ({"start": ["https://shop.example/"], "contact": None}, r"contact is empty"),
    ],
)
def test_a_shop_that_cannot_be_crawled_politely_is_not_crawled(
    params: Params, tmp_path: Path, changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(PricewrightError, match=complaint):
        scrape(section(params, tmp_path, **changes))
