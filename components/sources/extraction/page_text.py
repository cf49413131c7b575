"""A page as one text that remembers the element of each letter, with a line for each block element."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field

from lxml.html import HtmlElement

from components.sources.extraction.dom import is_aside, is_shown, names, short_text
from components.sources.extraction.price_words import BUY, CENT_NAMES, NET_NAMES, PRICE_NAMES, RELATED

INLINE = {"a", "abbr", "b", "bdi", "bdo", "button", "data", "del", "em", "font", "i", "ins", "label", "meta"}
INLINE |= {"s", "small", "span", "strike", "strong", "sub", "sup", "time", "u"}
RELATED_CHARACTERS = 60
DEPTH_MAX = 200  # levels of elements; deeper ones are ignored
ELEMENTS_MAX = 50_000  # of a page, in document order; later ones are ignored
WHOLE = re.compile(
    r"(?<![\d.,])(?P<sign>[^\W\d_]{1,3}\.? ?|[^\w\s.,:;()/+-] ?)?\d{1,3}(?:[ .,'’]?\d{3})*[.,]? ?$"
)
"""The end of a text that may be the whole part of a price, with a sign before it or none."""
WHOLE_CHARACTERS = 24
CENTS_CHARACTERS = 12
ASCII = {
    code: str(digit)
    for code in range(0x80, 0x10000)
    if (digit := unicodedata.decimal(chr(code), None)) is not None
}
ASCII |= {0x66B: ".", 0x66C: ",", 0xFFE5: "¥", 0xFF04: "$", 0xFFE1: "£"}
"""The digits of every script (Arabic, Persian, Devanagari, full width), and Arabic's two separators."""


@dataclass
class PageText:
    """The rendered text."""

    pieces: list[str] = field(default_factory=list)
    length: int = 0
    spans: list[tuple[int, int, HtmlElement, float]] = field(default_factory=list)
    """Start, end, element and penalty (0 or less) of every element, in document order."""

    def tail(self, characters: int) -> str:
        """The last characters so far, or more."""
        kept: list[str] = []
        count = 0
        for piece in reversed(self.pieces):
            kept.append(piece[-characters:])
            count += len(kept[-1])
            if count >= characters:
                break
        return "".join(reversed(kept))

    def write(self, text: str) -> None:
        """Write a text with single blanks and ASCII digits."""
        text = re.sub(r"\s+", " ", text).translate(ASCII)
        if self._end in " \n":
            text = text.removeprefix(" ")
        if text:
            self.pieces.append(text)
            self.length += len(text)

    @property
    def _end(self) -> str:
        return self.pieces[-1][-1] if self.pieces else "\n"

    def part(self, text: str) -> None:
        """Write the text at the border of an element, which separates two numbers: `249€99` and `299€99`."""
        if self._end.isdigit() and text[:1].isdigit():
            self.line()
        self.write(text)

    def line(self) -> None:
        """Begin a line, where none has begun."""
        if self._end != "\n":
            self.pieces.append("\n")
            self.length += 1

    def join(self, cents: str) -> None:
        """Write cents behind the last digits of the text, in place of blanks, breaks and points there."""
        while self.pieces and not self.pieces[-1][-1].isdigit():
            self.length -= 1
            self.pieces[-1] = self.pieces[-1][:-1]
            if not self.pieces[-1]:
                self.pieces.pop()
        self.write(
            ("," if "." in self.tail(WHOLE_CHARACTERS)[-WHOLE_CHARACTERS:].split(" ")[-1] else ".") + cents
        )

    def element_of(self, start: int, end: int) -> tuple[HtmlElement, float]:
        """The innermost element that contains a whole span, and its penalty."""
        last = bisect_right(self.spans, start, key=lambda span: span[0])
        for _, finish, element, penalty in reversed(self.spans[:last]):
            if finish >= end:
                return element, penalty
        return self.spans[0][2], self.spans[0][3]


def render(main: HtmlElement) -> PageText:
    """The text of an element and its penalties."""
    page = PageText()
    _render(main, page, 0.0, 0)
    return page


def _render(element: HtmlElement, page: PageText, penalty: float, depth: int) -> None:
    """Render an element; `penalty` (0 or less) is what its ancestors take from the score of prices in it."""
    block = element.tag not in INLINE
    if block:
        page.line()
    slot, start = len(page.spans), page.length
    penalty += _penalty(element)
    page.spans.append((start, start, element, penalty))
    page.part(element.text or "")
    inside = penalty
    for child in element:
        if (
            is_shown(child)
            and depth < DEPTH_MAX
            and len(page.spans) < ELEMENTS_MAX
            and not _render_cents(child, page)
        ):
            _render(child, page, inside, depth + 1)
            inside -= 6 * _announces_related(child)
        page.part(child.tail or "")
    page.spans[slot] = (start, page.length, element, penalty)
    if block:
        page.line()


def _render_cents(element: HtmlElement, page: PageText) -> bool:
    """Render an element of two digits behind the whole part of a price as `.95`: `$229<sup>95</sup>`.

    False where the element is something else: it is neither raised, nor named as cents or as part of a price,
    nor right behind a sign and its digits.
    """
    text = (short_text(element, CENTS_CHARACTERS) or "").strip().translate(ASCII)
    if not re.fullmatch(r"[.,]?\d\d", text):
        return False
    before = page.tail(WHOLE_CHARACTERS)[-WHOLE_CHARACTERS:].replace("\n", " ")
    whole = WHOLE.search(before)
    parent = element.getparent()
    around = names(element) + " " + names(parent) if parent is not None else ""
    adjacent = whole is not None and before[-1:].isdigit()
    if not whole or not (
        element.tag == "sup"
        or CENT_NAMES.search(names(element))
        or (adjacent and (whole["sign"] or PRICE_NAMES.search(around)))
    ):
        return False
    page.join(text.lstrip(".,"))
    return True


def _penalty(element: HtmlElement) -> float:
    """What an element takes from the score of the prices inside it, 0 or less."""
    penalty = -6.0 * (is_aside(element) or bool(NET_NAMES.search(names(element))))
    if element.tag == "a" and element.get("href") and not BUY.search("".join(element.itertext())):
        penalty -= 4
    if element.tag in ("li", "article") and element.find(".//h1") is None:
        penalty -= 4 * any("".join(link.itertext()).strip() for link in element.iter("a"))  # a card
    return penalty


def _announces_related(child: HtmlElement) -> bool:
    """Whether a child is a short heading such as "You may also like", behind which other products follow."""
    if child.tag == "h1" or (text := short_text(child, RELATED_CHARACTERS)) is None:
        return False
    return bool(RELATED.search(text)) and not any(map(str.isdigit, text))
