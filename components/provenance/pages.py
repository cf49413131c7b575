"""The pages that raw listings came from: fetched again, and compared with the hash that scrape noted.

A page of the demo shop is made again from its seed, that of another shop lies where the crawl kept it; the
row of a file is read again. What another source keeps is the hash alone.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from components.core.errors import PricewrightError
from components.sources import demo_shop, files
from components.sources.crawling.page_store import PageStore
from components.synthetic.catalogue import catalogue

Fetch = Callable[[str], bytes | None]
"""From a listing's address to the bytes of its page or row; None where it is gone."""


def pages(scrape: dict[str, Any]) -> Fetch | None:
    """How pages of the source are fetched again; None for a source that keeps none.

    `scrape` is that section of the params the listings were made with, as a plain dictionary: an older
    version may have been made with keys that are unknown today.
    """
    fetch = PAGES.get(scrape["source"])
    return None if fetch is None else fetch(scrape[scrape["source"]])


def holds(page: bytes, page_hash: str) -> bool:
    """Whether it is the page that was scraped."""
    return hashlib.sha256(page).hexdigest() == page_hash


def _demo_shop(section: dict[str, Any]) -> Fetch:
    products = catalogue(section["seed"], section["listings"], section["noise"])
    return demo_shop.site(products, base="").get


def _files(_: dict[str, Any]) -> Fetch:
    read: dict[str, dict[str, bytes]] = {}

    def fetch(address: str) -> bytes | None:
        path, _, number = address.rpartition(":")
        if path not in read:
            read[path] = _rows(Path(path))
        return read[path].get(number)

    return fetch


def _rows(path: Path) -> dict[str, bytes]:
    """The rows of a file by their number, as far as it can be read."""
    rows: dict[str, bytes] = {}
    with suppress(PricewrightError, csv.Error, *files.UNREADABLE):
        for entry in files.read(path):
            if not isinstance(entry, files.Fault):
                rows[str(entry[0])] = entry[1]
    return rows


def _shop(section: dict[str, Any]) -> Fetch:
    store = PageStore(Path(section["store"])) if Path(section["store"]).is_file() else None

    def fetch(address: str) -> bytes | None:
        page = store.get(address) if store else None
        return page.body if page else None

    return fetch


PAGES: dict[str, Callable[[dict[str, Any]], Fetch]] = {
    "demo_shop": _demo_shop,
    "files": _files,
    "shop": _shop,
}
