"""From stored pages to listings: which pages are products, and which go round in a circle."""

from pathlib import Path

from components.sources.crawling.page_store import PageStore
from components.sources.extraction.pages import read_listings
from tests.support.crawling import listings_and_rejects


def test_only_pages_of_products_are_read(tmp_path: Path) -> None:
    store = PageStore(tmp_path / "pages.sqlite")
    store.begin_round()
    body = b"<h1>Kettle</h1><p class=price>$5</p>"
    for url, status, kind in (
        ("http://a/p/1", 200, "text/html"),
        ("http://a/p/2", 404, "text/html"),
        ("http://a/p/3", 200, "image/png"),
        ("http://a/about", 200, "text/html"),
    ):
        store.put(url, status, {"Content-Type": kind}, body)
    rows, refused = listings_and_rejects(
        read_listings(store, "/p/", [], lambda url: url.removeprefix("http://a"), 30.0)
    )
    assert [(row["address"], row["price"]) for row in rows] == [("/p/1", "$5")]
    assert refused == []


def test_redirects_in_a_circle_are_refused_and_those_that_end_are_not(tmp_path: Path) -> None:
    store = PageStore(tmp_path / "pages.sqlite")
    store.begin_round()
    for url, target in (("1", "2"), ("2", "1"), ("3", "4"), ("5", "5")):
        store.put(f"http://a/p/{url}", 302, {"Location": f"/p/{target}"}, b"")
    store.put("http://a/p/4", 200, {}, b"<h1>Kettle</h1>")
    rows, refused = listings_and_rejects(read_listings(store, "/p/", [], str, 30.0))
    assert [row["address"] for row in rows] == ["http://a/p/4"]
    assert [(row["address"], row["rule"]) for row in refused] == [
        (f"http://a/p/{number}", "loop") for number in (1, 2, 5)
    ]


def test_a_page_has_the_address_that_it_gives_as_its_own_and_copies_are_rejected(tmp_path: Path) -> None:
    store = PageStore(tmp_path / "pages.sqlite")
    store.begin_round()
    own = {
        "/c/x/p/1": "/p/1",  # read before the page that it names
        "/p/1": "/p/1",
        "/p/1?color=red": "http://a/p/1#top",
        "/p/2?a=1": "/p/2",  # the page that it names was not fetched
        "/p/2?a=2": "/p/2",
        "/p/3": "http://elsewhere/p/3",
        "/p/4": "/",  # a theme that names the front page everywhere
        "/p/5": "/p/6",
        "/p/6": "/p/5",
        "/p/7": "http://[",
    }
    for path, href in own.items():
        body = f"<link rel=canonical href='{href}'><h1>Kettle {path}</h1><p class=price>$5</p>"
        store.put(f"http://a{path}", 200, {}, body.encode())
    rows, rejected = listings_and_rejects(
        read_listings(store, "/p/", [], lambda url: url.removeprefix("http://a"), 30.0)
    )
    assert [row["address"] for row in rows] == ["/p/1", "/p/2", "/p/3", "/p/4", "/p/6", "/p/7"]
    assert [(row["address"], row["rule"]) for row in rejected] == [
        ("/p/1", "duplicate"),
        ("/p/1?color=red", "duplicate"),
        ("/p/2?a=2", "duplicate"),
        ("/p/6", "duplicate"),
    ]
    assert rejected[1]["reason"] == "the page says that it is a copy of /p/1"
