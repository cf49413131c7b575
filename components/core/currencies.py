"""The currencies: their ISO 4217 codes, the signs and words that shops write, the countries that use them.

The one table of them: pages, files and the rules of curation read it.
"""

from __future__ import annotations

import re

_ISO_4217 = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD "
    "CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD "
    "GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT "
    "LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR "
    "NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP "
    "STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF "
    "XPF YER ZAR ZMW ZWG"
)
CODES = frozenset(_ISO_4217.split())
"""ISO 4217."""
SIGNS = {
    "€": "EUR", "Euro": "EUR", "euros": "EUR", "euro": "EUR", "£": "GBP", "₹": "INR", "₩": "KRW",
    "원": "KRW", "円": "JPY", "元": "CNY", "₺": "TRY", "₽": "RUB", "₪": "ILS", "₫": "VND", "₴": "UAH",
    "฿": "THB", "₱": "PHP", "₦": "NGN", "zł": "PLN", "Kč": "CZK", "Ft": "HUF", "lei": "RON", "Lei": "RON",
    "лв": "BGN", "руб": "RUB", "TL": "TRY", "Rs": "INR", "Rp": "IDR", "RM": "MYR", "SFr": "CHF",
    "Fr.": "CHF", "R$": "BRL", "S/": "PEN", "US$": "USD", "US $": "USD", "C$": "CAD", "CA$": "CAD",
    "CDN$": "CAD", "A$": "AUD", "AU$": "AUD", "AU $": "AUD", "NZ$": "NZD", "HK$": "HKD", "S$": "SGD",
    "NT$": "TWD", "MX$": "MXN", "MXN$": "MXN", "ر.س": "SAR", "د.إ": "AED", "ج.م": "EGP", "тг": "KZT",
    "₸": "KZT", "грн": "UAH", "KSh": "KES", "₾": "GEL", "₼": "AZN", "дин": "RSD",
}  # fmt: skip
"""Signs of a single currency."""
WORDS = {
    "us dollar": "USD", "us dollars": "USD", "u.s. dollar": "USD", "u.s. dollars": "USD", "rupee": "INR",
    "rupees": "INR", "yen": "JPY", "yuan": "CNY", "rmb": "CNY", "won": "KRW", "zl": "PLN", "zloty": "PLN",
    "złoty": "PLN", "złotych": "PLN", "kc": "CZK", "korun": "CZK", "forint": "HUF", "pound sterling": "GBP",
    "pounds sterling": "GBP", "reais": "BRL", "rand": "ZAR", "baht": "THB", "fr": "CHF", "chf.": "CHF",
    "р.": "RUB",
}  # fmt: skip
"""Words, and signs that mean something else in running text: only for the cell of a price or a currency."""
DOLLARS = {"USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD"}
PESOS = {"MXN", "ARS", "CLP", "COP", "UYU"}
SHARED = {
    "$": DOLLARS | PESOS,
    "dollar": DOLLARS,
    "peso": PESOS,
    "kr": {"SEK", "NOK", "DKK", "ISK"},
    "¥": {"JPY", "CNY"},
}
"""Signs of several currencies: the country of a page, or `curate.currency`, decides."""
SHARED_SIGNS = ["$", "¥", "kr.", "Kr.", "kr", "Kr", "kronor", "kroner", "dollars", "pesos"]
"""As they are written in running text."""
COUNTRIES = {
    "EUR": "AT BE DE EE ES FI FR GR HR IE IT LT LU LV MT NL PT SI SK", "USD": "US PR EC", "GBP": "GB UK",
    "CHF": "CH LI", "SEK": "SE", "NOK": "NO", "DKK": "DK", "ISK": "IS", "PLN": "PL", "CZK": "CZ",
    "HUF": "HU", "RON": "RO", "BGN": "BG", "TRY": "TR", "RUB": "RU", "UAH": "UA", "CAD": "CA", "MXN": "MX",
    "BRL": "BR", "ARS": "AR", "CLP": "CL", "COP": "CO", "PEN": "PE", "UYU": "UY", "AUD": "AU", "NZD": "NZ",
    "JPY": "JP", "CNY": "CN", "KRW": "KR", "HKD": "HK", "TWD": "TW", "SGD": "SG", "INR": "IN", "IDR": "ID",
    "MYR": "MY", "THB": "TH", "VND": "VN", "PHP": "PH", "ILS": "IL", "AED": "AE", "SAR": "SA", "ZAR": "ZA",
    "EGP": "EG", "KZT": "KZ", "KES": "KE", "GEL": "GE", "AZN": "AZ", "MKD": "MK", "RSD": "RS", "KWD": "KW",
    "QAR": "QA", "BHD": "BH", "OMR": "OM", "JOD": "JO", "MAD": "MA", "PKR": "PK", "BDT": "BD", "LKR": "LK",
    "NGN": "NG", "BYN": "BY", "BAM": "BA", "ALL": "AL", "MDL": "MD",
}  # fmt: skip
"""Currency to the countries that use it, ISO 3166 codes; UK is the domain."""


def _names() -> dict[str, str]:
    shared = {sign: sign for sign in SHARED} | {
        written.casefold(): sign
        for written in SHARED_SIGNS
        for sign in SHARED
        if written.casefold().startswith(sign)
    }
    kronor = dict.fromkeys(("kronor", "kroner", "kronur", "krona", "krone"), "kr")
    codes = {code.casefold(): code for code in CODES}
    return codes | {sign.casefold(): code for sign, code in SIGNS.items()} | WORDS | shared | kronor


NAMES = _names()
"""What may name a currency in a cell, in lower case, to its code or to the sign in SHARED."""
_EDGE = r"[^\W\d_]"
NAME = re.compile(
    "|".join(
        (rf"(?<!{_EDGE})" if name[0].isalpha() else "")
        + re.escape(name)
        + (rf"(?!{_EDGE})" if name[-1].isalpha() else "")
        for name in sorted(NAMES, key=len, reverse=True)
    ),
    re.IGNORECASE,
)
"""The name of a currency in a cell, the longest first."""


def named(written: str) -> str | None:
    """The code, or the sign in SHARED, that a text is the name of; None where it is no name of a currency."""
    return NAMES.get(" ".join(written.split()).casefold())


def names_in(written: str) -> set[str]:
    """The codes, and the signs in SHARED, that are named in a price by itself."""
    return {NAMES[" ".join(name.split()).casefold()] for name in NAME.findall(written)}


def agreed(names: set[str]) -> str | None:
    """The currency of which all of `names` (codes and signs in SHARED) are names; None where they differ.

    Of shared signs alone it is the narrowest sign; of no name it is empty.
    """
    codes = {name for name in names if name not in SHARED}
    shared = sorted(names - codes, key=lambda sign: (len(SHARED[sign]), sign))
    if len(codes) > 1 or any(not codes <= SHARED[sign] for sign in shared):
        return None
    return next(iter(codes or shared[:1]), "")
