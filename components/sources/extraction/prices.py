"""Ranks the visible prices of a page: the product's above old, monthly, shipping and related ones.

The page is rendered as one text that remembers the element of each letter. Every price in it is a candidate;
the words and markup around it add to its score or take from it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, replace

from lxml.html import HtmlElement

from components.sources.extraction.dom import HEADINGS, names, path
from components.sources.extraction.money import BARE, PRICE, amount, find_prices, plain
from components.sources.extraction.page_text import PageText, render
from components.sources.extraction.price_words import (
    BEST_NAMES,
    BUY,
    FROM,
    INSTALMENTS,
    NET,
    NOT_PAID,
    NOT_PAID_AFTER,
    PAID,
    PRICE_NAMES,
    TO,
)

LABEL_WORDS = 4
PROSE_WORDS = 12
CONTEXT = 300  # characters of a line before and behind a price that are looked at
PROBABLE = 2.0  # score from which a price is probably the product's; above 0 it may be
CLOSE, NEAR = 0.75, 2  # score and lines within which two prices may be the old and the new one
CANDIDATES_MAX = 300  # prices of a page that are looked at
CARDS = 3  # different prices in elements of one kind, from which they are those of a list of products
NAMES_DEPTH = 4  # elements, from that of a price upwards, whose names may call it a price
CARD_DEPTH = 4  # elements, from that of a price upwards, whose class names tell its kind
TAX_RATES: tuple[float, ...] = (
    3,
    4,
    5,
    5.5,
    6,
    7,
    7.7,
    8,
    8.1,
    9,
    9.5,
    10,
    11,
    12,
    13,
    13.5,
    14,
    15,
    16,
    17,
    18,
    19,
    20,
    21,
    22,
    23,
    24,
    25,
)
TAX_RATES += (25.5, 27)
"""Standard and reduced rates of value added and sales taxes, percent (OECD, Consumption Tax Trends 2024)."""
TAX_LINES = 8  # between a price with tax and that without
CENTS, UNITS = 0.013, 1.0  # what rounding may add to their difference: to cents, to whole units
LOW_END = re.compile(r"(?<![\d.,])(\d(?:[\d.,]*\d)?) ?[-–—] ?\Z")
"""An amount and a dash before a price: `12.00 - ` in `12.00 - 24.00 €`."""
BARE_CHARACTERS = 16


@dataclass(frozen=True)
class PriceCandidate:
    """A price on the page that may be the product's."""

    text: str
    """As written."""
    score: float
    element: HtmlElement
    line: int
    """Line number in the rendered text, where every block element is a line."""
    kind: str = ""
    """`range` for the low end of one, `from` for the lowest of several prices, else empty."""
    is_net: bool = False
    """Whether it says that tax is not included."""

    @property
    def place(self) -> str:
        """XPath of its element."""
        return path(self.element)


def prices(main: HtmlElement) -> list[PriceCandidate]:
    """The prices in `main` with a score above 0, the best first."""
    page = render(main)
    text = "".join(page.pieces)
    candidates = _with_tax_before_net(_without_cards(_candidates(page, text)))
    probable = [candidate for candidate in candidates if candidate.score > 0]
    return _reduced_price_first(sorted(probable, key=lambda candidate: -candidate.score))


def _candidates(page: PageText, text: str) -> list[PriceCandidate]:
    """Every price in the text, and every bare amount in an element that is named as a price."""
    candidates: list[PriceCandidate] = []
    title = next((start for start, _, element, _ in page.spans if element.tag == "h1"), 0)
    breaks = [match.start() for match in re.finditer("\n", text)]
    end = 0
    for match, _ in zip(find_prices(text), range(CANDIDATES_MAX), strict=False):
        element, penalty = page.element_of(*match.span())
        if element.tag != "h1":
            line = bisect_right(breaks, match.start() - 1)
            score = penalty + _score(text, match, element, page) - line / (len(breaks) + 1)
            score -= 0.5 * (match.start() < title)
            written, kind = plain(match.group()), _kind(text, match)
            if low := LOW_END.search(text, max(0, match.start() - CONTEXT), match.start()):
                written, kind = plain(match.group().replace(_digits(match.group()), low[1])), "range"
            if candidates and candidates[-1].line == line and TO.fullmatch(text, end, match.start()):
                candidates[-1] = replace(candidates[-1], kind="range")
                score -= 3.0  # the high end
            net = bool(NET.search(_around(text, match)))
            candidates.append(PriceCandidate(written, score, element, line, kind, net))
        end = match.end()
    for start, finish, element, penalty in page.spans:
        if finish - start > BARE_CHARACTERS + 2 or len(candidates) > 2 * CANDIDATES_MAX:
            continue
        bare = text[start:finish].strip()
        if len(bare) < BARE_CHARACTERS and BARE.fullmatch(bare) and PRICE_NAMES.search(names(element)):
            line = bisect_right(breaks, start - 1)
            candidates.append(PriceCandidate(bare, penalty + 1.0, element, line))
    return candidates


def _digits(price: str) -> str:
    return re.sub(r"^\D+|\D+$", "", price)


def _kind(text: str, match: re.Match[str]) -> str:
    before = text[max(0, match.start() - CONTEXT) : match.start()].rpartition("\n")[2]
    after = text[match.end() : match.end() + CONTEXT].partition("\n")[0]
    return "from" if FROM.search(before) or re.match(r" ?(?:~|から|부터|başlayan|alkaen)", after) else ""


def _without_cards(candidates: list[PriceCandidate]) -> list[PriceCandidate]:
    """Lowers prices that stand in elements of one kind with different amounts: a list of other products.

    So are other prices within the element that holds such a list, unless the product's heading is there.
    """
    alike: dict[tuple[str, ...], list[PriceCandidate]] = defaultdict(list)
    for candidate in candidates:
        around = [candidate.element, *candidate.element.iterancestors()][:CARD_DEPTH]
        if any(element.get("class") for element in around):
            alike[tuple(f"{element.tag} {element.get('class')}" for element in around)].append(candidate)
    lists, cards = set(), set()
    for group in alike.values():
        if len({amount(candidate.text) for candidate in group}) >= CARDS:
            cards |= {candidate.element for candidate in group}
            shared = _shared_ancestor([candidate.element for candidate in group])
            if shared.find(".//h1") is None:
                lists.add(shared)
    return [
        replace(candidate, score=candidate.score - 3.0)
        if candidate.element in cards or (lists and not lists.isdisjoint(candidate.element.iterancestors()))
        else candidate
        for candidate in candidates
    ]


def _shared_ancestor(elements: list[HtmlElement]) -> HtmlElement:
    """The innermost element that holds all of these."""
    shared = [*elements[0].iterancestors()]
    for element in elements[1:]:
        ancestors = set(element.iterancestors())
        shared = [ancestor for ancestor in shared if ancestor in ancestors]
    return shared[0]


def _with_tax_before_net(candidates: list[PriceCandidate]) -> list[PriceCandidate]:
    """Of a price without tax and one near it that is higher by a rate of tax, the higher is what is paid.

    Whatever it is called: where one of two prices is labelled as net, the other is the gross one.
    """
    amounts = [float(amount(candidate.text) or 0) for candidate in candidates]
    nets = [(net, value) for net, value in zip(candidates, amounts, strict=True) if net.is_net and value]
    return [
        replace(gross, score=gross.score + 4.0)
        if not gross.is_net
        and any(
            abs(gross.line - net.line) <= TAX_LINES and _is_taxed(value, net_value) for net, net_value in nets
        )
        else gross
        for gross, value in zip(candidates, amounts, strict=True)
    ]


def _is_taxed(gross: float, net: float) -> bool:
    rounding = UNITS if gross.is_integer() and net.is_integer() else CENTS
    return any(abs(net * (1 + rate / 100) - gross) <= rounding for rate in TAX_RATES) and gross > net


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


def _score(text: str, match: re.Match[str], element: HtmlElement, page: PageText) -> float:
    label, sentence = _label(text, match, page)
    line_start = text.rfind("\n", max(0, match.start() - CONTEXT), match.start()) + 1
    start = line_start or max(0, match.start() - CONTEXT)
    before = text[start : match.start()]
    after = text[match.end() : match.end() + CONTEXT].partition("\n")[0]
    around = " ".join(names(part) for part in [element, *element.iterancestors()][:NAMES_DEPTH])
    score = 1.0
    score += 2.0 * bool(PRICE_NAMES.search(around)) + 1.0 * bool(BEST_NAMES.search(around))
    score += 1.5 * bool(PAID.search(label) or BUY.search(label)) + 0.5 * (
        element.tag in {*HEADINGS, "b", "strong", "ins"}
    )
    score -= 6.0 * bool(NOT_PAID.search(label) or NOT_PAID_AFTER.search(after) or INSTALMENTS.search(before))
    score -= 6.0 * bool(NET.search(_around(text, match)))
    words = len((before + match.group() + after).split())
    return score - 2.0 * bool(NOT_PAID.search(sentence)) - 2.0 * (words > PROSE_WORDS)


def _around(text: str, match: re.Match[str]) -> str:
    """The few words on both sides of a price, up to its neighbours: where `excl. VAT` would stand."""
    before = text[max(0, match.start() - CONTEXT) : match.start()].rpartition("\n")[2]
    after = text[match.end() : match.end() + CONTEXT].partition("\n")[0]
    before, after = re.split("[,;|/)]", PRICE.split(before)[-1])[-1], PRICE.split(after, 1)[0]
    if not before.strip() and not after.strip() and text[match.end() : match.end() + 1] == "\n":
        below = text[match.end() + 1 : match.end() + CONTEXT].partition("\n")[0]
        after = "" if PRICE.search(below) else below
    return f"{' '.join(before.split()[-LABEL_WORDS:])} | {' '.join(after.split()[:LABEL_WORDS])}"


def _label(text: str, match: re.Match[str], page: PageText) -> tuple[str, str]:
    """The few words right before a price, and the beginning of their sentence."""
    context = max(0, match.start() - CONTEXT)
    start = text.rfind("\n", context, match.start()) + 1 or context
    before = text[start : match.start()]
    if not before.strip() and start:  # a short line above may be its label; a heading says the product
        above = text[max(0, start - CONTEXT) : start - 1].rpartition("\n")[2]
        element, _ = page.element_of(start - 1 - len(above), start - 1)
        if len(above.split()) <= LABEL_WORDS and not PRICE.search(above) and element.tag not in HEADINGS:
            before = above
    sentence = re.split(r"[.!?;]\s", PRICE.split(before)[-1] + " ")[-1]
    return " ".join(sentence.split()[-LABEL_WORDS:]), sentence
