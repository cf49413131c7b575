"""The product in the data that a page hands to its own scripts: what a shop's JavaScript renders from.

Read are the blocks of JSON (`__NEXT_DATA__`, `__NUXT_DATA__`, Shopify's product JSON, Wix's warm-up data),
the objects that scripts assign or report (`window.__INITIAL_STATE__`, `dataLayer`), and the attributes that
hold JSON (WooCommerce's variations, PrestaShop's `data-product`). Such data describes many products: that of
the page is the one whose name is the page's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from lxml.html import HtmlElement

from components.sources.extraction.dom import is_aside
from components.sources.extraction.javascript import devalued, literals
from components.sources.extraction.nodes import Node, Reading, Value, text
from components.sources.extraction.state_prices import StatePrice, currency_of, is_in_cents, state_prices

NAMES = ("name", "title", "productName", "product_name", "item_name", "displayName", "productTitle")
FIELDS = {
    "brand": ("brand", "brandName", "vendor", "manufacturer", "item_brand", "manufacturer_name"),
    "category": ("category", "categoryName", "product_type", "item_category", "category_name"),
}
CONCERNED = re.compile(r"pric|amount|value", re.IGNORECASE)
CURRENCY = re.compile(
    r"""(?i:currency(?:_?(?:code|iso(?:code)?))?["']?\s{0,3}[:=]\s{0,3}(?:\{\s{0,3}["']?(?:active|code|isoCode)["']?\s{0,3}:\s{0,3})?)"""
    r"""["']([A-Z]{3})["']"""
)
ESCAPED = {"q": '"', "s": "'", "l": "<", "g": ">", "a": "&"}
OBJECTS_MAX = 50_000  # objects of a page that are looked at
DEPTH_MAX = 40
NAME_CHARACTERS_MIN = 3
VARIANT_PARAMETERS = ("variant", "variation_id", "variantId", "sku", "childSku", "id_product_attribute")


def state(tree: HtmlElement, url: str, heading: str) -> Reading:
    """Title, brand, category and price of the page's product in its scripts' data; empty without one.

    `heading` is the page's h1; without one the title of the window says what the page is about.
    """
    names = _page_names(tree, heading)
    variant = _variant_id(url)
    candidates: list[tuple[bool, int, Node, StatePrice]] = []
    for node, currency, cents, is_own in _objects(tree):
        name = _first(node, NAMES)
        if not (_is_named(name, names) if name else is_own):
            continue
        if price := state_prices(node, currency, variant, cents):
            exact = any(name.casefold() == other.casefold() for other in names)
            candidates.append((exact, price.rank, node, price))
    if not candidates:
        return {}
    _, _, node, price = max(candidates, key=lambda candidate: candidate[:2])  # of equals the first
    written = {field: _first(node, keys) for field, keys in FIELDS.items()}
    written |= {"title": _first(node, NAMES), "currency": price.currency, "kind": price.kind}
    reading = {field: Value(value, "state") for field, value in written.items() if value}
    return reading | {"price": Value(price.text, f"state {price.place}")}


def _first(node: Node, keys: tuple[str, ...]) -> str:
    return next(filter(None, (text(node.get(key)) for key in keys)), "")


def _page_names(tree: HtmlElement, heading: str) -> list[str]:
    if heading:
        return [heading]
    window = tree.find(".//title")
    shared = text(tree.xpath("string(//meta[@property='og:title']/@content)"))
    return [shared, text(window.text) if window is not None else ""]


def _is_named(name: str, names: list[str]) -> bool:
    return len(name) >= NAME_CHARACTERS_MIN and any(name.casefold() in other.casefold() for other in names)


def _variant_id(url: str) -> str:
    """The variant that the URL picks, by the names that shops give to this parameter; empty without one."""
    try:
        query = parse_qs(urlsplit(url).query)
    except ValueError:
        return ""
    return next((query[name][0] for name in VARIANT_PARAMETERS if name in query), "")


class _Object(NamedTuple):
    node: Node
    currency: str
    """That of the data around; empty where it names none."""
    cents: bool
    """Whether it is, or is within, an object whose whole numbers count cents."""
    is_own: bool
    """Whether it has the place of the page's product, and needs no name to be known by."""


def _objects(tree: HtmlElement) -> Iterator[_Object]:
    """Every object in a page's data."""
    count = 0
    shared = _shared_currency(tree)
    for value, is_own in _values(tree):
        pending: list[tuple[Any, str, bool, int]] = [(value, shared, False, 0)]
        while pending and count < OBJECTS_MAX:
            part, currency, cents, depth = pending.pop()
            count += 1
            if isinstance(part, dict):
                currency, cents = currency_of(part) or currency, cents or is_in_cents(part)
                yield _Object(part, currency, cents, is_own and depth == 0)
            members = part.values() if isinstance(part, dict) else part
            if depth < DEPTH_MAX:
                pending.extend(
                    (member, currency, cents, depth + 1)
                    for member in reversed(list(members))
                    if isinstance(member, dict | list)
                )


def _shared_currency(tree: HtmlElement) -> str:
    """The one currency that the page's scripts name; empty where they name none, or several."""
    scripts = (script.text or "" for script in tree.iter("script"))
    codes = {match[1] for script in scripts for match in CURRENCY.finditer(script)}
    return codes.pop() if len(codes) == 1 else ""


def _values(tree: HtmlElement) -> Iterator[tuple[dict[str, Any] | list[Any], bool]]:
    """The data of scripts and of attributes, and whether it has the place of the page's product.

    An attribute has, where it holds one object or the variants of one; one within a list of others has not.
    """
    for script in tree.iter("script"):
        body = script.text or ""
        if "ld+json" in (script.get("type") or "").lower() or not CONCERNED.search(body):
            continue
        if "&q;" in body:  # as Angular escapes the state that it transfers
            body = re.sub("&([qslga]);", lambda escape: ESCAPED[escape[1]], body)
        for value in literals(body):
            yield (devalued(value) if script.get("id") == "__NUXT_DATA__" else value), False
    for element in tree.iter("form", "div", "section", "main"):
        for name, written in element.attrib.items():
            if not name.startswith("data-") or written[:1] not in ("{", "[") or not CONCERNED.search(written):
                continue
            is_own = not any(map(is_aside, (element, *element.iterancestors())))
            for value in literals(written):
                if isinstance(value, dict):
                    yield value, is_own
                elif "varia" in name:
                    yield {"variants": value}, is_own
