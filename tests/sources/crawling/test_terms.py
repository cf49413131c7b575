"""The terms of a host while it is crawled: which documents are asked for, and when again."""

from __future__ import annotations

import sqlite3
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from components.core.errors import PricewrightError
from tests.support.crawling import crawl_job, links, run, stock
from tests.support.site import Site, page, product, send, serve

LICENCE = b"<rsl><content url='/'><license><prohibits type='usage'>all</prohibits></license></content></rsl>"
TEXT = {"Content-Type": "text/plain"}


@pytest.mark.parametrize(
    ("path", "document", "rule"),
    [
        ("/robots.txt", b"User-agent: *\nContent-Signal: search=yes, ai-train=no", "content_signal"),
        ("/robots.txt", b"User-agent: GPTBot\nDisallow: /products/", "ai_agents"),
        ("/robots.txt", b"User-agent: *\nLicense: /license.xml", "rsl"),
        ("/ai.txt", b"User-Agent: *\nDisallow: /products/", "ai_txt"),
        ("/.well-known/tdmrep.json", b'[{"location": "/", "tdm-reservation": 1}]', "tdm_reservation"),
    ],
)
def test_a_page_that_its_host_reserves_is_rejected(
    tmp_path: Path, path: str, document: bytes, rule: str
) -> None:
    with serve(Site()) as site:
        stock(site, 2)
        site.answers["/license.xml"] = (200, {"Content-Type": "application/rsl+xml"}, LICENCE)
        site.answers[path] = (200, TEXT, document)
        result = run(site, crawl_job([f"{site.base}/"]), tmp_path / "pages.sqlite")
    assert result.rows == {}
    assert {stated for stated, _ in result.refused.values()} == {rule}


def test_a_licence_that_a_page_links_to_is_fetched_and_kept(tmp_path: Path) -> None:
    link = '<link rel="license" type="application/rsl+xml" href="/license.xml">'
    with serve(Site()) as site:
        stock(site, 2)
        site.answers["/products/000"] = page(product("Kept") + link)
        site.answers["/license.xml"] = (200, TEXT, LICENCE)
        result = run(site, crawl_job([f"{site.base}/"]), tmp_path / "pages.sqlite")
    assert set(result.rows) == {"/products/001"}
    assert result.refused["/products/000"] == ("rsl", f"RSL licence {site.base}/license.xml: prohibits all")
    assert site.times("/license.xml") == 1


def test_a_page_of_html_in_the_place_of_the_documents_states_nothing(tmp_path: Path) -> None:
    with serve(Site()) as site:
        stock(site, 2)
        site.answers["/ai.txt"] = page("User-agent: *\nDisallow: /")
        result = run(site, crawl_job([f"{site.base}/"]), tmp_path / "pages.sqlite")
    assert len(result.rows) == 2


def test_a_round_that_is_carried_on_after_a_day_asks_for_the_terms_again(tmp_path: Path) -> None:
    store = tmp_path / "pages.sqlite"
    with serve(Site()) as site:
        stock(site, 4)
        site.answers["/robots.txt"] = (200, TEXT, b"User-agent: *\nDisallow: /staff/")
        site.answers["/products/003"] = (429, {"Retry-After": "100"}, b"")
        job = crawl_job([f"{site.base}/"], concurrency=1, wait_max=1.0)
        with pytest.raises(PricewrightError, match="asks to wait"):
            run(site, job, store)
        site.answers["/robots.txt"] = (200, TEXT, b"User-agent: *\nDisallow: /products/003")
        site.answers["/.well-known/tdmrep.json"] = (200, {}, b'[{"location": "*2", "tdm-reservation": 1}]')
        with sqlite3.connect(store) as database:  # a day passes
            database.execute("UPDATE deferral SET until = until - 90000")
            database.execute("UPDATE terms SET time = time - 90000")
        result = run(site, job, store)
        assert site.times("/robots.txt") == site.times("/.well-known/tdmrep.json") == 2
    assert set(result.rows) == {"/products/000", "/products/001"}
    assert result.refused["/products/003"][0] == "robots"
    assert result.refused["/products/002"][0] == "tdm_reservation"
    assert site.times("/products/000") == 1


def test_a_round_that_is_carried_on_at_once_asks_for_no_terms_again(tmp_path: Path) -> None:
    store = tmp_path / "pages.sqlite"
    with serve(Site()) as site:
        stock(site, 4)
        site.answers["/robots.txt"] = (200, TEXT, b"User-agent: *\nDisallow: /staff/")
        site.answers["/products/003"] = (429, {"Retry-After": "2"}, b"")
        job = crawl_job([f"{site.base}/"], wait_max=1.0)
        with pytest.raises(PricewrightError, match="asks to wait"):
            run(site, job, store)
        site.answers["/products/003"] = page(product("Here"))
        time.sleep(2)
        result = run(site, job, store)
    assert len(result.rows) == 4
    assert site.times("/robots.txt") == 1


def test_a_crawl_that_lasts_longer_than_a_day_asks_for_robots_txt_while_it_runs(tmp_path: Path) -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.3)
        send(handler, *page(product("Slow")))  # type: ignore[misc]

    with serve(Site()) as site:
        paths = [f"/products/{number}" for number in range(10)]
        site.answers = dict.fromkeys(paths, slow) | {"/": page(links(*paths))}
        job = crawl_job([f"{site.base}/"], concurrency=1, terms_age_max=1.0)
        run(site, job, tmp_path / "pages.sqlite")
    assert 2 <= site.times("/robots.txt") <= 6
    assert site.times("/.well-known/tdmrep.json") == site.times("/ai.txt") >= 2
