"""Generated sleeping bags, for a number that is no price: how cold a night each is good for."""

from __future__ import annotations

import hashlib
import json

from components.core.params.scrape import SleepingBags
from components.core.schemas import Law, Listing
from components.sources.result import Collected, Spool
from components.synthetic.sleeping_bags import sleeping_bags


def collect(section: SleepingBags, spool: Spool) -> Collected:
    """Hand on the catalogue that the section describes, with its law."""
    for bag in sleeping_bags(section.seed, section.listings, section.noise):
        written, address = f"{bag.degrees:.1f}", f"/bags/{bag.sku}"
        row = {
            "title": bag.title,
            "description": bag.description,
            "brand": bag.brand,
            "category": bag.category,
            "details": json.dumps(bag.details),
            "price": written,
            "amount": written,
            "currency": "",
            "address": address,
            "found_in": "row",
            "places": "{}",
            "rights": "",
        }
        spool.add(Listing, row | {"page_hash": hashlib.sha256(json.dumps(row).encode()).hexdigest()})
        spool.add(Law, {"address": address, "median": bag.median, "sigma": section.noise, "label": ""})
    return Collected({"generated": section.listings})
