"""Decodes text whose declared encoding is missing or wrong."""

from __future__ import annotations

import re

from charset_normalizer import from_bytes
from w3lib.encoding import html_to_unicode

OTHER_SCRIPT = re.compile("Cyrillic|Greek|Hebrew|Arabic|Thai|CJK|Hiragana|Katakana|Hangul")


def decode(body: bytes, content_type: str | None) -> str:
    """A page as text, decoded by byte order mark, header or meta tag; by a guess where they fail."""
    _, text = html_to_unicode(content_type, body, auto_detect_fun=looks_like)
    if "\ufffd" in text and (guess := looks_like(body)):
        return body.decode(guess, "replace")
    return text


def looks_like(body: bytes) -> str | None:
    """The likeliest encoding of a text, guessed from its beginning; None where it looks like binary."""
    best = from_bytes(body[:50_000]).best()
    if best is None or best.encoding in ("utf_8", "ascii") or any(map(OTHER_SCRIPT.search, best.alphabets)):
        return best.encoding if best else None
    return "cp1252"  # Latin code pages cannot be told apart; browsers assume this one
