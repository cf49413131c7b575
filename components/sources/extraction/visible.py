"""Reads the visible parts of a product page but the price: title, specifications, description, category."""

from __future__ import annotations

from lxml.html import HtmlElement

from components.sources.extraction.dom import HEADINGS, is_aside, names, words
from components.sources.extraction.money import PRICE
from components.sources.extraction.price_words import RELATED


def title(tree: HtmlElement) -> str:
    """The text of the first h1; empty where there is none."""
    heading = tree.find(".//h1")
    return "" if heading is None else words(heading)


def description(main: HtmlElement) -> str:
    """The text of the element named `description`, else of the longest paragraph outside of asides."""
    for element in main.iter("div", "section", "p", "article", "pre"):
        if "description" in names(element):
            paragraphs = element.findall(".//p")
            return " ".join(words(part) for part in paragraphs or [element])
    paragraphs = [part for part in main.iter("p") if not _in_aside(part, None)]
    texts = [text for text in map(words, paragraphs) if not PRICE.fullmatch(text)]
    return max(texts, key=len, default="")


def details(main: HtmlElement) -> dict[str, str]:
    """Specifications from definition lists and tables, name to value; values that are prices are left out."""
    rows: list[tuple[HtmlElement, HtmlElement]] = []
    for name in main.iter("dt"):
        value = name.getnext()
        if value is not None and value.tag == "dd":
            rows.append((name, value))
    for row in main.iter("tr"):
        cells = row.findall("th") + row.findall("td")
        if len(cells) == 2:
            rows.append((cells[0], cells[1]))
    specs = {words(name).rstrip(":"): words(value) for name, value in rows if not _in_aside(name, main)}
    return {name: value for name, value in specs.items() if name and value and not PRICE.fullmatch(value)}


def _in_aside(element: HtmlElement | None, main: HtmlElement | None) -> bool:
    while element is not None and element is not main:
        first = next(element.iterchildren(tag="*"), None)
        announced = first is not None and first.tag in HEADINGS - {"h1"} and RELATED.search(words(first))
        if is_aside(element) or announced:
            return True
        element = element.getparent()
    return False


def category(tree: HtmlElement) -> str:
    """The last link of the breadcrumb trail; empty where there is none."""
    for trail in tree.iter("nav", "ol", "ul", "div"):
        if "breadcrumb" in names(trail) + (trail.get("aria-label") or "").lower():
            links = trail.findall(".//a")
            return words(links[-1]) if links else ""
    return ""
