"""Extracts listings from the stored pages of a crawl; a page that may not be used or has none is rejected."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import NamedTuple
from urllib.parse import urljoin

from components.core.schemas import Listing, Record, Reject
from components.sources import writable
from components.sources.crawling.addresses import canonical
from components.sources.crawling.opt_out import statement
from components.sources.crawling.page_store import Page, PageStore
from components.sources.crawling.site_terms import SiteTerms, read_terms
from components.sources.extraction.encoding import decode
from components.sources.extraction.money import amount, plain_number
from components.sources.extraction.product import extract, parse
from components.sources.extraction.workers import run_in_workers

REDIRECTS = (301, 302, 303, 307, 308)
Row = dict[str, str]


def read_listings(
    store: PageStore, products: str, languages: list[str], address: Callable[[str], str], seconds: float
) -> Iterator[tuple[type[Record], Row]]:
    """Listings and rejects from the product pages of the store's last round, in the order of their URLs.

    Each comes with its kind, a listing with the columns of `Listing` but `id` and `source`, a reject with
    those of `Reject` but these two. `products` is a regular expression that product pages match, `languages`
    the allowed ones (empty: any), `address` turns a URL into the address of its listing, and a page may take
    `seconds`.
    """
    for url in _loops(store, products, address):
        reason = "redirects in a circle"
        row = {"title": "", "target": "", "rule": "loop", "reason": reason, "address": address(url)}
        yield Reject, row
    moved: set[str] = set()
    tasks = _tasks(store, products, languages, address)
    for task, result in run_in_workers(tasks, _read_page, seconds):
        row, rule, reason = result.value or _unread(task, result.failure, seconds)
        own = canonical(row.pop("canonical", ""), task.page.url)
        is_elsewhere = own != task.page.url and re.search(products, address(own))
        if not rule and (is_elsewhere or task.address in moved):
            rule, reason = _check_copy(store, task.page.url, own, address(own), moved)
            row["address"] = row["address"] if rule else address(own)
        if rule:
            rejection = {"title": row["title"], "target": row["price"], "rule": rule, "reason": reason}
            yield Reject, {**rejection, "address": row["address"]}
        else:
            yield Listing, row


def _check_copy(store: PageStore, url: str, own: str, address: str, moved: set[str]) -> tuple[str, str]:
    """The rule and reason where the page of the address that a page gives as its own has been read already.

    Pages come in the order of their URLs; `moved` holds the addresses given to pages that came before theirs.
    """
    page = store.get(own)
    is_read = page is not None and (page.round, page.status) == (store.round, 200) and own < url
    if is_read or address in moved:
        return "duplicate", f"the page says that it is a copy of {address}"
    moved.add(address)
    return "", ""


class _Task(NamedTuple):
    page: Page
    address: str
    terms: SiteTerms
    """What the page's host states."""
    languages: list[str]


def _tasks(
    store: PageStore, products: str, languages: list[str], address: Callable[[str], str]
) -> Iterator[_Task]:
    terms: dict[str, SiteTerms] = {}
    for page in _product_pages(store, products, address):
        host = urljoin(page.url, "/")
        if host not in terms:
            terms[host] = read_terms(store, host)
        yield _Task(page, address(page.url), terms[host], languages)


def _unread(task: _Task, failure: str | None, seconds: float) -> tuple[Row, str, str]:
    reasons = {
        "too_slow": f"not read within {seconds:g} seconds, the most that a page may take",
        "crashed": "the process that read it ended, as where memory runs out",
    }
    return {"title": "", "price": "", "address": task.address}, failure or "", reasons[failure or "crashed"]


def _product_pages(store: PageStore, products: str, address: Callable[[str], str]) -> Iterator[Page]:
    pattern = re.compile(products)
    for page in store.pages():
        media_type = page.headers.get("Content-Type", "text/html")
        if page.status == 200 and "html" in media_type.lower() and pattern.search(address(page.url)):
            yield page


def _loops(store: PageStore, products: str, address: Callable[[str], str]) -> Iterator[str]:
    """URLs of products whose redirects form a circle, which the crawler leaves without a page."""
    redirects = {
        page.url: urljoin(page.url, page.headers["Location"])
        for page in store.pages()
        if page.status in REDIRECTS and "Location" in page.headers
    }
    for url in redirects:
        visited, at = {url}, redirects[url]
        while at in redirects and at not in visited:
            visited.add(at)
            at = redirects[at]
        if at in visited and re.search(products, address(url)):
            yield url


def _read_page(task: _Task) -> tuple[Row, str, str]:
    """The listing of a page, and the rule and reason where it is rejected, else two empty texts."""
    page, address, terms, languages = task
    html = decode(page.body, page.headers.get("Content-Type"))
    tree = parse(html)
    stated = statement(tree, page.headers, page.url, terms)
    fields = asdict(extract(html, address))
    if kind := fields.pop("price_kind"):
        fields["places"]["price"] += f" ({kind})"
    fields["rights"] = "; ".join(filter(None, (fields["rights"], stated.text)))
    fields |= {name: json.dumps(fields[name], ensure_ascii=False) for name in ("details", "places")}
    fields["amount"] = plain_number(amount(fields["price"]))
    links = tree.xpath("//link[@rel='canonical']/@href") if tree is not None else []
    fields["canonical"] = next(iter(links), "")
    row = {"address": address, "page_hash": hashlib.sha256(page.body).hexdigest(), **fields}
    row = {name: writable(value) for name, value in row.items()}
    if stated.rule:
        return {**row, "title": "", "price": ""}, stated.rule, stated.text
    language = (tree.get("lang") or "").lower() if tree is not None else ""
    if languages and language and language.split("-")[0] not in languages:
        return (
            row,
            "other_language",
            f"the page says that it is in {language}, not in {' or '.join(languages)}",
        )
    if not fields["title"] and not fields["price"]:
        return row, "no_product", "no title and no price on the page"
    return row, "", ""
