"""From stored pages to listings: which pages are products, and which go round in a circle."""

from pathlib import Path

from components.sources.crawling.page_store import PageStore
from components.sources.extraction.pages import read_listings


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
    rows, refused = read_listings(store, "/p/", [], lambda url: url.removeprefix("http://a"), 30.0)
    assert [(row["address"], row["price"]) for row in rows] == [("/p/1", "$5")]
    assert refused == []


def test_redirects_in_a_circle_are_refused_and_those_that_end_are_not(tmp_path: Path) -> None:
    store = PageStore(tmp_path / "pages.sqlite")
    store.begin_round()
    for url, target in (("1", "2"), ("2", "1"), ("3", "4"), ("5", "5")):
        store.put(f"http://a/p/{url}", 302, {"Location": f"/p/{target}"}, b"")
    store.put("http://a/p/4", 200, {}, b"<h1>Kettle</h1>")
    rows, refused = read_listings(store, "/p/", [], str, 30.0)
    assert [row["address"] for row in rows] == ["http://a/p/4"]
    assert [(row["address"], row["rule"]) for row in refused] == [
        (f"http://a/p/{number}", "loop") for number in (1, 2, 5)
    ]
