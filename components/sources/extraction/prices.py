"""The main price of a page as a visitor sees it, told from crossed-out, monthly, carriage and related ones.

The page is written out as one text that remembers which element each letter is of. Every price in it is a
candidate; what stands around it, in the text and in the markup, speaks for or against it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from lxml.html import HtmlElement

from components.sources.extraction.dom import HEADINGS, is_aside, is_shown, names, path
from components.sources.extraction.money import BARE, PRICE, amount, plain
from components.sources.extraction.price_words import (
    BEST_NAMES,
    BUY,
    INSTALMENTS,
    NOT_PAID,
    NOT_PAID_AFTER,
    PAID,
    PRICE_NAMES,
    RELATED,
)

INLINE = {"a", "abbr", "b", "bdi", "button", "data", "del", "em", "font", "i", "ins", "label", "meta"}
INLINE |= {"s", "small", "span", "strike", "strong", "sub", "sup", "time", "u"}
CENTS = re.compile(r"(?<![a-z])(?:cents?|decimals?|fraction)(?![a-z])")
LABEL_WORDS = 4
PROSE_WORDS = 12
RELATED_CHARACTERS = 60
PROBABLE = 2.0  # the score from which a price probably is the product's; from 0 on it may be
CLOSE, NEAR = 0.75, 2  # scores and lines within which two prices may be the old and the new one
DEEP = 200  # levels of elements; what lies deeper is not read
ELEMENTS = 50_000  # of a page, in document order; what follows is not read
CANDIDATES = 300  # prices on a page; a page with more is a list


@dataclass(frozen=True)
class Price:
    """A price on the page that may be the product's."""

    text: str
    """As written."""
    score: float
    place: str
    """XPath of its element."""
    line: int
    """Number of the line that it stands on, where every block is a line."""


def prices(main: HtmlElement) -> list[Price]:
    """The prices in `main` that may be the product's, the likeliest first."""
    page = _PageText()
    _write(main, page, 0.0, 0)
    text, candidates = "".join(page.pieces), []
    title = next((start for start, _, element, _ in page.spans if element.tag == "h1"), 0)
    for match, _ in zip(PRICE.finditer(text), range(CANDIDATES), strict=False):
        element, handicap = page.element_of(*match.span())
        if element.tag != "h1":
            score = handicap + _score(text, match, element, page) - 0.5 * (match.start() < title)
            candidates.append(
                Price(plain(match.group()), score, path(element), text.count("\n", 0, match.start()))
            )
    for start, end, element, handicap in page.spans:
        bare = text[start:end].strip()
        if len(bare) < LABEL_WORDS * 4 and BARE.fullmatch(bare) and PRICE_NAMES.search(names(element)):
            candidates.append(Price(bare, handicap + 1.0, path(element), text.count("\n", 0, start)))
    probable = [candidate for candidate in candidates if candidate.score > 0]
    return _with_the_reduced_first(sorted(probable, key=lambda candidate: -candidate.score))


def _with_the_reduced_first(ranked: list[Price]) -> list[Price]:
    """Of two prices that stand together and nothing tells apart, a style sheet crosses out the higher."""
    best = [
        price
        for price in ranked
        if price.score > ranked[0].score - CLOSE and abs(price.line - ranked[0].line) <= NEAR
    ]
    amounts = {id(price): amount(price.text) or 0 for price in best}
    reduced = min(best, key=lambda price: amounts[id(price)], default=None)
    if reduced is None or 3 * amounts[id(reduced)] < max(amounts.values()):
        return ranked
    return [reduced, *(price for price in ranked if price is not reduced)]


# --- the page as a text ------------------------------------------------------------------------------


@dataclass
class _PageText:
    """Blocks on lines of their own; for each element, in document order, its span and its handicap."""

    pieces: list[str] = field(default_factory=list)
    length: int = 0
    spans: list[tuple[int, int, HtmlElement, float]] = field(default_factory=list)

    @property
    def end(self) -> str:
        return next((piece[-1] for piece in reversed(self.pieces) if piece), "\n")

    def write(self, text: str) -> None:
        text = re.sub(r"\s+", " ", text)
        if self.end in " \n":
            text = text.removeprefix(" ")
        if text:
            self.pieces.append(text)
            self.length += len(text)

    def part(self, text: str) -> None:
        """Begin or end an element: two numbers that touch there are two, `249€99` and `299€99`."""
        if self.end.isdigit() and text[:1].isdigit():
            self.line()
        self.write(text)

    def line(self) -> None:
        if self.end != "\n":
            self.pieces.append("\n")
            self.length += 1

    def element_of(self, start: int, end: int) -> tuple[HtmlElement, float]:
        """The innermost element that holds a span whole, and its handicap."""
        last = bisect_right(self.spans, start, key=lambda span: span[0])
        for _, finish, element, handicap in reversed(self.spans[:last]):
            if finish >= end:
                return element, handicap
        return self.spans[0][2], self.spans[0][3]


def _write(element: HtmlElement, page: _PageText, handicap: float, depth: int) -> None:
    """Write an element out; `handicap` is what its surroundings say against the prices in it."""
    block = element.tag not in INLINE
    if block:
        page.line()
    slot, start = len(page.spans), page.length
    handicap += _against(element)
    page.spans.append((start, start, element, handicap))
    page.part(element.text or "")
    inside = handicap
    for child in element:
        if is_shown(child) and depth < DEEP and len(page.spans) < ELEMENTS and not _write_cents(child, page):
            _write(child, page, inside, depth + 1)
            inside -= 6 * _announces_others(child)
        page.part(child.tail or "")
    page.spans[slot] = (start, page.length, element, handicap)
    if block:
        page.line()


def _write_cents(element: HtmlElement, page: _PageText) -> bool:
    """Write `<sup>95</sup>` behind a digit as `.95`; whether it was that."""
    if element.tag != "sup" and not CENTS.search(names(element)):
        return False
    text = "".join(element.itertext()).strip()
    if not (re.fullmatch(r"\d\d", text) and re.search(r"\d ?$", "".join(page.pieces[-2:]))):
        return False
    if page.end == " ":
        page.pieces[-1] = page.pieces[-1][:-1]
        page.length -= 1
    page.write("." + text)
    return True


# --- what speaks for and against ---------------------------------------------------------------------


def _against(element: HtmlElement) -> float:
    """What an element says against the prices inside it, 0 or less."""
    against = -6.0 * is_aside(element)
    if element.tag == "a" and element.get("href") and not BUY.search("".join(element.itertext())):
        against -= 4
    if element.tag in ("li", "article") and element.find(".//h1") is None:
        against -= 4 * any("".join(link.itertext()).strip() for link in element.iter("a"))  # a card
    return against


def _announces_others(child: HtmlElement) -> bool:
    """Whether a child is a short text such as "You may also like": what follows it is aside."""
    text = "".join(child.itertext())
    return (
        len(text) < RELATED_CHARACTERS
        and child.tag != "h1"
        and bool(RELATED.search(text))
        and not any(map(str.isdigit, text))
    )


def _score(text: str, match: re.Match[str], element: HtmlElement, page: _PageText) -> float:
    label, sentence = _label(text, match, page)
    start = text.rfind("\n", 0, match.start()) + 1
    line = text[start:].partition("\n")[0]
    before, after = text[start : match.start()], text[match.end() : start + len(line)]
    around = names(element) + " " + names(element.getparent() if element.getparent() is not None else element)
    score = 1.0
    score += 2.0 * bool(PRICE_NAMES.search(around)) + 1.0 * bool(BEST_NAMES.search(around))
    score += 1.5 * bool(PAID.search(label) or BUY.search(label)) + 0.5 * (
        element.tag in {*HEADINGS, "b", "strong", "ins"}
    )
    score -= 6.0 * bool(NOT_PAID.search(label) or NOT_PAID_AFTER.search(after) or INSTALMENTS.search(before))
    score -= 2.0 * bool(NOT_PAID.search(sentence)) + 2.0 * (len(line.split()) > PROSE_WORDS)
    return score - text.count("\n", 0, start) / (text.count("\n") + 1)  # the main price stands high up


def _label(text: str, match: re.Match[str], page: _PageText) -> tuple[str, str]:
    """The few words right before a price, and the whole of their sentence."""
    start = text.rfind("\n", 0, match.start()) + 1
    before = text[start : match.start()]
    if not before.strip() and start:  # a short line above may be its label; a heading says the product
        above = text[text.rfind("\n", 0, start - 1) + 1 : start - 1]
        element, _ = page.element_of(start - 1 - len(above), start - 1)
        if len(above.split()) <= LABEL_WORDS and not PRICE.search(above) and element.tag not in HEADINGS:
            before = above
    sentence = re.split(r"[.!?;]\s", PRICE.split(before)[-1] + " ")[-1]
    return " ".join(sentence.split()[-LABEL_WORDS:]), sentence
