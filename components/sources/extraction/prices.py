"""The main price of a page as a visitor sees it, told from crossed-out, monthly, carriage and related ones.

The page is written out as one text that remembers which element each letter is of. Every price in it is a
candidate; what stands around it, in the text and in the markup, speaks for or against it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from lxml.html import HtmlElement

from components.sources.extraction.money import BARE, PRICE, amount, plain
from components.sources.extraction.price_words import (
    ASIDE_NAMES,
    BEST_NAMES,
    BUY,
    INSTALMENTS,
    NOT_PAID,
    NOT_PAID_AFTER,
    PAID,
    PRICE_NAMES,
    RELATED,
)

SILENT_TAGS = {"script", "style", "template", "noscript", "select", "head", "svg", "textarea"}
ASIDE_TAGS = {"nav", "footer", "header", "aside", "del", "s", "strike"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
INLINE = {"a", "abbr", "b", "bdi", "button", "data", "del", "em", "font", "i", "ins", "label", "meta"}
INLINE |= {"s", "small", "span", "strike", "strong", "sub", "sup", "time", "u"}
CENTS = re.compile(r"(?<![a-z])(?:cents?|decimals?|fraction)(?![a-z])")
NAMED_BY = ("class", "id", "data-test", "data-testid", "data-hook", "data-qa", "data-cy", "itemprop")
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
    script = _Script()
    _write(main, script, 0.0, 0)
    text, found = "".join(script.pieces), []
    title = next((start for start, _, element, _ in script.spans if element.tag == "h1"), 0)
    for match, _ in zip(PRICE.finditer(text), range(CANDIDATES), strict=False):
        element, handicap = script.element_of(*match.span())
        if element.tag != "h1":
            score = handicap + _score(text, match, element, script) - 0.5 * (match.start() < title)
            found.append(
                Price(plain(match.group()), score, _path(element), text.count("\n", 0, match.start()))
            )
    for start, end, element, handicap in script.spans:
        bare = text[start:end].strip()
        if len(bare) < LABEL_WORDS * 4 and BARE.fullmatch(bare) and PRICE_NAMES.search(names(element)):
            found.append(Price(bare, handicap + 1.0, _path(element), text.count("\n", 0, start)))
    return _with_the_reduced_first(
        sorted((one for one in found if one.score > 0), key=lambda one: -one.score)
    )


def _with_the_reduced_first(found: list[Price]) -> list[Price]:
    """Of two prices that stand together and nothing tells apart, a style sheet crosses out the higher."""
    best = [
        one for one in found if one.score > found[0].score - CLOSE and abs(one.line - found[0].line) <= NEAR
    ]
    amounts = {id(one): amount(one.text) or 0 for one in best}
    reduced = min(best, key=lambda one: amounts[id(one)], default=None)
    if reduced is None or 3 * amounts[id(reduced)] < max(amounts.values()):
        return found
    return [reduced, *(one for one in found if one is not reduced)]


# --- the page as a text ------------------------------------------------------------------------------


@dataclass
class _Script:
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


def _write(element: HtmlElement, script: _Script, handicap: float, depth: int) -> None:
    """Write an element out; `handicap` is what its surroundings say against the prices in it."""
    block = element.tag not in INLINE
    if block:
        script.line()
    slot, start = len(script.spans), script.length
    handicap += _against(element)
    script.spans.append((start, start, element, handicap))
    script.part(element.text or "")
    inside = handicap
    for child in element:
        if (
            is_shown(child)
            and depth < DEEP
            and len(script.spans) < ELEMENTS
            and not _write_cents(child, script)
        ):
            _write(child, script, inside, depth + 1)
            inside -= 6 * _announces_others(child)
        script.part(child.tail or "")
    script.spans[slot] = (start, script.length, element, handicap)
    if block:
        script.line()


def _write_cents(element: HtmlElement, script: _Script) -> bool:
    """Write `<sup>95</sup>` behind a digit as `.95`; whether it was that."""
    if element.tag != "sup" and not CENTS.search(names(element)):
        return False
    text = "".join(element.itertext()).strip()
    if not (re.fullmatch(r"\d\d", text) and re.search(r"\d ?$", "".join(script.pieces[-2:]))):
        return False
    if script.end == " ":
        script.pieces[-1] = script.pieces[-1][:-1]
        script.length -= 1
    script.write("." + text)
    return True


def is_shown(element: HtmlElement) -> bool:
    """Whether an element is one, and is not hidden."""
    if not isinstance(element.tag, str) or element.tag in SILENT_TAGS or element.get("hidden") is not None:
        return False
    return "display:none" not in (element.get("style") or "").replace(" ", "")


# --- what speaks for and against ---------------------------------------------------------------------


def _against(element: HtmlElement) -> float:
    """What an element says against the prices inside it, 0 or less."""
    against = -6.0 * is_aside(element)
    if element.tag == "a" and element.get("href") and not BUY.search("".join(element.itertext())):
        against -= 4
    if element.tag in ("li", "article") and element.find(".//h1") is None:
        against -= 4 * any("".join(link.itertext()).strip() for link in element.iter("a"))  # a card
    return against


def is_aside(element: HtmlElement) -> bool:
    """Whether an element's tag, style or names say that it is crossed out or about something else."""
    if element.tag in ASIDE_TAGS or "line-through" in (element.get("style") or ""):
        return True
    return bool(ASIDE_NAMES.search(names(element)))


def _announces_others(child: HtmlElement) -> bool:
    """Whether a child is a short text such as "You may also like": what follows it is aside."""
    said = "".join(child.itertext())
    return (
        len(said) < RELATED_CHARACTERS
        and child.tag != "h1"
        and bool(RELATED.search(said))
        and not any(map(str.isdigit, said))
    )


def _score(text: str, match: re.Match[str], element: HtmlElement, script: _Script) -> float:
    label, sentence = _label(text, match, script)
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


def _label(text: str, match: re.Match[str], script: _Script) -> tuple[str, str]:
    """The few words right before a price, and the whole of their sentence."""
    start = text.rfind("\n", 0, match.start()) + 1
    before = text[start : match.start()]
    if not before.strip() and start:  # a short line above may be its label; a heading says the product
        above = text[text.rfind("\n", 0, start - 1) + 1 : start - 1]
        element, _ = script.element_of(start - 1 - len(above), start - 1)
        if len(above.split()) <= LABEL_WORDS and not PRICE.search(above) and element.tag not in HEADINGS:
            before = above
    sentence = re.split(r"[.!?;]\s", PRICE.split(before)[-1] + " ")[-1]
    return " ".join(sentence.split()[-LABEL_WORDS:]), sentence


def names(element: HtmlElement) -> str:
    """Class names, id and the like, in lower case with hyphens."""
    written = " ".join(filter(None, map(element.get, NAMED_BY)))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", written).lower().replace("_", "-")


def _path(element: HtmlElement) -> str:
    return str(element.getroottree().getpath(element))
