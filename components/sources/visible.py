"""What a visitor sees of a product page that has no structured data: heading, specifications, main price.

The main price is the hard part: pages also show crossed-out, shipping, saved and related prices. A price
counts if an element says nothing else, stands in no such area, and has no such label before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml.html import HtmlElement

SIGN = r"(?:US|CA|AU|NZ)?\s?\$|€|£|¥|USD|EUR|GBP|CAD|AUD|CHF|JPY"
AMOUNT = r"\d(?:[\d.,'\s]*\d)?"
PRICE = rf"(?:{SIGN})\s*{AMOUNT}(?:\s*(?:{SIGN}))?|{AMOUNT}\s*(?:{SIGN})"
ONLY_A_PRICE = re.compile(
    rf"(?:(?:(?:our|your|sale|current|today's)\s+)?price|now|only|just)?\s*:?\s*({PRICE})\s*(?:each)?",
    re.IGNORECASE,
)
ANY_PRICE = re.compile(PRICE, re.IGNORECASE)
OTHER_PRICE = re.compile(
    r"\b(was|old|previous|list|rrp|msrp|instead|compare|save|saving|off|shipping|delivery|postage|from|over|month)\b",
    re.IGNORECASE,
)
CODES = {"US$": "USD", "CA$": "CAD", "AU$": "AUD", "NZ$": "NZD", "€": "EUR", "£": "GBP"}

SILENT_TAGS = {"script", "style", "template", "noscript", "select", "head"}
ASIDE_TAGS = SILENT_TAGS | {"nav", "footer", "aside", "del", "s", "strike"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
LABEL_WORDS = 4
ASIDE_WORDS = re.compile(
    r"(?<![a-z])(related|similar|recommend\w*|upsell|carousel|was|old|previous|strike\w*|rrp|msrp|saving\w*"
    r"|shipping|delivery|postage|review\w*|compare|instal\w*)(?![a-z])"
)
ASIDE_HEADING = re.compile(r"\b(also|related|similar|recommended|customers|reviews)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Visible:
    """The fields of one product page, empty where nothing was seen."""

    title: str
    description: str
    category: str
    details: dict[str, str]
    """Rows of specification lists and tables; the brand is under `Brand`."""
    price: str
    """As written."""


def read_page(tree: HtmlElement) -> Visible:
    """Read the main part of a page."""
    heading = tree.find(".//h1")
    main = tree.find(".//main")
    main = tree if main is None else main
    return Visible(
        title="" if heading is None else _words(heading),
        description=_description(main),
        category=_breadcrumb(tree),
        details=_details(main),
        price=_price(main),
    )


def currency(price: str) -> str:
    """ISO 4217 code of a price text; empty for signs that several currencies share, such as a mere `$`."""
    if code := re.search(r"USD|EUR|GBP|CAD|AUD|CHF|JPY", price.upper()):
        return code.group()
    return next((code for sign, code in CODES.items() if sign in price.upper().replace(" ", "")), "")


def _price(main: HtmlElement) -> str:
    """The first price whose markup calls it one, else the first price."""
    found = list(_prices(main))
    named = [text for text, markup in found if re.search("price|amount|cost", markup)]
    return next(iter(named or [text for text, _ in found]), "")


def _prices(element: HtmlElement) -> Iterator[tuple[str, str]]:
    """Text and markup names of each element, in document order, that shows just a price and is no aside."""
    for child in element.iterchildren(tag="*"):
        if child.tag == "a" or _is_aside(child):
            continue
        text = _words(child, skip_asides=True)
        if match := ONLY_A_PRICE.fullmatch(text):
            if not OTHER_PRICE.search(_label(child)):
                yield match.group(1), _names(child) + " " + _names(element)
        elif any(character.isdigit() for character in text):
            yield from _prices(child)


def _label(element: HtmlElement) -> str:
    """The few words right before an element that may say which price it is; a heading says the product."""
    previous = element.getprevious()
    if previous is None:
        before = element.getparent().text or ""
    else:
        before = ("" if previous.tag in HEADINGS else _words(previous)) + " " + (previous.tail or "")
    sentence = re.split(r"[.!?;]\s", ANY_PRICE.split(before)[-1] + " ")[-1]
    return " ".join(sentence.split()[-LABEL_WORDS:])


def _is_aside(element: HtmlElement) -> bool:
    if element.tag in ASIDE_TAGS or element.get("hidden") is not None:
        return True
    if "line-through" in (element.get("style") or "") or ASIDE_WORDS.search(_names(element)):
        return True
    first = next(element.iterchildren(tag="*"), None)
    return first is not None and first.tag in HEADINGS - {"h1"} and bool(ASIDE_HEADING.search(_words(first)))


def _names(element: HtmlElement) -> str:
    return f"{element.get('class') or ''} {element.get('id') or ''}".lower()


def _words(element: HtmlElement, skip_asides: bool = False) -> str:
    """The text of an element with single blanks, markup that is not shown left out."""
    pieces: list[str] = []

    def collect(part: HtmlElement) -> None:
        pieces.append(part.text or "")
        for child in part.iterchildren(tag="*"):
            if child.tag not in SILENT_TAGS and not (skip_asides and _is_aside(child)):
                collect(child)
            pieces.append(child.tail or "")

    collect(element)
    return " ".join("".join(pieces).split())


def _description(main: HtmlElement) -> str:
    """The element that is named so, else the longest paragraph outside asides."""
    for element in main.iter("div", "section", "p", "article"):
        if "description" in _names(element):
            paragraphs = element.findall(".//p")
            return " ".join(_words(part) for part in paragraphs or [element])
    paragraphs = [part for part in main.iter("p") if not any(map(_is_aside, (part, *part.iterancestors())))]
    return max((_words(part) for part in paragraphs), key=len, default="")


def _details(main: HtmlElement) -> dict[str, str]:
    rows: list[tuple[HtmlElement, HtmlElement]] = []
    for name in main.iter("dt"):
        value = name.getnext()
        if value is not None and value.tag == "dd":
            rows.append((name, value))
    for row in main.iter("tr"):
        cells = row.findall("th") + row.findall("td")
        if len(cells) == 2:
            rows.append((cells[0], cells[1]))
    read = {_words(name).rstrip(":"): _words(value) for name, value in rows if not _in_aside(name, main)}
    return {
        name: value for name, value in read.items() if name and value and not ONLY_A_PRICE.fullmatch(value)
    }


def _in_aside(element: HtmlElement, main: HtmlElement) -> bool:
    while element is not None and element is not main:
        if _is_aside(element):
            return True
        element = element.getparent()
    return False


def _breadcrumb(tree: HtmlElement) -> str:
    """The last link of the breadcrumb trail: the category that the product stands in."""
    for trail in tree.iter("nav", "ol", "ul", "div"):
        if "breadcrumb" in _names(trail) + (trail.get("aria-label") or "").lower():
            links = trail.findall(".//a")
            return _words(links[-1]) if links else ""
    return ""
