"""Extracts the product of a page: one pure function, from HTML and URL to `Extracted`.

The readings of a page are, from the most to the least explicit: JSON-LD, microdata, RDFa, properties outside
of any item, the visible page, meta tags. A field that is missing in one reading comes from the next. A price
in markup should also be visible, because what no visitor sees is the first to be out of date.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from lxml import etree
from lxml.html import HtmlElement, HTMLParser, document_fromstring

from components.sources.extraction import visible
from components.sources.extraction.dom import main_part
from components.sources.extraction.markup import Reading, Value, readings, text
from components.sources.extraction.money import PRICE, amount, countries, currency, plain
from components.sources.extraction.prices import PROBABLE, PriceCandidate, prices

TEXTS = ("title", "description", "brand", "category", "details", "rights")


@dataclass(frozen=True)
class Extracted:
    """A product as its page describes it; a field is empty where the page does not state it."""

    title: str
    description: str
    brand: str
    category: str
    details: dict[str, str]
    """Specifications, name to value."""
    price: str
    """As written."""
    currency: str
    """ISO 4217 code; empty where the page has a bare `$` and does not tell its country."""
    found_in: str
    """The reading of the price: `json-ld`, `microdata`, `rdfa`, `itemprop`, `meta`, `page`; or empty."""
    places: dict[str, str]
    """Field to place: `json-ld offers.price`, `meta og:title`, `page /html/body/main/p[2]`."""
    rights: str
    """The licence that the page states."""


EMPTY = Extracted("", "", "", "", {}, "", "", "", {}, "")


def extract(html: str, url: str) -> Extracted:
    """Extract the product of a page; `url` picks it where the markup describes several. Never raises."""
    tree = parse(html)
    if tree is None:
        return EMPTY
    heading = visible.title(tree)
    marked_up = list(readings(tree, url, heading))
    visible_prices = [] if _is_article(tree) else prices(main_part(tree))
    fields = _merge([*marked_up[:-1], _visible(tree, heading), marked_up[-1], _head(tree)])
    price, code = _choose_price([reading for reading in marked_up if "price" in reading], visible_prices)
    if price and re.search(r"[^\W\d]", price.text) and (bare := PRICE.search(price.text)):
        price = price._replace(text=plain(bare.group()))  # "Now $5" in an attribute
    if price and not code:
        named = next((reading["currency"].text for reading in marked_up if "currency" in reading), "")
        local = currency(price.text, countries(tree.get("lang") or "", url))
        code = Value(local or named, price.place)
    places = fields | ({"price": price} if price else {}) | ({"currency": code} if code and code.text else {})
    return Extracted(
        **{name: fields[name].text if name in fields else "" for name in TEXTS if name != "details"},
        details=json.loads(fields["details"].text) if "details" in fields else {},
        price=price.text if price else "",
        currency=code.text if code else "",
        found_in=price.place.partition(" ")[0] if price else "",
        places={name: value.place for name, value in places.items()},
    )


def parse(html: str) -> HtmlElement | None:
    """The page as a tree; None for an empty one."""
    try:
        # Bytes, because lxml refuses text that declares an encoding.
        return document_fromstring(html.encode("utf-8", "replace"), parser=HTMLParser(encoding="utf-8"))
    except (etree.LxmlError, ValueError):  # an empty document
        return None


def _is_article(tree: HtmlElement) -> bool:
    """Whether the page is an article, whose prices are no offers."""
    return bool(tree.xpath("//meta[@property='og:type'][@content='article']"))


def _merge(ranked: list[Reading]) -> Reading:
    """Each field but the price from the first reading that has it."""
    return {
        name: next(reading[name] for reading in ranked if name in reading)
        for name in TEXTS
        if any(name in reading for reading in ranked)
    }


def _choose_price(
    marked_up: list[Reading], visible_prices: list[PriceCandidate]
) -> tuple[Value | None, Value | None]:
    """Price and currency: of markup that the page shows too, else a probable visible one, else of markup."""
    by_amount = {amount(price.text): price for price in reversed(visible_prices)}
    for reading in marked_up:
        if candidate := by_amount.get(amount(reading["price"].text)):
            code = currency(candidate.text)
            return reading["price"], Value(code, f"page {candidate.place}") if code else reading.get(
                "currency"
            )
    if visible_prices and (visible_prices[0].score >= PROBABLE or not marked_up):
        return Value(visible_prices[0].text, f"page {visible_prices[0].place}"), None
    return (marked_up[0]["price"], marked_up[0].get("currency")) if marked_up else (None, None)


def _visible(tree: HtmlElement, heading: str) -> Reading:
    """The reading of the visible page, without the price."""
    main = main_part(tree)
    details = visible.details(main)
    written = {
        "title": heading,
        "description": visible.description(main),
        "brand": details.pop("Brand", ""),
        "category": visible.category(tree),
        "details": json.dumps(details) if details else "",
    }
    return {name: Value(value, "page") for name, value in written.items() if value}


def _head(tree: HtmlElement) -> Reading:
    """The last resorts: the title of the window, and a link to a licence."""
    window = tree.find(".//title")
    licence = next(iter(tree.xpath("//*[@rel='license']/@href")), "")
    written = {"title": text(window.text if window is not None else ""), "rights": text(licence)}
    return {name: Value(value, "head") for name, value in written.items() if value}
