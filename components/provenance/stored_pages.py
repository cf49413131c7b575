"""The pages of a listing in the store of a crawl."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from components.sources.crawling.addresses import canonical
from components.sources.crawling.page_store import Page, PageStore
from components.sources.extraction.encoding import decode
from components.sources.extraction.product import parse


class StoredPages(NamedTuple):
    """URLs in the store of a crawl, sorted."""

    own: list[str]
    """The listing's page, copies that give its address as theirs, and redirects to it."""
    mentions: list[str]
    """Further pages that name its address."""


def pages_of(store: PageStore, address: str) -> StoredPages:
    """The pages of a listing's address, of all rounds, and those that name it."""
    path = urlsplit(address)._replace(scheme="", netloc="").geturl()
    written = {form.encode() for form in (path, path.replace("&", "&amp;"))}
    pages = StoredPages([], [])
    for page in store.all_pages():
        if page.url == address or urljoin(page.url, page.headers.get("Location", page.url)) == address:
            pages.own.append(page.url)
        elif any(form in page.body for form in written):
            (pages.own if _own_address(page) == address else pages.mentions).append(page.url)
    return pages


def _own_address(page: Page) -> str:
    """The address that a page gives as its own."""
    tree = parse(decode(page.body, page.headers.get("Content-Type")))
    links = tree.xpath("//link[@rel='canonical']/@href") if tree is not None else []
    return canonical(next(iter(links), ""), page.url)
