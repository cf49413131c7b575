"""The pages of a listing in the store of a crawl: its own, copies, redirects to it, those that name it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from components.provenance.stored_pages import StoredPages, pages_of
from components.sources.crawling.job import Failure
from components.sources.crawling.page_store import PageStore

SHOP = "https://shop.example"
OWN = f"{SHOP}/p/ann-smith?c=1&d=2"
COPY, MOVED, SHELF, OTHER = (f"{SHOP}/{path}" for path in ("kettle", "old", "shelf", "p/ann"))
HTML = {"Content-Type": "text/html; charset=utf-8"}
SECRET = "Ann Smith sells her kettle"


def fill(path: Path) -> None:
    """A store of two rounds; the page itself is of the first."""
    with closing(PageStore(path)) as store:
        for number in range(2):
            store.begin_round()
            if not number:
                store.put(OWN, 200, HTML, SECRET.encode() * 5000)
            canonical = '<link rel=canonical href="/p/ann-smith?c=1&amp;d=2">'
            store.put(COPY, 200, HTML, f"<html><head>{canonical}</head><body>{SECRET}</body></html>".encode())
            store.put(MOVED, 301, {"Location": "/p/ann-smith?c=1&d=2"}, b"")
            store.put(SHELF, 200, HTML, b'<a href="/p/ann-smith?c=1&amp;d=2">a kettle</a>')
            store.put(OTHER, 200, HTML, b"<h1>Another Ann</h1>")
            store.put_failure(Failure(OWN, "no_answer", "busy"))
            store.finish()


def test_pages_copies_and_redirects_are_told_from_those_that_only_name_the_address(tmp_path: Path) -> None:
    fill(tmp_path / "pages.sqlite")
    with closing(PageStore(tmp_path / "pages.sqlite")) as store:
        assert pages_of(store, OWN) == StoredPages([COPY, MOVED, OWN], [SHELF])


def test_what_is_erased_is_gone_from_the_bytes_of_the_files_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "pages.sqlite"
    fill(path)
    files = [path, path.with_name(path.name + "-wal")]
    assert any(OWN.encode() in file.read_bytes() for file in files if file.exists())
    with closing(PageStore(path)) as store:
        store.erase([OWN, COPY, MOVED])
        assert {page.url for page in store.all_pages()} == {SHELF, OTHER}
        assert list(store.failures()) == []
        assert not any(OWN.encode() in file.read_bytes() for file in files if file.exists())
