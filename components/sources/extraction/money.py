"""Finds prices in running text, and their currency: signs, codes and digit groups of many countries.

Also reads a price by itself: a field of the markup, or the cell of a table, whose column decides which sign
stands in front of the decimals.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import urlsplit

from components.core.currencies import COUNTRIES, NAME, SHARED, SHARED_SIGNS, SIGNS, names_in

COUNTRY_OF_LANGUAGE = {
    "sv": "SE", "nb": "NO", "nn": "NO", "no": "NO", "da": "DK", "is": "IS", "pl": "PL", "cs": "CZ",
    "hu": "HU", "ro": "RO", "tr": "TR", "ja": "JP", "ko": "KR", "fi": "FI", "nl": "NL", "it": "IT",
    "el": "GR", "uk": "UA",
}  # fmt: skip

_CODE = "|".join(COUNTRIES)
_SIGN = "|".join(sorted((re.escape(sign) for sign in [*SIGNS, *SHARED_SIGNS]), key=len, reverse=True))
_BEFORE = rf"(?<![^\W\d_])(?:(?:{_CODE}|{_SIGN}))"
_AFTER = rf"(?:{_CODE}|{_SIGN})(?![^\W\d_])"
_DASH = r"[.,:] ?[-–—]{1,3}"
"""Swiss, German, Dutch and Scandinavian shops write 1299.– for an amount without cents."""
_AMOUNT = (
    r"(?:\d{1,2}(?:,\d{2}){1,5},\d{3}|\d{1,3}(?:[., '’]\d{3}){1,4}(?!\d)|\d{1,15}(?!\d))"
    r"(?:[.,]\d{1,2}(?!\d))?"
)
PRICE = re.compile(
    rf"{_BEFORE} ?{_AMOUNT}(?:{_DASH})?(?: ?(?:{_CODE})\b)?"
    rf"|(?<![\d.,]){_AMOUNT}(?:{_DASH})? ?{_AFTER}(?: ?\d\d(?!\d))?"
    rf"|(?<![\d.,]){_AMOUNT}{_DASH}"
)
"""A price as shops write it: sign or code before or after the amount, or an amount that ends in a dash.

No part of it repeats without bound, so that the time for a text grows with its length alone.
"""
BARE = re.compile(r"\d{1,3}(?:[., ]?\d{3}){0,4}[.,]\d\d")
"""An amount with cents and no sign: a price only where the markup says so."""
LINE_CHARACTERS = 10_000  # of a line in which prices are looked for
CELL_CHARACTERS = 80  # a text that is longer is no price


def find_prices(text: str) -> Iterator[re.Match[str]]:
    """The prices in running text, each as a match of PRICE, from the first characters of each line."""
    start = 0
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield from PRICE.finditer(text, start, min(end, start + LINE_CHARACTERS))
        start = end + 1


def countries(language: str, url: str) -> list[str]:
    """Countries that a page may belong to, the likeliest first: `de-CH` and `http://x.ch/` both give CH."""
    parts = re.split("[-_]", language)
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    named = [parts[-1].upper() if len(parts) > 1 else "", host.rpartition(".")[2].upper()]
    return [*named, COUNTRY_OF_LANGUAGE.get(parts[0].lower(), "")]


def currency(price: str, places: Iterable[str] = ()) -> str:
    """ISO 4217 code of a price as written; empty for a shared sign such as `$` where no country decides."""
    price = price[:CELL_CHARACTERS]
    if code := re.search(rf"(?<![A-Z])(?:{_CODE})(?![A-Z])", price.upper()):
        return code.group()
    for sign in sorted(SIGNS, key=len, reverse=True):
        if sign.upper() in price.upper():
            return SIGNS[sign]
    local = [code for country in places for code, used in COUNTRIES.items() if country in used.split()]
    for sign, codes in SHARED.items():
        if sign in price.lower():
            return next((code for code in local if code in codes), "")
    return local[0] if local and price else ""


def plain(price: str) -> str:
    """A price on one line, with a sign amid the digits moved to the end: `249€99` becomes `249,99 €`."""
    price = " ".join(price.split())
    return re.sub(r"(\d)\s?(€)\s?(\d\d)$", r"\1,\3 \2", price)


# --- a price by itself: a field of the markup, a cell of a table -------------------------------------

DECIMALS = (".", ",", " ")
"""Signs in front of the decimals; a blank where an export lost its points: `58 45`."""
_RUN = re.compile(r"(?:(?<!\w)[.,])?\d(?:[\d.,' ]*\d)?")
_LIKE_ASCII = str.maketrans(dict.fromkeys("’‘`´٬", "'") | dict.fromkeys("−‐‑–—", "-") | {"٫": "."})
_IGNORED = re.compile(r"[\s.,:;+*()'-]*")


def _written_as(decimal: str, groups: str, decimals: str) -> re.Pattern[str]:
    grouped = rf"[1-9]\d{{0,2}}(?P<group>[{groups}])\d{{3}}(?:(?P=group)\d{{3}}){{0,9}}"
    indian = r"|[1-9]\d?(?:,\d\d){1,9},\d{3}" if "," in groups else ""
    return re.compile(rf"(?P<whole>{grouped}{indian}|\d*)(?:{re.escape(decimal)}(?P<decimals>{decimals}))?")


_STYLES = {
    ".": _written_as(".", ", '", r"\d+"),
    ",": _written_as(",", ". '", r"\d+"),
    " ": _written_as(" ", ", '", r"\d\d?"),
}


class WrittenPrice(NamedTuple):
    """The parts of a price by itself, before it is known how its column writes decimals."""

    number: str
    """Digits and the signs between them; empty where there is not exactly one number."""
    negative: bool
    currencies: frozenset[str]
    """Codes, and signs in `currencies.SHARED`, that are named."""
    unknown: str
    """The first sign or word beside the number that is not understood; empty where there is none."""


def parse(written: str) -> WrittenPrice:
    """The parts of a price by itself. A text of more than CELL_CHARACTERS has no number."""
    text = written if written.isascii() else _ascii_digits(written)
    numbers = _RUN.findall(text) if len(text) <= CELL_CHARACTERS else []
    if len(numbers) != 1:
        return WrittenPrice("", False, frozenset(), "")
    before, _, after = text.partition(numbers[0])
    number = numbers[0] + (",00" if re.match(r",\s?-", after) else "")  # 1.299,- has no cents
    currencies, beside = frozenset[str](), f"{before}\n{after}"
    if not _IGNORED.fullmatch(beside):
        currencies = frozenset(names_in(beside))
        beside = NAME.sub(" ", beside)
    unknown = _IGNORED.sub("", beside, count=1) if not _IGNORED.fullmatch(beside) else ""
    return WrittenPrice(number, "-" in before, currencies, " ".join(unknown.split()))


def _ascii_digits(written: str) -> str:
    """The text with every digit, blank, apostrophe and dash as ASCII has it."""
    signs = written.translate(_LIKE_ASCII)
    return "".join(
        str(unicodedata.decimal(sign)) if sign.isdecimal() else " " if sign.isspace() else sign
        for sign in signs
    )


def readings(number: str) -> dict[str, Decimal]:
    """What a number as written is for each of DECIMALS as which it can be read."""
    values = {}
    for decimal, style in _STYLES.items():
        match = style.fullmatch(number)
        if match and (match["whole"] or match["decimals"]):
            whole = re.sub(r"\D", "", match["whole"])
            values[decimal] = Decimal(f"{whole or 0}.{match['decimals'] or ''}")
    return values


def amount(price: str) -> Decimal | None:
    """The amount of a price by itself, None where it is not exactly one number.

    `1.299` alone is a number of the markup; beside a sign its point groups thousands, as three digits follow.
    """
    written = parse(price)
    values = readings(written.number)
    if not values:
        return None
    bare = re.fullmatch(r"[-+]?\d+\.\d+", price.strip())
    value = values["."] if bare else max(values.values())
    return -value if written.negative else value


def plain_number(amount: Decimal | None) -> str:
    """An amount as `Listing.amount` holds it: digits and a decimal point; empty for None."""
    return "" if amount is None else format(amount, "f")
