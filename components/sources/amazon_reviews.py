"""Amazon Reviews 2023 (Hou et al. 2024, arXiv:2403.03952): items of some categories, streamed from the hub.

An item has `title`, `features[]`, `description[]`, `details` (JSON text), `price` (text: a number, a range,
a dash, `None`, or null), `store`, `categories[]`, `main_category`, `parent_asin`. No licence is stated.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from components.core.errors import PricewrightError
from components.core.params.scrape import AmazonReviews
from components.core.schemas import Listing
from components.sources import writable
from components.sources.extraction.money import amount, plain_number
from components.sources.fields import category_name, details, text
from components.sources.result import Collected, Spool

ITEMS = "raw_meta_{category}/full-*.parquet"
COLUMNS = [
    "title",
    "features",
    "description",
    "details",
    "price",
    "store",
    "categories",
    "main_category",
    "parent_asin",
]
NO_PRICE = re.compile(r"(?:None|nan|[-–—\s]*)", re.IGNORECASE)


def collect(section: AmazonReviews, spool: Spool) -> Collected:
    """Up to `rows_max` items of each category, in the order of the data set.

    Raises PricewrightError, naming the category, where the hub cannot be reached, the revision is no commit,
    or there are no items of this shape.
    """
    root = _root(section)
    counts: dict[str, int] = {}
    for category in section.categories:
        before = spool.rows(Listing)
        items = itertools.islice(_items(root, category), section.rows_max)
        for item in tqdm(items, desc=category, unit=" items"):
            spool.add(Listing, _listing(category, item))
        counts[category] = spool.rows(Listing) - before
    return Collected(counts)


def _root(section: AmazonReviews) -> str:
    if Path(section.repository).is_dir():
        return section.repository
    if not re.fullmatch("[0-9a-f]{40}", section.revision or ""):
        raise PricewrightError(
            f"scrape.amazon_reviews: {section.repository!r} is no directory here; for a hub data set make "
            "revision a commit of it, 40 hex digits"
        )
    return f"hf://datasets/{section.repository}@{section.revision}"


def _items(root: str, category: str) -> Iterator[dict[str, Any]]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from pyarrow import ArrowException

    files = f"{root}/{ITEMS.format(category=category)}"
    try:
        stream = load_dataset("parquet", data_files=files, split="train", streaming=True)
        for item in stream:
            if missing := [name for name in COLUMNS if name not in item]:
                raise PricewrightError(f"{files}: no column {', '.join(missing)}: not the raw items of 2023")
            yield item
    except (OSError, ValueError, RuntimeError, ArrowException, DatasetsError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PricewrightError(
            f"{files} cannot be read ({reason}): check scrape.amazon_reviews, and that the hub can be reached"
        ) from error


def _listing(category: str, item: dict[str, Any]) -> dict[str, str]:
    price = text(item["price"])
    price = "" if NO_PRICE.fullmatch(price) else price
    row = {
        "title": text(item["title"]),
        "description": text([*(item["features"] or []), *(item["description"] or [])]),
        "brand": text(item["store"]),
        "category": category_name(item["categories"]) or text(item["main_category"]),
        "details": json.dumps(details(item["details"]), ensure_ascii=False),
        "price": price,
        "amount": plain_number(amount(price)),
        "currency": "USD",
        "address": f"{category}:{text(item['parent_asin'])}",
        "page_hash": hashlib.sha256(
            json.dumps({name: item[name] for name in COLUMNS}, default=str).encode()
        ).hexdigest(),
        "found_in": "row" if price else "",
        "places": "{}",
        "rights": "",
    }
    return {name: writable(value) for name, value in row.items()}
