"""What the readings of a page are made of: nodes of structured data, and fields with their places."""

from __future__ import annotations

import html as entities
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

Node = dict[str, Any]
"""An object of structured data, in the shape of JSON-LD."""
DEPTH_MAX = 30  # nested items that are read; a deeper page is hostile


class Value(NamedTuple):
    """The value of a field and its place on the page."""

    text: str
    place: str
    """The reading, then the property: `json-ld offers.price`, `meta og:title`."""


Reading = dict[str, Value]
"""Field to value; `kind` is that of the price (see `Extracted.price_kind`)."""


def same_page(written: str, url: str, query: bool = False) -> bool:
    """Whether an address that a page gives has the page's path, and its query where that counts."""
    try:
        link, page = urlsplit(urljoin(url, written)), urlsplit(url)
    except ValueError:
        return False
    return bool(written) and link.path == page.path and (not query or link.query == page.query)


def nodes_of(value: object) -> list[Node]:
    """The objects of a property that may hold one, several or none."""
    return [entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, dict)]


def text(value: object) -> str:
    """A property as text: of a list the first entry, of an object its name."""
    for _ in range(DEPTH_MAX):
        match value:
            case str():
                return " ".join(entities.unescape(value).split())
            case dict():
                value = value.get("name") or value.get("@value")
            case [first, *_]:
                value = first
            case _:
                return ""
    return ""
