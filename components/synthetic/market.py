"""A market around the generated catalogue: a shop's list whose prices move, and what people ask in between.

For `make loop`: the law of `catalogue.py` times a level, which a season may change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from components.synthetic.catalogue import Product, catalogue, listing_text

ASKED_SEED = 1_000_003  # added to that of the shop: what is asked for is not what it sells


class Question(NamedTuple):
    """What somebody asks, and what it turns out to cost."""

    text: str
    value: float
    """At a level of 1."""


def write_list(path: Path, seed: int, listings: int, noise: float, level: float) -> None:
    """Write the shop's list of so many listings at that level of prices, an object a line; the same listing
    has the same id at every level.
    """
    rows = [
        {
            "id": product.sku,
            "title": product.title,
            "description": product.description,
            "brand": product.brand,
            "category": product.category,
            "details": product.details,
            "price": None if product.price is None else round(product.price * level, 2),
        }
        for product in catalogue(seed, listings, noise)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def questions(seed: int, number: int, noise: float) -> Iterator[Question]:
    """So many questions about things that the shop of this seed does not sell, each another one."""
    products = catalogue(seed + ASKED_SEED, 2 * number, noise)
    priced = [product for product in products if product.price and product.relisting_of is None][:number]
    Random(f"questions {seed}").shuffle(priced)
    return (Question(_text(product), float(product.price or 0)) for product in priced)


def _text(product: Product) -> str:
    return listing_text(product.title, product.brand, product.details, product.description)
