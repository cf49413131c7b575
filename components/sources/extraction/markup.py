"""Structured data about the product of a page: JSON-LD, microdata, RDFa and meta tags.

Each reading is a dictionary of field to value and place. The three schema.org notations are converted to
nodes of one shape, that of JSON-LD, and read by the same code.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

from lxml.html import HtmlElement

from components.sources.extraction.nodes import DEPTH_MAX, Node, Reading, Value, nodes_of, same_page, text
from components.sources.extraction.offers import offer

PRODUCTS = {
    "Product",
    "ProductGroup",
    "ProductModel",
    "IndividualProduct",
    "SomeProducts",
    "Vehicle",
    "Car",
    "Book",
}
OWN_DETAILS = ("color", "material", "size", "pattern", "model")
META = {
    "title": ("og:title", "twitter:title"),
    "description": ("og:description", "description", "twitter:description"),
    "brand": ("product:brand", "og:brand"),
    "category": ("product:category",),
    "price": ("product:sale_price:amount", "product:price:amount", "og:price:amount"),
    "currency": ("product:sale_price:currency", "product:price:currency", "og:price:currency"),
}


def readings(tree: HtmlElement, url: str, heading: str) -> Iterator[Reading]:
    """The readings of a page, the most trusted first; `url` and `heading` identify its product."""
    for name, nodes in (("json-ld", _json_ld(tree)), ("microdata", _microdata(tree)), ("rdfa", _rdfa(tree))):
        all_nodes = list(nodes)
        if product := _page_product([node for node in all_nodes if _types(node) & PRODUCTS], url, heading):
            yield _product(product, all_nodes, name, url)
    yield _outside_products(tree)
    yield _meta(tree)


def _meta(tree: HtmlElement) -> Reading:
    tags: dict[str, str] = {}
    for tag in tree.iter("meta"):
        name = (tag.get("property") or tag.get("name") or "").lower()
        tags.setdefault(name, text(tag.get("content")))
    return {
        field: next(Value(tags[name], f"meta {name}") for name in names if tags.get(name))
        for field, names in META.items()
        if any(tags.get(name) for name in names)
    }


# --- three notations, one shape ----------------------------------------------------------------------


def _json_ld(tree: HtmlElement) -> Iterator[Node]:
    """The top-level nodes of every block, those of `@graph` included."""
    for script in tree.iter("script"):
        if "ld+json" not in (script.get("type") or "").lower():
            continue
        for block in _blocks(script.text or ""):
            for node in nodes_of(block):
                yield from (node, *nodes_of(node.get("@graph")), *nodes_of(node.get("mainEntity")))


WRAPPER = re.compile(r"(?:<!--|(?://|/\*)?\s*<!\[CDATA\[\s*(?:\*/)?)")
WRAPPER_END = re.compile(r"(?:-->|(?://|/\*)?\s*\]\]>\s*(?:\*/)?)$")
COMMENT = re.compile(r"^[^\S\n]*//.*$|/\*(?:[^*\n]|\*(?!/)){0,1000}\*/", re.MULTILINE)
WRAPPER_CHARACTERS = 40  # in which a wrapper ends


def _blocks(written: str) -> Iterator[Any]:
    """The JSON values of a script, after repairing what shops often break.

    No pattern looks twice at what it has passed, so that the work grows with the length alone.
    """
    written = written.strip()
    written = written[opening.end() :] if (opening := WRAPPER.match(written)) else written
    if closing := WRAPPER_END.search(written, max(0, len(written) - WRAPPER_CHARACTERS)):
        written = written[: closing.start()]
    # Numbers stay text: 19.90 must not become 19.9. Not strict: a line break within a text.
    decoder = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)
    for repaired in (False, True):
        attempt = re.sub(r",(\s*[}\]])", r"\1", COMMENT.sub("", written)) if repaired else written
        values, start = [], _behind_blanks(attempt, 0)
        with contextlib.suppress(ValueError, RecursionError):
            while start < len(attempt):
                value, end = decoder.raw_decode(attempt, start)
                values.append(value)
                start = _behind_blanks(attempt, end)
        if values:
            yield from values
            return


def _behind_blanks(written: str, start: int) -> int:
    while start < len(written) and written[start] in " \t\r\n;,":
        start += 1
    return start


def _microdata(tree: HtmlElement) -> Iterator[Node]:
    for element in tree.iterfind(".//*[@itemscope]"):
        if element.get("itemprop") is None:
            yield _item(element, "itemscope", "itemtype", "itemprop")


def _rdfa(tree: HtmlElement) -> Iterator[Node]:
    """RDFa Lite; `rel` counts as the property of the typed element right inside."""
    for element in tree.iterfind(".//*[@typeof]"):
        if element.get("property") is None and not _under(element, "rel"):
            yield _item(element, "typeof", "typeof", "property")


def _under(element: HtmlElement, attribute: str) -> bool:
    parent = element.getparent()
    return parent is not None and parent.get(attribute) is not None


def _item(
    scope: HtmlElement, scope_attribute: str, type_attribute: str, name_attribute: str, depth: int = 0
) -> Node:
    """An item in the shape of JSON-LD; every property is a list.

    The attributes are those that open an item, give its type and name a property.
    """
    node: Node = {"@type": (scope.get(type_attribute) or "").split()}
    pending = list(reversed(scope))
    while pending:
        element = pending.pop()
        if not isinstance(element.tag, str):  # a comment
            continue
        nested = element.get(scope_attribute) is not None
        name = element.get(name_attribute) or (
            element.getparent().get("rel") if nested and name_attribute == "property" else None
        )
        if name and depth < DEPTH_MAX:
            value = (
                _item(element, scope_attribute, type_attribute, name_attribute, depth + 1)
                if nested
                else _value(element)
            )
            node.setdefault(name.split()[0].rpartition(":")[2] if name.strip() else "", []).append(value)
        if not nested:  # what lies inside belongs to the nested item
            pending.extend(reversed(element))
    return node


def _value(element: HtmlElement) -> str:
    for attribute in ("content", "href", "src", "datetime", "value"):
        if (written := element.get(attribute)) is not None:
            return written
    return str(element.text_content())


def _outside_products(tree: HtmlElement) -> Reading:
    """Price properties outside of any product: the only offer of a page, or `itemprop` without a scope."""
    offers = [node for node in _microdata(tree) if _types(node) & {"Offer", "AggregateOffer"}]
    outside = _item(tree, "itemscope", "itemtype", "itemprop")
    for node in (offers[0] if len(offers) == 1 else {}, outside):
        if node.get("price") and (len(node["price"]) == 1):
            reading = offer({"offers": node}, "")
            return {key: Value(value.text, f"itemprop {value.place}") for key, value in reading.items()}
    return {}


# --- schema.org, https://schema.org/Product ----------------------------------------------------------


def _page_product(products: list[Node], url: str, heading: str) -> Node | None:
    """The product that the page is about: by its URL, by its name, or because it is the only one."""
    for fits in (
        lambda node: same_page(text(node.get("url")), url),
        lambda node: (
            len(text(node.get("name"))) > 2 and text(node.get("name")).casefold() in heading.casefold()
        ),
    ):
        if named := [node for node in products if fits(node)]:
            return next((node for node in named if node.get("offers")), named[0])
    return products[0] if len({text(node.get("name")) for node in products}) == 1 else None


def _product(node: Node, nodes: list[Node], name: str, url: str) -> Reading:
    by_id = {entry["@id"]: entry for entry in nodes if isinstance(entry.get("@id"), str)}
    entries = nodes_of(node.get("additionalProperty"))
    specs = {
        text(entry.get("name")): f"{text(entry.get('value'))} {text(entry.get('unitText'))}".strip()
        for entry in entries
    }
    specs |= {key.capitalize(): text(node.get(key)) for key in OWN_DETAILS if text(node.get(key))}
    written = {
        "title": (text(node.get("name")), "name"),
        "description": (text(node.get("description")), "description"),
        "brand": (text(node.get("brand")) or text(node.get("manufacturer")), "brand"),
        "category": (text(node.get("category")), "category"),
        "details": (
            json.dumps({k: v for k, v in specs.items() if k and v}) if any(specs.values()) else "",
            "additionalProperty",
        ),
        "rights": (text(node.get("license")), "license"),
    }
    if not written["category"][0]:
        written["category"] = (_breadcrumb(nodes, text(node.get("name"))), "BreadcrumbList")
    reading = {key: Value(value, place) for key, (value, place) in written.items() if value}
    reading |= offer(node, url, by_id)
    return {
        key: Value(entry.text, f"{name} {entry.place}") for key, entry in reading.items() if key != "chosen"
    }


def _breadcrumb(nodes: list[Node], title: str) -> str:
    for trail in nodes:
        if "BreadcrumbList" in _types(trail):
            entries = nodes_of(trail.get("itemListElement"))
            names = [text(entry.get("name")) or text(entry.get("item")) for entry in entries]
            return next((name for name in reversed(names) if name and name != title and "/" not in name), "")
    return ""


def _types(node: Node) -> set[str]:
    written = node.get("@type")
    names = written if isinstance(written, list) else [written]
    local = (re.split("[/:#]", str(name))[-1] for name in names)
    return {name[:1].upper() + name[1:] for name in local}  # shops write `product`, too
