"""Rows of files are read again and compared with the hash that scrape noted."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from components.core.params.scrape import Columns, Files
from components.provenance import pages
from components.sources import files, requests
from components.sources.crawling.page_store import PageStore
from tests.support.scraped import collected

COLUMNS = Columns(
    id=None,
    decimal=None,
    title="title",
    description=None,
    price="price",
    currency=None,
    brand=None,
    category=None,
    details=None,
    rights=None,
)
FILES = {"source": "files", "files": {"columns": COLUMNS.model_dump()}}


def listings(*paths: str) -> pd.DataFrame:
    section = Files(paths=list(paths), columns=COLUMNS, lost_rows_max=1.0, unpacked_bytes_max=2**30)
    return collected(lambda spool: files.collect(section, spool)).rows


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text('{"title": "A lamp", "price": 12.50}\n\n{"title": "A pan", "price": "9"}\n')
    with gzip.open("b.csv.gz", "wt") as file:
        file.write("title,price\nA chair,30\n")


def test_a_row_of_a_file_is_found_again_by_its_address() -> None:
    rows = listings("a.jsonl", "b.csv.gz")
    fetch = pages.page_fetcher(FILES)
    assert fetch is not None
    fetched = {address: fetch(address) for address in rows["address"]}
    assert fetched["a.jsonl:3"] == b'{"title": "A pan", "price": "9"}'
    assert len(fetched) == 3
    for address, page_hash in zip(rows["address"], rows["page_hash"], strict=True):
        page = fetched[address]
        assert page is not None
        assert pages.is_unchanged(page, page_hash)


def test_a_row_that_was_edited_a_broken_file_and_one_that_is_gone_are_told_apart() -> None:
    rows = listings("a.jsonl").set_index("address")
    Path("a.jsonl").write_text('{"title": "A lamp", "price": 99.50}\n')
    fetch = pages.page_fetcher(FILES)
    assert fetch is not None
    edited = fetch("a.jsonl:1")
    assert edited is not None
    assert not pages.is_unchanged(edited, rows.loc["a.jsonl:1", "page_hash"])
    assert fetch("a.jsonl:3") is None
    Path("b.csv.gz").write_bytes(b"cut short")
    assert fetch("b.csv.gz:1") is None
    assert fetch("nowhere.parquet:1") is None


def test_a_page_of_a_shop_is_found_where_the_crawl_kept_it() -> None:
    store = PageStore(Path("pages.sqlite"))
    store.put("http://shop.example/p/1", 200, {}, b"<h1>A lamp</h1>")
    store.close()
    fetch = pages.page_fetcher({"source": "shop", "shop": {"store": "pages.sqlite"}})
    assert fetch is not None
    assert fetch("http://shop.example/p/1") == b"<h1>A lamp</h1>"
    assert fetch("http://shop.example/p/2") is None
    swept = pages.page_fetcher({"source": "shop", "shop": {"store": "gone.sqlite"}})
    assert swept is not None
    assert swept("http://shop.example/p/1") is None
    assert not Path("gone.sqlite").exists()


def test_a_request_is_found_in_the_table_of_requests_beside_the_rows_of_the_source() -> None:
    row = {"key": "order 7:1", "row": 0, "text": "A lamp\nof steel", "value": "49.9"}
    pd.DataFrame([row]).to_parquet("requests.parquet")
    fetch = pages.page_fetcher(FILES | {"requests": {"path": "requests.parquet"}})
    assert fetch is not None
    listed = requests.listing(**row)
    page = fetch(listed["address"])
    assert page is not None
    assert pages.is_unchanged(page, listed["page_hash"])
    assert fetch("a.jsonl:1") is not None
    assert fetch("requests:order 8:0") is None
    Path("requests.parquet").unlink()
    assert fetch(listed["address"]) is None


def test_a_source_that_keeps_hashes_alone_has_no_pages() -> None:
    assert pages.page_fetcher({"source": "crawled", "crawled": {}}) is None
