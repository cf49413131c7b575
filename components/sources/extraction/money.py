"""Finds prices in running text, and their currency: signs, codes and digit groups of many countries.

The library price-parser reads the number; this module locates the price and tells its currency.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from urllib.parse import urlsplit

from price_parser import Price

SIGNS = {
    "€": "EUR", "Euro": "EUR", "euros": "EUR", "euro": "EUR", "£": "GBP", "₹": "INR", "₩": "KRW",
    "원": "KRW", "円": "JPY", "元": "CNY", "₺": "TRY", "₽": "RUB", "₪": "ILS", "₫": "VND", "₴": "UAH",
    "฿": "THB", "₱": "PHP", "₦": "NGN", "zł": "PLN", "Kč": "CZK", "Ft": "HUF", "lei": "RON", "Lei": "RON",
    "лв": "BGN", "руб": "RUB", "TL": "TRY", "Rs": "INR", "Rp": "IDR", "RM": "MYR", "SFr": "CHF",
    "Fr.": "CHF", "R$": "BRL", "S/": "PEN", "US$": "USD", "US $": "USD", "C$": "CAD", "CA$": "CAD",
    "CDN$": "CAD", "A$": "AUD", "AU$": "AUD", "AU $": "AUD", "NZ$": "NZD", "HK$": "HKD", "S$": "SGD",
    "NT$": "TWD", "MX$": "MXN", "MXN$": "MXN",
}  # fmt: skip
"""Signs of a single currency. `$`, `kr` and `¥` are shared: the country of the page decides."""
DOLLARS = {"USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD"}
PESOS = {"MXN", "ARS", "CLP", "COP", "UYU"}
SHARED = {
    "$": DOLLARS | PESOS,
    "dollar": DOLLARS,
    "peso": PESOS,
    "kr": {"SEK", "NOK", "DKK", "ISK"},
    "¥": {"JPY", "CNY"},
}
COUNTRIES = {
    "EUR": "AT BE DE EE ES FI FR GR HR IE IT LT LU LV MT NL PT SI SK", "USD": "US PR EC", "GBP": "GB UK",
    "CHF": "CH LI", "SEK": "SE", "NOK": "NO", "DKK": "DK", "ISK": "IS", "PLN": "PL", "CZK": "CZ",
    "HUF": "HU", "RON": "RO", "BGN": "BG", "TRY": "TR", "RUB": "RU", "UAH": "UA", "CAD": "CA", "MXN": "MX",
    "BRL": "BR", "ARS": "AR", "CLP": "CL", "COP": "CO", "PEN": "PE", "UYU": "UY", "AUD": "AU", "NZD": "NZ",
    "JPY": "JP", "CNY": "CN", "KRW": "KR", "HKD": "HK", "TWD": "TW", "SGD": "SG", "INR": "IN", "IDR": "ID",
    "MYR": "MY", "THB": "TH", "VND": "VN", "PHP": "PH", "ILS": "IL", "AED": "AE", "SAR": "SA", "ZAR": "ZA",
}  # fmt: skip
"""Currency to the countries that use it, ISO 3166 codes; UK is the domain."""
COUNTRY_OF_LANGUAGE = {
    "sv": "SE", "nb": "NO", "nn": "NO", "no": "NO", "da": "DK", "is": "IS", "pl": "PL", "cs": "CZ",
    "hu": "HU", "ro": "RO", "tr": "TR", "ja": "JP", "ko": "KR", "fi": "FI", "nl": "NL", "it": "IT",
    "el": "GR", "uk": "UA",
}  # fmt: skip
SHARED_SIGNS = ["$", "¥", "kr.", "Kr.", "kr", "Kr", "kronor", "kroner", "dollars", "pesos"]

_CODE = "|".join(COUNTRIES)
_SIGN = "|".join(sorted((re.escape(sign) for sign in [*SIGNS, *SHARED_SIGNS]), key=len, reverse=True))
_BEFORE = rf"(?<![^\W\d_])(?:(?:{_CODE}|{_SIGN}))"
_AFTER = rf"(?:{_CODE}|{_SIGN})(?![^\W\d_])"
_DASH = r"[.,:] ?[-–—]+"
"""Swiss, German, Dutch and Scandinavian shops write 1299.– for an amount without cents."""
_AMOUNT = (
    r"(?:\d{1,2}(?:,\d{2})+,\d{3}|\d{1,3}(?:[., '’]\d{3})+(?!\d)|\d+)"
    r"(?:[.,]\d{1,2}(?!\d))?"
)
PRICE = re.compile(
    rf"{_BEFORE} ?{_AMOUNT}(?:{_DASH})?(?: ?(?:{_CODE})\b)?"
    rf"|(?<![\d.,]){_AMOUNT}(?:{_DASH})? ?{_AFTER}(?: ?\d\d(?!\d))?"
    rf"|(?<![\d.,]){_AMOUNT}{_DASH}"
)
"""A price as shops write it: sign or code before or after the amount, or an amount that ends in a dash."""
BARE = re.compile(r"\d{1,3}(?:[., ]?\d{3})*[.,]\d\d")
"""An amount with cents and no sign: a price only where the markup says so."""


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


def amount(price: str) -> Decimal | None:
    """The number in a price as written; None where there is none."""
    return Price.fromstring(price).amount
