"""The price of a product in the data of a page's scripts, whose keys say what each number is.

Systems differ in the keys and agree in their words: `final_price.value`, `salePriceMoney.value`,
`prices.price` with `currency_minor_unit` (WooCommerce's Store API), `prices[0].value.centAmount`
(commercetools), `price` in cents (Shopify's theme and analytics data, whose products have a `vendor`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from components.sources.extraction.money import BARE, PRICE
from components.sources.extraction.nodes import Node, text
from components.sources.extraction.price_words import (
    ASIDE_NAMES,
    BEST_NAMES,
    LIST_NAMES,
    NET_NAMES,
    PRICE_NAMES,
)

VARIANTS = re.compile(r"variant|variation|skus?$|combination|offers$|models$|children")
IDENTIFIERS = ("id", "sku", "variantId", "variation_id", "variant_id", "productId", "legacyResourceId")
NO_PRICE = re.compile(
    r"(?<![a-z])(?:currency|symbol|string|code|date|until|type|labels?|counts?|quantity|qty|percent(?:age)?|rate|points|digits"
    r"|places|precision|ids?|discount(?!ed|-?price)|savings?|steps?|visible|show|hide|varies|valid|tax-value)(?![a-z])"
    r"|(?<![a-z-])tax(?:-amount)?$|-(?:from|unit)$"
)
"""In the keys of numbers beside a price that are none."""
REDUCED_NAMES = re.compile(
    r"discounted|reduced|discount-?price|incl|with-tax|gross|selling|offer-price|actual|to-pay"
)
FLAGS = ("onSale", "on_sale", "isOnSale", "is_on_sale")
LOWEST, HIGHEST = (
    re.compile(r"(?<![a-z])(?:min\w*|low\w*|from)(?![a-z])"),
    re.compile(r"(?<![a-z])(?:max\w*|high\w*)(?![a-z])"),
)
DEPTH_MAX = 7
LEAVES_MAX = 500
VARIANTS_MAX = 300


class StatePrice(NamedTuple):
    """A product's price by the page's data."""

    text: str
    currency: str
    kind: str
    """As `Extracted.price_kind`."""
    place: str
    """The keys that lead to it."""
    rank: int
    """2 for a price that is named as the one to pay, 1 for any, 0 for one that may be a list price."""


class _Leaf(NamedTuple):
    rank: int
    with_currency: bool
    amount: Decimal
    price: StatePrice


def is_in_cents(product: Node) -> bool:
    """Whether an object is a product as Shopify's themes and its analytics write it, with whole cents."""
    return "compare_at_price" in product or (
        "vendor" in product and not product.keys().isdisjoint(("variants", "price_min"))
    )


def state_prices(product: Node, currency: str, variant: str, cents: bool) -> StatePrice | None:
    """The price of a product's object, None where it has none; `variant` is the id that the URL picks.

    `currency` is that of the data around, for a price that names none; `cents` says that whole numbers count
    cents.
    """
    own = _leaves(product, currency, cents)
    chosen, by_variant = None, []
    for key, entries in _variants(product):
        for entry in entries[:VARIANTS_MAX]:
            if not (leaves := _leaves(entry, currency, cents)):
                continue
            leaf = _best(leaves)
            by_variant.append(leaf._replace(price=leaf.price._replace(place=f"{key}.{leaf.price.place}")))
            if variant and any(text(str(entry.get(name, ""))) == variant for name in IDENTIFIERS):
                chosen = by_variant[-1]
    if not own and not by_variant:
        return None
    leaf = chosen or (_best(own) if own else min(by_variant, key=lambda leaf: leaf.amount))
    kind = "variants" if len({leaf.amount for leaf in by_variant}) > 1 else _range(own)
    return leaf.price._replace(kind=kind)


def _range(leaves: list[_Leaf]) -> str:
    low = [leaf.amount for leaf in leaves if LOWEST.search(_hyphenated(leaf.price.place))]
    high = [leaf.amount for leaf in leaves if HIGHEST.search(_hyphenated(leaf.price.place))]
    return "range" if low and high and min(low) < max(high) else ""


def _best(leaves: list[_Leaf]) -> _Leaf:
    return max(leaves, key=lambda leaf: (leaf.rank, leaf.with_currency, -leaf.price.place.count(".")))


def _variants(product: Node) -> Iterator[tuple[str, list[Node]]]:
    """The lists of objects that stand for the ways to buy a product, by key."""
    for key, value in product.items():
        entries = value.get("nodes") or value.get("edges") if isinstance(value, dict) else value
        if isinstance(entries, list) and VARIANTS.search(_hyphenated(key)):
            objects = [entry.get("node", entry) for entry in entries if isinstance(entry, dict)]
            yield key, [entry for entry in objects if isinstance(entry, dict)]


def _leaves(product: Node, currency: str, cents: bool) -> list[_Leaf]:
    """The amounts above 0 in an object that its keys call a price to pay."""
    leaves: list[_Leaf] = []
    pending: list[tuple[str, Node, str]] = [("", product, currency)]
    while pending and len(leaves) < LEAVES_MAX:
        path, node, code = pending.pop()
        named = currency_of(node)
        full_price = any(node.get(flag) is False for flag in FLAGS)
        for key, value in node.items():
            place = f"{path}.{key}" if path else key
            names = _hyphenated(place)
            if isinstance(value, dict) and place.count(".") < DEPTH_MAX and _may_hold(names):
                pending.append((place, value, named or code))
            elif isinstance(value, list) and PRICE_NAMES.search(names) and place.count(".") < DEPTH_MAX:
                pending.extend(
                    (place, entry, named or code) for entry in value[:1] if isinstance(entry, dict)
                )
            elif (
                PRICE_NAMES.search(names)
                and not NO_PRICE.search(_hyphenated(key))
                and (rank := _rank(names)) is not None
                and not (full_price and re.search("sale|discount", names))
                and (amount := _amount(value, key, node, cents)) is not None
            ):
                price = StatePrice(str(amount[0]), named or code, "", place, rank)
                leaves.append(_Leaf(rank, bool(named), amount[1], price))
    return leaves


def _may_hold(names: str) -> bool:
    """Whether an object under these keys may hold the product's own price."""
    last = names.rpartition(".")[2]
    return bool(
        PRICE_NAMES.search(names)
        or re.search(r"pric|offer|selected|current|default|master|value|money|minimum", last)
    )


def _rank(names: str) -> int | None:
    """How surely keys name the price to pay (see StatePrice.rank); None where they name another."""
    if ASIDE_NAMES.search(names) or NET_NAMES.search(names):
        return None
    if LIST_NAMES.search(names):
        return 0
    return 2 if BEST_NAMES.search(names) or REDUCED_NAMES.search(names) else 1


def _amount(value: object, key: str, node: Node, cents: bool) -> tuple[str, Decimal] | None:
    """A price as written and its amount; None where a value is no price above 0."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        written = " ".join(value.split())
        if not (
            re.fullmatch(r"\d{1,9}(?:\.\d{1,4})?", written)
            or BARE.fullmatch(written)
            or PRICE.fullmatch(written)
        ):
            return None
        digits = re.sub(r"\D", "", written)
        minor = _minor_digits(key, node)
        if minor and written.isdigit():
            return _shifted(int(written), minor)
        return (written, _decimal(written)) if int(digits or 0) else None
    if isinstance(value, int) and value > 0:
        minor = _minor_digits(key, node) or 2 * cents
        return _shifted(value, minor) if minor else (str(value), Decimal(value))
    if isinstance(value, Decimal) and value.is_finite() and 0 < value < 10**12:
        return f"{value:f}", value
    return None


def _decimal(written: str) -> Decimal:
    return Decimal(re.sub(r"\D", "", written)) if not re.fullmatch(r"[\d.]+", written) else Decimal(written)


def _minor_digits(key: str, node: Mapping[str, Any]) -> int:
    """Digits behind the point in an amount that is given in cents; 0 where it is not."""
    digits = node.get("fractionDigits", node.get("currency_minor_unit"))
    if "currency_minor_unit" in node or re.search(r"cents?(?![a-z])|minor", _hyphenated(key)):
        return digits if isinstance(digits, int) and 0 <= digits <= 4 else 2
    return 0


def _shifted(amount: int, digits: int) -> tuple[str, Decimal] | None:
    shifted = Decimal(amount).scaleb(-digits)
    return (f"{shifted:.{digits}f}", shifted) if amount else None


def currency_of(node: Mapping[str, Any]) -> str:
    """The ISO code that an object names; empty without one."""
    for key, value in node.items():
        if "currency" in key.lower() and "minor" not in key:
            code = value if isinstance(value, str) else ""
            if isinstance(value, dict):
                code = text(value.get("code") or value.get("isoCode") or value.get("iso_code"))
            if re.fullmatch("[A-Za-z]{3}", code):
                return code.upper()
    return ""


def _hyphenated(key: str) -> str:
    return re.sub(r"(?<=[a-z\d])(?=[A-Z])", "-", key).lower().replace("_", "-")
