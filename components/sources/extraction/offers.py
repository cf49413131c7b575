"""The price of a schema.org product: of its offers, their specifications, and its variants.

https://schema.org/Offer, https://schema.org/PriceSpecification
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from components.sources.extraction.nodes import Node, Reading, Value, nodes_of, same_page, text

NOT_PAID = re.compile("Strikethrough|ListPrice|MSRP|SRP|RegularPrice|InvoicePrice|MinimumAdvertised")
FALSE = re.compile(r"(?i)false|0")


class _Priced(NamedTuple):
    rank: int
    """Of the parts of one offer the highest counts: a sale price, then any, then one without tax."""
    amount: float
    reading: Reading


def offer(node: Node, url: str, by_id: dict[str, Node] | None = None) -> Reading:
    """Price as written, currency and kind of a product that has a price to pay; `url` picks its variant."""
    variants = [priced for entry in nodes_of(node.get("hasVariant")) if (priced := offer(entry, url, by_id))]
    own = _own_offer(node, url, by_id or {})
    if not variants:
        return own
    amounts = [_number(priced["price"].text) for priced in variants]
    by_url = [priced for priced in variants if "chosen" in priced]
    chosen = own or (by_url or [variants[amounts.index(min(amounts))]])[0]
    kind = {"kind": Value("variants", "hasVariant")} if len(set(amounts)) > 1 else {}
    return {**chosen, **kind}


def _own_offer(node: Node, url: str, by_id: dict[str, Node]) -> Reading:
    offers = [by_id.get(str(entry.get("@id")), entry) for entry in nodes_of(node.get("offers"))]
    best = [max(priced, key=lambda part: part.rank) for entry in offers if (priced := list(_priced(entry)))]
    if not best:
        return {}
    addresses = [text(node.get("url")), *(text(entry.get("url")) for entry in offers)]
    is_chosen = [
        same_page(text(entry.get("url")), url, query=True) for entry in offers if list(_priced(entry))
    ]
    chosen = best[is_chosen.index(True)] if True in is_chosen else best[0]
    reading = dict(chosen.reading)
    if len({part.amount for part in best}) > 1:
        reading["kind"] = Value("variants", "offers")
    if any(same_page(address, url, query=True) for address in addresses):
        reading["chosen"] = Value(url, "offers.url")
    return reading


def _is_at(entry: Node, url: str) -> bool:
    return same_page(text(entry.get("url")), url, query=True)


def _priced(entry: Node) -> Iterator[_Priced]:
    """The prices to pay of an offer and of its parts."""
    inner = [*nodes_of(entry.get("priceSpecification")), *nodes_of(entry.get("offers"))]
    for path, part in (("offers", entry), *(("offers.priceSpecification", nested) for nested in inner)):
        kind = text(part.get("priceType"))
        key = next((key for key in ("price", "lowPrice") if _number(text(part.get(key))) > 0), None)
        if key is None or NOT_PAID.search(kind):
            continue
        net = FALSE.fullmatch(
            text(part.get("valueAddedTaxIncluded")) or str(part.get("valueAddedTaxIncluded"))
        )
        rank = 2 * ("SalePrice" in kind) - 2 * bool(net) - 3 * ("referenceQuantity" in part)  # a unit price
        reading = {"price": Value(text(part.get(key)), f"{path}.{key}")}
        if code := text(part.get("priceCurrency")) or text(entry.get("priceCurrency")):
            reading["currency"] = Value(code.upper(), f"{path}.priceCurrency")
        amount = _number(reading["price"].text)
        if key == "lowPrice" and _number(text(part.get("highPrice"))) > amount:
            reading["kind"] = Value("range", f"{path}.highPrice")
        yield _Priced(rank, amount, reading)


def _number(written: str) -> float:
    """A rough number: enough to recognize a price above zero and to find the cheapest."""
    digits = re.sub(r"[^\d.]", "", written)
    with contextlib.suppress(ValueError):
        return float(digits)
    return float(bool(re.search("[1-9]", digits)))
