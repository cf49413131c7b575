"""What a shop's page says of the product that it sells: one pure function, from HTML to `Found`.

A page is read three ways, from the most to the least explicit: schema.org JSON-LD, schema.org microdata,
and what a visitor sees. A field that one reading lacks is taken from the next. Prices stay as written.
"""

from __future__ import annotations

import html as entities
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from lxml import etree
from lxml.html import HtmlElement, HTMLParser, document_fromstring

from components.sources.visible import Visible, currency, read_page

Node = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """One product as its page describes it; empty where the page says nothing."""

    title: str
    description: str
    brand: str
    category: str
    details: dict[str, str]
    """Specifications, name to value."""
    price: str
    """As written."""
    currency: str
    """ISO 4217 code; empty where the page shows a mere `$`, which several countries use."""
    found_in: str
    """Where the price was: `json-ld`, `microdata`, `page`; empty where nowhere."""


NOTHING = Found("", "", "", "", {}, "", "", "")


def extract(html: str, url: str) -> Found:
    """Read a product page; `url` tells the product apart where the markup holds several. Never raises."""
    tree = _parse(html)
    if tree is None:
        return NOTHING
    found = NOTHING
    for place, nodes in (("json-ld", _json_ld(tree)), ("microdata", _microdata(tree))):
        products = [node for node in nodes if _is(node, "Product")]
        if products:
            named = [node for node in products if _text(node.get("url")) and url.endswith(_text(node["url"]))]
            found = _fill(found, _product((named or products)[0], place))
    if all((found.title, found.description, found.brand, found.category, found.details, found.price)):
        return found
    return _fill(found, _seen(read_page(tree)))


def _fill(first: Found, second: Found) -> Found:
    """`first`, with its gaps filled from `second`. A price brings its own currency along."""
    filled = replace(
        first,
        title=first.title or second.title,
        description=first.description or second.description,
        brand=first.brand or second.brand,
        category=first.category or second.category,
        details=first.details or second.details,
    )
    if first.price:
        return filled
    return replace(filled, price=second.price, currency=second.currency, found_in=second.found_in)


def _parse(html: str) -> HtmlElement | None:
    try:
        # Bytes, because lxml refuses text that declares an encoding.
        return document_fromstring(html.encode("utf-8", "replace"), parser=HTMLParser(encoding="utf-8"))
    except (etree.LxmlError, ValueError):  # an empty document
        return None


def _seen(page: Visible) -> Found:
    return Found(
        title=page.title,
        description=page.description,
        brand=page.details.get("Brand", ""),
        category=page.category,
        details={name: value for name, value in page.details.items() if name != "Brand"},
        price=page.price,
        currency=currency(page.price),
        found_in="page" if page.price else "",
    )


# --- schema.org, https://schema.org/Product ----------------------------------------------------------


def _json_ld(tree: HtmlElement) -> Iterator[Node]:
    """The top-level nodes of every block that parses, those of `@graph` included."""
    for script in tree.iterfind(".//script[@type='application/ld+json']"):
        try:
            # Numbers stay text: 19.90 must not become 19.9.
            block = json.loads(script.text or "", strict=False, parse_int=str, parse_float=str)
        except (ValueError, RecursionError):
            continue
        for node in _nodes(block):
            yield from (node, *_nodes(node.get("@graph")), *_nodes(node.get("mainEntity")))


def _microdata(tree: HtmlElement) -> Iterator[Node]:
    """The top-level items, in the shape of JSON-LD; a repeated property becomes a list."""
    for element in tree.iterfind(".//*[@itemscope]"):
        if element.get("itemprop") is None:
            yield _item(element)


def _item(scope: HtmlElement) -> Node:
    node: Node = {"@type": (scope.get("itemtype") or "").split()}
    pending = list(reversed(scope))
    while pending:
        element = pending.pop()
        nested = element.get("itemscope") is not None
        if name := element.get("itemprop"):
            value = _item(element) if nested else _value(element)
            node.setdefault(name, []).append(value)
        if not nested:  # what lies inside belongs to the nested item
            pending.extend(reversed(element))
    return node


def _value(element: HtmlElement) -> str:
    for attribute in ("content", "href", "src", "datetime", "value"):
        if (written := element.get(attribute)) is not None:
            return written
    return str(element.text_content())


def _product(node: Node, place: str) -> Found:
    price, code = _offer(node)
    details = {
        _text(entry.get("name")): " ".join(
            filter(None, (_text(entry.get("value")), _text(entry.get("unitText"))))
        )
        for entry in _nodes(node.get("additionalProperty"))
    }
    return Found(
        title=_text(node.get("name")),
        description=_text(node.get("description")),
        brand=_text(node.get("brand")) or _text(node.get("manufacturer")),
        category=_text(node.get("category")),
        details={name: value for name, value in details.items() if name and value},
        price=price,
        currency=code.upper(),
        found_in=place if price else "",
    )


def _offer(node: Node) -> tuple[str, str]:
    """Price as written and currency code of the first offer that has a price which is not crossed out."""
    for offer in _nodes(node.get("offers")):
        for part in (offer, *_nodes(offer.get("priceSpecification"))):
            if re.search("Strikethrough|ListPrice|MSRP|SRP", _text(part.get("priceType"))):
                continue
            price = _text(part.get("price")) or _text(part.get("lowPrice"))
            if price:
                return price, _text(part.get("priceCurrency")) or _text(offer.get("priceCurrency"))
    return "", ""


def _is(node: Node, kind: str) -> bool:
    written = node.get("@type")
    types = written if isinstance(written, list) else [written]
    return any(re.split("[/:#]", str(one))[-1] == kind for one in types)


def _nodes(value: object) -> list[Node]:
    """The objects of a property that may hold one, several or none."""
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if isinstance(entry, dict)]


def _text(value: object) -> str:
    """The words of a property: of several the first, of an object its name."""
    match value:
        case str():
            return " ".join(entities.unescape(value).split())
        case dict():
            return _text(value.get("name"))
        case [first, *_]:
            return _text(first)
        case _:
            return ""
