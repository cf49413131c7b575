"""Elements of a page: their text and names, and whether they are visible or about something else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml.html import HtmlElement

from components.sources.extraction.price_words import ASIDE_NAMES

SILENT_TAGS = {"script", "style", "template", "noscript", "select", "head", "svg", "textarea"}
ASIDE_TAGS = {"nav", "footer", "header", "aside", "del", "s", "strike"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
NAMED_BY = (
    "class",
    "id",
    "data-test",
    "data-testid",
    "data-hook",
    "data-qa",
    "data-cy",
    "data-price-type",
    "itemprop",
)


def main_part(tree: HtmlElement) -> HtmlElement:
    """The `main` element, or all of a page that has none."""
    main = tree.find(".//main")
    return tree if main is None else main


def words(element: HtmlElement) -> str:
    """The visible text of an element, with single blanks."""
    return " ".join("".join(_pieces(element)).split())


def _pieces(element: HtmlElement) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if is_shown(child):
            yield from _pieces(child)
        yield child.tail or ""


def short_text(element: HtmlElement, characters: int) -> str | None:
    """All text of an element, hidden or not, where it is shorter than so many characters; else None."""
    pieces, length = [], 0
    for piece in element.itertext():
        pieces.append(piece)
        length += len(piece)
        if length >= characters:
            return None
    return "".join(pieces)


def is_shown(element: HtmlElement) -> bool:
    """Whether a node is an element (no comment) and not hidden."""
    if not isinstance(element.tag, str) or element.tag in SILENT_TAGS or element.get("hidden") is not None:
        return False
    return "display:none" not in (element.get("style") or "").replace(" ", "")


def is_aside(element: HtmlElement) -> bool:
    """Whether an element is crossed out or about something else, by its tag, style or names."""
    if element.tag in ASIDE_TAGS or "line-through" in (element.get("style") or ""):
        return True
    return bool(ASIDE_NAMES.search(names(element)))


def names(element: HtmlElement) -> str:
    """Class names, id and the like, in lower case with hyphens."""
    written = " ".join(filter(None, map(element.get, NAMED_BY)))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", written).lower().replace("_", "-")


def path(element: HtmlElement) -> str:
    """XPath of an element."""
    return str(element.getroottree().getpath(element))
