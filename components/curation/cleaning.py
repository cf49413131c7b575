"""Cleaning of a single listing: texts without markup, boilerplate, codes and prices."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any

from components.core.currencies import agreed, named, names_in
from components.core.params.curate import Curate
from components.curation.price_mentions import Span, price_spans, without, without_prices

OPENING = re.compile(r"<(?:(?P<name>script|style)\b|!--|/?[a-z][^<>]*>)", re.IGNORECASE)
TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)
CLOSING = {
    "script": re.compile(r"</script\s*>", re.IGNORECASE),
    "style": re.compile(r"</style\s*>", re.IGNORECASE),
    "": re.compile("-->"),
}
WINDOWS = {code: bytes([code]).decode("cp1252", errors="ignore") for code in range(0x80, 0xA0)}
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe0f\ufeff\ufff9-\ufffb]")

PART_LABEL = r"(?i:(?:(?:part|model|item|style|catalog)\s(?:number|no\.?|#)|p/n|mpn|sku|upc|ean|asin))"
PRICE_NAME = re.compile(r"\b(?:price|msrp|rrp|cost)\b", re.IGNORECASE)


def untagged(text: str) -> str:
    """The text with a blank for each tag, comment, script and style sheet; one that does not end is none.

    What ends one is looked for from its beginning on, and no more where it was not there once, so that the
    work grows with the length alone.
    """
    pieces: list[str] = []
    endless: set[str] = set()
    position = start = 0
    while opening := OPENING.search(text, start):
        end = start = opening.end()
        name = (opening["name"] or "").lower()
        if name or opening[0] == "<!--":
            closing = None if name in endless else CLOSING[name].search(text, end)
            endless |= set() if closing else {name}
            closing = closing or TAG.match(text, opening.start())
            if not closing:
                continue
            end = start = closing.end()
        pieces.append(text[position : opening.start()])
        position = end
    return " ".join([*pieces, text[position:]])


def tidy(text: str) -> str:
    """One line without markup, entities, control characters and repeated white space."""
    for _ in range(2):  # shops escape twice: &amp;lt;b&amp;gt;
        text = html.unescape(untagged(text))
    text = CONTROL.sub(" ", untagged(text)).translate(WINDOWS)
    return " ".join(unicodedata.normalize("NFC", INVISIBLE.sub("", text)).split())


def plain(text: str, section: Curate) -> str:
    """A text of a listing as a model may read it: tidy, without boilerplate, part numbers and prices."""
    bare = without_part_numbers(
        without_boilerplate(tidy(text), section.boilerplate), section.part_number_characters
    )
    return without_prices(bare)


def _without(pattern: re.Pattern[str], text: str) -> str:
    """The text without what matches the pattern, nor the blanks and punctuation that this leaves alone."""
    return without(text, [Span(*match.span()) for match in pattern.finditer(text)])


@cache
def _phrases(boilerplate: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(boilerplate, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)[\s:]*", re.IGNORECASE)


def without_boilerplate(text: str, boilerplate: Iterable[str]) -> str:
    """The text without the phrases that a shop puts over everything, whatever their case."""
    phrases = tuple(boilerplate)
    return _without(_phrases(phrases), text) if phrases else text


@cache
def _part_number(characters: int) -> re.Pattern[str]:
    code = rf"(?=(?:-?[A-Z0-9]){{{characters},}}(?![\w-]))(?={{digits}})[A-Z0-9]+(?:-[A-Z0-9]+)*(?![\w-])"
    labelled = rf"\b{PART_LABEL}[\s:#]*(?<![\w-])" + code.replace("{digits}", "(?:[A-Z-]*[0-9]){4}")
    return re.compile(
        rf"{labelled}|(?<![\w-])" + code.replace("{digits}", r"[A-Z0-9-]*[0-9]{5}|[0-9-]+(?![\w-])")
    )


def without_part_numbers(text: str, characters: int | None) -> str:
    """The text without codes of at least so many capitals and digits; None keeps all.

    A code has five digits in a row or no letter at all, unlike the name of a model (RTX4090-24GB-OC); four
    digits anywhere are enough where a label ("part number:") stands in front.
    """
    if characters is None:
        return text
    return _without(_part_number(characters), text)


def clean_details(details: str, section: Curate) -> dict[str, str]:
    """Cleaned specifications by name, from a JSON object; nested values are put on one line.

    Prices, also where only name and value together are one ("Sale": "49.99"), and the names in
    `section.details_dropped` are left out.
    """
    flat = {
        plain(name, section): plain(on_one_line(value), section)
        for name, value in json.loads(details).items()
    }
    dropped = {name.casefold() for name in section.details_dropped}
    return {
        name: value
        for name, value in flat.items()
        if name and value and name.casefold() not in dropped and not PRICE_NAME.search(name)
        if not price_spans(f"{name}: {value}")
    }


def on_one_line(value: Any) -> str:
    """The value of a specification on one line, empty for null."""
    match value:
        case None:
            return ""
        case dict():
            return ", ".join(f"{name} {on_one_line(part)}" for name, part in value.items())
        case list():
            return ", ".join(on_one_line(part) for part in value)
        case _:
            return str(value)


def cut(text: str, limit: int) -> str:
    """The text, cut at the end of a word where it has more than `limit` characters."""
    if len(text) <= limit:
        return text
    head = text[: limit + 1]
    end = max(head.rfind(" "), head.rfind("\n"))
    return text[: end if end > 0 else limit].rstrip()


def currencies_of(currency: str, price: str) -> set[str]:
    """The currency, a code or a shared sign, that both fields of a listing name; all where they disagree."""
    names = names_in(price) | ({named(currency) or currency.strip().upper()} - {""})
    one = agreed(names)
    return names if one is None else {one} - {""}


def converted(price: float | None, currencies: set[str], rates: dict[str, float]) -> float | None:
    """The price by the rate of its one currency, to the cent; as it is where no rate is given."""
    if price is None or len(currencies) != 1 or not currencies <= rates.keys():
        return price
    return round(price * rates[next(iter(currencies))], 2)
