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
from components.sources.extraction.attributes import attributes
from components.sources.extraction.dom import main_part
from components.sources.extraction.markup import readings
from components.sources.extraction.money import PRICE, amount, countries, currency, plain
from components.sources.extraction.nodes import Reading, Value, text
from components.sources.extraction.prices import NEAR, PROBABLE, PriceCandidate, prices
from components.sources.extraction.state import state

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
    price_kind: str
    """`range`: the lowest of a range; `from`: the lowest of several prices; `variants`: that of the variant
    which the URL picks, else of the first or cheapest, where they differ. Empty: the only one."""
    found_in: str
    """The reading of the price: `json-ld`, `microdata`, `rdfa`, `itemprop`, `state` (data of scripts),
    `attribute`, `meta`, `page`; or empty."""
    places: dict[str, str]
    """Field to place: `json-ld offers.price`, `meta og:title`, `page /html/body/main/p[2]`."""
    rights: str
    """The licence that the page states."""


EMPTY = Extracted("", "", "", "", {}, "", "", "", "", {}, "")


def extract(html: str, url: str) -> Extracted:
    """Extract the product of a page; `url` picks it where the markup describes several. Never raises."""
    tree = parse(html)
    if tree is None:
        return EMPTY
    heading = visible.title(tree)
    marked_up = list(readings(tree, url, heading))
    scripts, meta = [state(tree, url, heading), attributes(tree, heading)], marked_up.pop()
    visible_prices = [] if _is_article(tree) else prices(main_part(tree))
    fields = _merge([*marked_up, _visible(tree, heading), *scripts, meta, _head(tree)])
    marked_up += [*scripts, meta]
    price, code, kind = _choose_price(
        [reading for reading in marked_up if "price" in reading], visible_prices
    )
    if price and not re.fullmatch(r"[\d.,\s]+", price.text) and (first := PRICE.search(price.text)):
        price = price._replace(text=plain(first.group()))  # "Now $5" in an attribute
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
        price_kind=kind if price else "",
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
) -> tuple[Value | None, Value | None, str]:
    """Price, currency, kind: of markup that the page shows too, else a probable visible one, else of markup.

    A probable price beside that of the markup, and below it, is the sale price: many a plug-in writes the
    list price into the markup.
    """
    by_amount = {amount(price.text): price for price in reversed(visible_prices)}
    kind = next((reading["kind"].text for reading in marked_up if "kind" in reading), "")
    best = visible_prices[0] if visible_prices else None
    for reading in marked_up:
        if best and (candidate := by_amount.get(amount(reading["price"].text))):
            if _is_reduced(best, candidate):
                break
            code = currency(candidate.text)
            named = Value(code, f"page {candidate.place}") if code else reading.get("currency")
            return reading["price"], named, kind or candidate.kind
    if best and (best.score >= PROBABLE or not marked_up):
        return Value(best.text, f"page {best.place}"), None, kind or best.kind
    return (marked_up[0]["price"], marked_up[0].get("currency"), kind) if marked_up else (None, None, "")


def _is_reduced(best: PriceCandidate, marked_up: PriceCandidate) -> bool:
    """Whether the best visible price is a reduction, to a fifth at most, of the one that markup names."""
    low, high = amount(best.text) or 0, amount(marked_up.text) or 0
    same_currency = currency(best.text) == currency(marked_up.text)
    beside = abs(best.line - marked_up.line) <= NEAR and best.score >= PROBABLE and not best.kind
    return beside and same_currency and low < high <= 5 * low


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
