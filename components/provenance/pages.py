"""Fetches the page of a raw listing again, to compare it with the hash that `scrape` recorded.

A page of the demo shop is generated again from its seed, one of another shop is read from the store of its
crawl, a row of a file from the file, and a request from the table of requests, whatever the source beside it.
Of other sources only the hash is kept.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from components.core.errors import PricewrightError
from components.sources import demo_shop, requests
from components.sources.crawling.page_store import PageStore
from components.sources.tables.kinds import read
from components.sources.tables.lines import UNREADABLE, Fault
from components.synthetic.catalogue import catalogue

Fetch = Callable[[str], bytes | None]
"""From the address of a listing to the bytes of its page or row; None where it is gone."""


def page_fetcher(scrape: dict[str, Any]) -> Fetch | None:
    """The function that fetches pages of the source again; None for a source that keeps only hashes.

    `scrape` is that section of the params that the listings were scraped with, as a plain dictionary, because
    an older version may have keys that are unknown today.
    """
    fetcher = FETCHERS.get(scrape["source"])
    if fetcher is None:
        return None
    own, asked = fetcher(scrape[scrape["source"]]), _requests(scrape.get(requests.SOURCE, {}))
    return lambda address: (asked if address.startswith(f"{requests.SOURCE}:") else own)(address)


def is_unchanged(page: bytes, page_hash: str) -> bool:
    """Whether a page is the one that was scraped, by its SHA-256."""
    return hashlib.sha256(page).hexdigest() == page_hash


def _demo_shop(section: dict[str, Any]) -> Fetch:
    products = catalogue(section["seed"], section["listings"], section["noise"])
    return demo_shop.site(products, base="").get


def _files(section: dict[str, Any]) -> Fetch:
    columns = section.get("columns", {}).items()
    names = [column for field, column in columns if column is not None and field != "decimal"]
    bytes_max = section.get("unpacked_bytes_max", sys.maxsize)  # older versions had no limit
    read: dict[str, dict[str, bytes]] = {}

    def fetch(address: str) -> bytes | None:
        path, _, number = address.rpartition(":")
        if path not in read:
            read[path] = _rows(Path(path), names, bytes_max)
        return read[path].get(number)

    return fetch


def _rows(path: Path, names: list[str], bytes_max: int) -> dict[str, bytes]:
    """Row number to the bytes of the row, up to where the file is broken."""
    rows: dict[str, bytes] = {}
    with suppress(PricewrightError, *UNREADABLE):
        for entry in read(path, names, bytes_max):
            if not isinstance(entry, Fault):
                rows[str(entry[0])] = entry[1]
    return rows


def _shop(section: dict[str, Any]) -> Fetch:
    store = PageStore(Path(section["store"])) if Path(section["store"]).is_file() else None

    def fetch(address: str) -> bytes | None:
        page = store.get(address) if store else None
        return page.body if page else None

    return fetch


def _requests(section: dict[str, Any]) -> Fetch:
    path = Path(section.get("path") or "")

    def fetch(address: str) -> bytes | None:
        return requests.pages(path).get(address) if path.is_file() else None

    return fetch


FETCHERS: dict[str, Callable[[dict[str, Any]], Fetch]] = {
    "demo_shop": _demo_shop,
    "files": _files,
    "shop": _shop,
}
