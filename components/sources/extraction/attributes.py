"""Prices in attributes that a shop's scripts read: `data-price`, Magento's `data-price-amount`."""

from __future__ import annotations

import re

from lxml.html import HtmlElement

from components.sources.extraction.dom import is_aside
from components.sources.extraction.money import BARE, PRICE, amount
from components.sources.extraction.nodes import Reading, Value, text
from components.sources.extraction.price_words import LIST_NAMES, NET_NAMES

PRICED = re.compile(
    r"data-(?:[a-z]+-){0,2}price(?:-(?:amount|value|current|final|now))?|data-(?:sale|current|final)price|price"
)
NAMED = ("data-name", "data-title", "data-product-name", "data-product-title", "data-item-name", "name")
CURRENCIES = ("data-currency", "data-currency-code", "data-price-currency")
SHOPIFY = "Shopify."
"""In the scripts of a shop whose themes write whole numbers as cents, or as dollars."""


def attributes(tree: HtmlElement, heading: str) -> Reading:
    """The price in the attributes of the page's product; empty where they differ and name no product."""
    whole_is_clear = not any(SHOPIFY in (script.text or "") for script in tree.iter("script"))
    unnamed: dict[str, Reading] = {}
    for element in tree.iter("*"):
        for key, written in element.attrib.items():
            is_priced = PRICED.fullmatch(key) and not LIST_NAMES.search(key) and not NET_NAMES.search(key)
            if not is_priced or not _is_price(written, whole_is_clear) or _is_beside(element):
                continue
            reading = _reading(element, key, written)
            name = next((text(element.get(attribute)) for attribute in NAMED if element.get(attribute)), "")
            if name and name.casefold() in heading.casefold():
                return reading
            if not name:
                unnamed.setdefault(str(amount(written)), reading)
    return next(iter(unnamed.values())) if len(unnamed) == 1 else {}


def _is_price(written: str, whole_is_clear: bool) -> bool:
    written = written.strip()
    if re.fullmatch(r"\d{1,9}", written):
        return whole_is_clear and int(written) > 0
    is_number = (
        re.fullmatch(r"\d{1,9}\.\d{1,6}", written) or BARE.fullmatch(written) or PRICE.fullmatch(written)
    )
    return bool(is_number) and bool(amount(written))


def _is_beside(element: HtmlElement) -> bool:
    """Whether an element or one around it is about something else, a card in a list among them."""
    around = [element, *element.iterancestors()]
    return any(is_aside(part) or part.tag in ("li", "article") for part in around)


def _reading(element: HtmlElement, key: str, written: str) -> Reading:
    reading = {"price": Value(text(written), f"attribute {key}")}
    for part in (element, *element.iterancestors()):
        code = next((part.get(name) for name in CURRENCIES if part.get(name)), "") or ""
        if re.fullmatch("[A-Z]{3}", code):
            return reading | {"currency": Value(code, "attribute")}
    return reading
