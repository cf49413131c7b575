"""Ranks the visible prices of a page: the product's above old, monthly, shipping and related ones.

The page is rendered as one text that remembers the element of each letter. Every price in it is a candidate;
the words and markup around it add to its score or take from it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from lxml.html import HtmlElement

from components.sources.extraction.dom import HEADINGS, is_aside, is_shown, names, path
from components.sources.extraction.money import BARE, PRICE, amount, find_prices, plain
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
PROBABLE = 2.0  # score from which a price is probably the product's; above 0 it may be
CLOSE, NEAR = 0.75, 2  # score and lines within which two prices may be the old and the new one
DEPTH_MAX = 200  # levels of elements; deeper ones are ignored
ELEMENTS_MAX = 50_000  # of a page, in document order; later ones are ignored
CANDIDATES_MAX = 300  # prices of a page that are looked at


@dataclass(frozen=True)
class PriceCandidate:
    """A price on the page that may be the product's."""

    text: str
    """As written."""
    score: float
    place: str
    """XPath of its element."""
    line: int
    """Line number in the rendered text, where every block element is a line."""


def prices(main: HtmlElement) -> list[PriceCandidate]:
    """The prices in `main` with a score above 0, the best first."""
    page = _PageText()
    _render(main, page, 0.0, 0)
    text, candidates = "".join(page.pieces), []
    title = next((start for start, _, element, _ in page.spans if element.tag == "h1"), 0)
    for match, _ in zip(find_prices(text), range(CANDIDATES_MAX), strict=False):
        element, penalty = page.element_of(*match.span())
        if element.tag != "h1":
            score = penalty + _score(text, match, element, page) - 0.5 * (match.start() < title)
            candidates.append(
                PriceCandidate(plain(match.group()), score, path(element), text.count("\n", 0, match.start()))
            )
    for start, end, element, penalty in page.spans:
        bare = text[start:end].strip()
        if len(bare) < LABEL_WORDS * 4 and BARE.fullmatch(bare) and PRICE_NAMES.search(names(element)):
            candidates.append(PriceCandidate(bare, penalty + 1.0, path(element), text.count("\n", 0, start)))
    probable = [candidate for candidate in candidates if candidate.score > 0]
    return _reduced_price_first(sorted(probable, key=lambda candidate: -candidate.score))


def _reduced_price_first(ranked: list[PriceCandidate]) -> list[PriceCandidate]:
    """Puts the lower of two equally good prices side by side first: a style sheet crosses out the higher."""
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


# --- the page as text --------------------------------------------------------------------------------


@dataclass
class _PageText:
    """The rendered text, with a line for each block element."""

    pieces: list[str] = field(default_factory=list)
    length: int = 0
    spans: list[tuple[int, int, HtmlElement, float]] = field(default_factory=list)
    """Start, end, element and penalty (0 or less) of every element, in document order."""

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
        """Write the text at the border of an element, which separates two numbers: `249€99` and `299€99`."""
        if self.end.isdigit() and text[:1].isdigit():
            self.line()
        self.write(text)

    def line(self) -> None:
        if self.end != "\n":
            self.pieces.append("\n")
            self.length += 1

    def element_of(self, start: int, end: int) -> tuple[HtmlElement, float]:
        """The innermost element that contains a whole span, and its penalty."""
        last = bisect_right(self.spans, start, key=lambda span: span[0])
        for _, finish, element, penalty in reversed(self.spans[:last]):
            if finish >= end:
                return element, penalty
        return self.spans[0][2], self.spans[0][3]


def _render(element: HtmlElement, page: _PageText, penalty: float, depth: int) -> None:
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


def _render_cents(element: HtmlElement, page: _PageText) -> bool:
    """Render `<sup>95</sup>` behind a digit as `.95`. False where the element is something else."""
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


# --- scores ------------------------------------------------------------------------------------------


def _penalty(element: HtmlElement) -> float:
    """What an element takes from the score of the prices inside it, 0 or less."""
    penalty = -6.0 * is_aside(element)
    if element.tag == "a" and element.get("href") and not BUY.search("".join(element.itertext())):
        penalty -= 4
    if element.tag in ("li", "article") and element.find(".//h1") is None:
        penalty -= 4 * any("".join(link.itertext()).strip() for link in element.iter("a"))  # a card
    return penalty


def _announces_related(child: HtmlElement) -> bool:
    """Whether a child is a short heading such as "You may also like", behind which other products follow."""
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
    """The few words right before a price, and the beginning of their sentence."""
    start = text.rfind("\n", 0, match.start()) + 1
    before = text[start : match.start()]
    if not before.strip() and start:  # a short line above may be its label; a heading says the product
        above = text[text.rfind("\n", 0, start - 1) + 1 : start - 1]
        element, _ = page.element_of(start - 1 - len(above), start - 1)
        if len(above.split()) <= LABEL_WORDS and not PRICE.search(above) and element.tag not in HEADINGS:
            before = above
    sentence = re.split(r"[.!?;]\s", PRICE.split(before)[-1] + " ")[-1]
    return " ".join(sentence.split()[-LABEL_WORDS:]), sentence
