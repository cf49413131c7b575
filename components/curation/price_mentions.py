"""Finds prices in running text: the label must not stand in the question that a model is asked.

A number is a price by what stands beside it. Strong: a sign, code or word of a currency, or the dash of
`1.299,-`. Weak: a word such as "now" or "reduced to" in front, and nothing behind that is counted or
measured. A number inside a word (`RTX4090-24GB`) is none. Each number is judged by a bounded window around
it, so that the work grows with the length of a text alone.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from components.curation import price_context as context

WINDOW = 56  # characters in front of a number that are looked at
LEAST = 5  # a whole number below it, without a sign, is rather a count
SIGN = 8  # characters in front of a number in which the name of its currency stands
NEAR = 24  # characters between two prices that belong together
PASSES = 3  # taking out one price may move a sign beside another number

NUMBER = re.compile(r"(?:(?<![\w.])\.(?=\d))?\d+(?:[.,'’]\d+)*")
_CENTS = re.compile(r"(?:\d{1,3}(?:[.,'’]\d{3}){1,4}|\d{0,9})[.,]\d\d")
_WHOLE = re.compile(r"\d{1,3}(?:[.,'’]\d{3}){1,4}|\d{1,6}")
_YEAR = re.compile(r"(?:19|20)\d\d")
_GROUP = re.compile(r"\d{3}(?:[.,]\d\d)?")

_LONG = re.compile(r"\d{7,}")
_CODE = re.compile(r"[^\W\d_]+\d{5,}|[Rr][Ss] ?(?:232|422|485)|[^\W\d_]+\s?\d{7,}")
"""What looks like a currency and its amount, and is the name of a thing."""

_BEFORE = re.compile(rf"{context.BEFORE}\s?:?\s?$")
_WORDY_BEFORE = re.compile(rf"(?<![^\W_])(?:{context.WORDY_CODES}|RM)\s?$")
_AFTER = re.compile(context.AFTER)
_WORDY_AFTER = re.compile(rf"\s?(?:{context.WORDY_CODES})(?![^\W_])")
_FORINT = re.compile(r"\s?Ft\b")
_DASH = re.compile(r"(?:,\s?[-–—]+|[.:][-–—]+)(?!\w)")
_MULTIPLE = re.compile(r"(?:[kKM]|\s(?:thousand|million|grand))\b")
_CODE_AFTER = re.compile(rf"\s?(?:(?i:{context.CODES})(?![^\W_])|{context.AFTER})")
_GROUPS_BEFORE = re.compile(r"(?<![\w.,-])\d{1,3}(?: \d{3})* $")
_GROUPS_AFTER = re.compile(r"(?: \d{3})+(?:[.,]\d\d)?(?![\d.,]*\w)")
_NO_GROUPS = re.compile(r"[$£]\s?$")

_MEASURE, _BARE = re.compile(context.MEASURE), re.compile(context.BARE)
_PRICE_AFTER, _OFFER_AFTER = re.compile(context.PRICE_AFTER), re.compile(context.OFFER_AFTER)
_OFF_AFTER, _OFF_BEFORE = re.compile(context.OFF_AFTER, re.I), re.compile(context.OFF_BEFORE, re.I)
_PRICE_LEAD = re.compile(rf"\b(?:{context.PRICE_LEAD})\b{context.GLUE}{{0,12}}$", re.I)
_TURN_LEAD = re.compile(
    rf"(?<![\w-])(?:{context.TURN_LEAD})\b\.?[\s:!=*(–—-]{{0,3}}{context.GLUE}{{0,10}}$", re.I
)
_FAR_LEAD = re.compile(rf"\b(?:{context.FAR_LEAD})\s$", re.I)
_BETWEEN = re.compile(r"\bbetween .{0,12}$", re.I)
_NEXT_LEAD = re.compile(rf"\b(?:{context.NEXT_LEAD})\s$", re.I)
_CHARM = re.compile(context.CHARM)
_TIMES = re.compile(r"[\d)\"] ?[x×*] ?$")
_LABEL = re.compile(r":\s?$")
_ENDS = re.compile(r"[.!?,;)]*(?:$|(?<=[.!?,;)])\s)")
_FROM = re.compile(r"\sfrom\b", re.I)
_COUNT_LEAD = re.compile(rf"{context.COUNT_LEAD}$", re.I)
_LEADS = re.compile(context.REMOVED_LEADS, re.I)
_RANGE = re.compile(rf"\s?(?:[-–—~]|to|or|and|bis)\s?(?:{context.BEFORE})?\s?")
_SPELLED, _ONE = re.compile(context.SPELLED, re.I), re.compile(context.ONE, re.I)
_CURRENCY_WORD = re.compile(context.SPELLED_CURRENCY, re.I)
_SPELLED_LEAD = re.compile(rf"\b(?:{context.PRICE_LEAD}|now)\b{context.GLUE}{{0,12}}$", re.I)
_LARGE = re.compile(context.LARGE, re.I)


class Span(NamedTuple):
    """Characters `start` to `end` of a text."""

    start: int
    end: int


def without_prices(text: str) -> str:
    """The text without any mention of a price, nor the words that lead to one."""
    for _ in range(PASSES):
        bare = without(text, price_spans(text))
        if bare == text:
            break
        text = bare
    return text


def without(text: str, spans: list[Span]) -> str:
    """The text without those parts, nor the blanks and punctuation that this leaves alone."""
    if not spans:
        return text
    starts, ends = [0, *(span.end for span in spans)], [*(span.start for span in spans), len(text)]
    bare = " ".join(" ".join(text[start:end] for start, end in zip(starts, ends, strict=True)).split())
    return re.sub(r"^[.,;:!?]+(?:\s+|$)|\s+(?=[.,;:!?)](?:\s|$))", "", bare)


def price_spans(text: str) -> list[Span]:
    """Where prices stand in a text of one line, in order and apart, each with the words that lead to it."""
    numbers = [Span(*match.span()) for match in NUMBER.finditer(text)]
    spans = _ranges(text, numbers, [_strong(text, number) for number in numbers])
    spans = [span or _weak(text, number) for number, span in zip(numbers, spans, strict=True)]
    spans = _with_neighbours(text, numbers, _ranges(text, numbers, _without_years(text, numbers, spans)))
    return _merged([span for span in spans if span] + _spelled(text))


# --- strong: a currency beside the number ------------------------------------------------------------


def _strong(text: str, number: Span) -> Span | None:
    """The price that a currency, or the dash in place of cents, makes of a number."""
    start, end = number
    cents = _CENTS.fullmatch(text, start, end)
    before = _ahead(_BEFORE, text, start, SIGN) or (cents and _ahead(_WORDY_BEFORE, text, start, SIGN))
    if before and not _CODE.fullmatch(text, before.start(), end):
        if not _NO_GROUPS.search(before[0]) and (groups := _GROUPS_AFTER.match(text, end)):
            end = groups.end()
        for behind in (_MULTIPLE, _DASH, _CODE_AFTER):
            if tail := behind.match(text, end):
                end = tail.end()
        return _with_leads(text, before.start(), end)
    if _inside_word(text, start) or _LONG.fullmatch(text, start, end):
        return None
    after = _AFTER.match(text, end) or (end - start > 1 and _DASH.match(text, end))
    groups = _GROUP.fullmatch(text, start, end) and _ahead(_GROUPS_BEFORE, text, start, 2 * SIGN)
    if not after and cents:
        after = _WORDY_AFTER.match(text, end)
    elif not after and (groups or "." in text[start:end]):
        after = _FORINT.match(text, end)
    return _with_leads(text, groups.start() if groups else start, after.end()) if after else None


def _ahead(pattern: re.Pattern[str], text: str, start: int, width: int = WINDOW) -> re.Match[str] | None:
    """The match of a pattern that ends right in front of a number, within so many characters."""
    return pattern.search(text, max(0, start - width), start)


def _inside_word(text: str, start: int) -> bool:
    """Whether a letter, or a sign that joins codes, stands right in front of a number."""
    return start > 0 and (
        text[start - 1].isalnum()
        or text[start - 1] in "_#"
        or (text[start - 1] in "-/." and start > 1 and text[start - 2].isalpha())
    )


def _with_leads(text: str, start: int, end: int) -> Span:
    leads = _ahead(_LEADS, text, start)
    return Span(leads.start() if leads else start, end)


def _ranges(text: str, numbers: list[Span], spans: list[Span | None]) -> list[Span | None]:
    """The spans, with the other end of each range of which one end is a price: `$10-25`, `10 to 25 USD`."""
    spans = list(spans)
    for left, (lower, upper) in enumerate(pairwise(numbers)):
        first, second = spans[left], spans[left + 1]
        start = first.end if first else lower.end
        if not (first or second) or not _RANGE.fullmatch(text, start, upper.start):
            continue
        if "and" in text[start : upper.start] and not _ahead(_BETWEEN, text, lower.start):
            continue
        if first and second:
            spans[left + 1] = Span(start, second.end)
        elif first and _ends_range(text, lower, upper):
            spans[left + 1] = Span(start, upper.end)
        elif second and not _inside_word(text, lower.start):
            spans[left] = _with_leads(text, *lower)
    return spans


def _ends_range(text: str, lower: Span, upper: Span) -> bool:
    """Whether a number behind a price can be the upper end of its range, not a count or a measure."""
    if _CENTS.fullmatch(text, *lower) and _CENTS.fullmatch(text, *upper):
        return not _MEASURE.match(text, upper.end)
    return _bare(text, upper.end)


# --- weak: a word in front, nothing counted behind ---------------------------------------------------


def _weak(text: str, number: Span) -> Span | None:
    """The price that the words around a number without a currency make of it."""
    start, end = number
    cents, whole = _CENTS.fullmatch(text, start, end), _WHOLE.fullmatch(text, start, end)
    if not (cents or whole) or _inside_word(text, start) or _joined(text, start, end):
        return None
    bare = _bare(text, end)
    if _OFFER_AFTER.match(text, end) or (cents and _PRICE_AFTER.match(text, end)):
        return _with_leads(text, start, end)
    if _OFF_AFTER.match(text, end) and _ahead(_OFF_BEFORE, text, start):
        return _with_leads(text, start, end)
    if not (bare and _is_amount(text[start:end])) and (not cents or _MEASURE.match(text, end)):
        return None
    lead = _ahead(_PRICE_LEAD, text, start)
    if not lead and not _FROM.match(text, end):
        lead = _ahead(_TURN_LEAD, text, start)
    if not lead and bare:
        lead = _ahead(_COUNT_LEAD, text, start) or (
            cents and _ENDS.match(text, end) and _ahead(_FAR_LEAD, text, start)
        )
    if not lead and bare and _CHARM.fullmatch(text, start, end) and not _labelled(text, start, end):
        return Span(start, end)
    return Span(lead.start(), end) if lead else None


def _labelled(text: str, start: int, end: int) -> bool:
    """Whether a number is all of a text, or has a name of its own in front: `Depth: 19.95`."""
    return _ahead(_LABEL, text, start, SIGN) is not None or end - start == len(text)


def _is_amount(written: str) -> bool:
    """Whether a number has cents, or is too large for a mere count."""
    return bool(_CENTS.fullmatch(written)) or int(re.sub(r"\D", "", written)) >= LEAST


def _joined(text: str, start: int, end: int) -> bool:
    """Whether a letter follows a number, or another number touches it: a code, a date or a ratio."""
    return (
        text[end : end + 1].isalnum()
        or (start > 1 and text[start - 1] in "-/:.,x" and text[start - 2].isdigit())
        or _ahead(_TIMES, text, start, SIGN) is not None
    )


def _bare(text: str, end: int) -> bool:
    return bool(_BARE.match(text, end)) and not _MEASURE.match(text, end)


def _without_years(text: str, numbers: list[Span], spans: list[Span | None]) -> list[Span | None]:
    """The spans without those of numbers that are rather years, unless a price stands beside them."""
    kept = list(spans)
    for position, (number, span) in enumerate(zip(numbers, spans, strict=True)):
        if span and _YEAR.fullmatch(text, *number) and not _strong(text, number):
            beside = [*spans[max(0, position - 1) : position], *spans[position + 1 : position + 2]]
            if not any(beside) and not _ahead(_PRICE_LEAD, text, number.start):
                kept[position] = None
    return kept


def _with_neighbours(text: str, numbers: list[Span], spans: list[Span | None]) -> list[Span | None]:
    """The spans, with the numbers near a price that speak of the same thing: bare amounts with cents, and
    whole ones behind a word such as "from".
    """
    kept = list(spans)
    for position, (start, end) in enumerate(numbers):
        before, after = kept[position - 1] if position else None, [*kept, None][position + 1]
        behind = before and start - before.end <= NEAR
        if kept[position] or not (behind or (after and after.start - end <= NEAR)):
            continue
        if _inside_word(text, start) or _joined(text, start, end) or not _bare(text, end):
            continue
        if _CENTS.fullmatch(text, start, end):
            kept[position] = _with_leads(text, start, end)
        elif (
            before and behind and _WHOLE.fullmatch(text, start, end) and not _YEAR.fullmatch(text, start, end)
        ):
            lead = _NEXT_LEAD.search(text, before.end, start)
            if lead and _is_amount(text[start:end]):
                kept[position] = Span(lead.start(), end)
    return kept


# --- amounts in words --------------------------------------------------------------------------------


def _spelled(text: str) -> list[Span]:
    """Amounts in words: with a currency behind, or a word of price in front and nothing counted behind."""
    spans = [_with_leads(text, *match.span()) for match in _ONE.finditer(text)]
    for match in _SPELLED.finditer(text):
        start, end = match.span()
        if currency := _CURRENCY_WORD.match(text, end):
            spans.append(_with_leads(text, start, currency.end()))
            continue
        lead = _ahead(_SPELLED_LEAD, text, start) if _LARGE.search(match[0]) else None
        if lead and _bare(text, end):
            spans.append(Span(lead.start(), end))
    return spans


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged
