"""Abuse in the texts of listings, by a list of words that a user owns (`curate.abusive_words`).

A list finds what it names, as whole words in any case. It knows no context, no misspelling and no other
language: what is hateful without such a word stays, and a book about one is rejected.
"""

from __future__ import annotations

import re
from functools import cache


def abusive(words: list[str]) -> str:
    """A regular expression, also for RE2, that matches every text with one of the words (at least one)."""
    return "(?i)[ıİ]|" + "|".join(map(re.escape, words))  # both are an i to Python where case is ignored


@cache
def _whole(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)


def abusive_word(text: str, words: list[str]) -> str:
    """The first of the words in the text, as it stands there; empty where none does."""
    match = _whole(tuple(words)).search(text) if words else None
    return match.group() if match else ""
