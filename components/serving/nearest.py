"""The training listings that share the most with a text, and what is true of them: shown beside an answer.

A version does not hold its training rows; where they are kept they are found by its lineage, once somebody
looks. They are ranked by BM25 (Robertson and Zaragoza, 2009), which SQLite's FTS5 has.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pandas as pd

from components.core.errors import PricewrightError
from components.core.registry import Version
from components.serving.invocation import RefusedError

SHOWN = 5
"""Listings beside an answer."""
WORDS_MAX = 200
"""Most words of a text that are looked for."""
WORD = re.compile(r"\w+")
TrainedOn = Callable[[Version], pd.DataFrame]
"""Columns title, text and value of the rows that a version was trained on. Raises PricewrightError where they
are kept nowhere."""


class Index:
    """Listings by their words, in memory."""

    def __init__(self, listings: pd.DataFrame) -> None:
        """`listings` has the columns title, text and value."""
        self._titles, self._values = listings["title"].tolist(), listings["value"].tolist()
        self._words = sqlite3.connect(":memory:", check_same_thread=False)
        self._words.execute("CREATE VIRTUAL TABLE listings USING fts5(text, content='')")
        rows = enumerate(listings["text"])
        self._words.executemany("INSERT INTO listings (rowid, text) VALUES (?, ?)", rows)
        self._turn = threading.Lock()

    def nearest(self, text: str) -> list[dict[str, Any]]:
        """Title and value of the listings that share the most with a text, the first the most: at most SHOWN,
        none that shares no word.
        """
        words = list(dict.fromkeys(WORD.findall(text)))[:WORDS_MAX]
        query = " OR ".join(f'"{word}"' for word in words) or '""'
        select = "SELECT rowid FROM listings WHERE listings MATCH ? ORDER BY rank, rowid LIMIT ?"
        with self._turn:
            places = [place for (place,) in self._words.execute(select, (query, SHOWN))]
        return [{"title": self._titles[place], "value": self._values[place]} for place in places]


class Nearest:
    """The index of the version that answers, made when it is first looked into."""

    def __init__(self, trained_on: TrainedOn) -> None:
        self.trained_on = trained_on
        self._turn = asyncio.Lock()
        self._number = ""
        self._index: Index | str = ""

    async def to(self, text: str, version: Version) -> list[dict[str, Any]]:
        """As `Index.nearest`. Raises RefusedError where nobody knows what the version was trained on."""
        async with self._turn:
            if self._number != version.number:
                self._index = await asyncio.to_thread(self._made, version)
                self._number = version.number
            index = self._index
        if isinstance(index, str):
            raise RefusedError(409, index)
        return await asyncio.to_thread(index.nearest, text)

    def _made(self, version: Version) -> Index | str:
        """The index, or why there is none."""
        try:
            return Index(self.trained_on(version))
        except PricewrightError as error:
            return f"the training listings of {version} are not kept here: {error}"
