"""The requests that gave a listing's text to the service, in its store."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from components.core.errors import PricewrightError
from components.core.schemas import SERVED_INPUT
from components.serving.request_store import REQUESTS, TRUTHS, NothingKeptError, digest, opened

TOGETHER = 500
"""Rows that are removed by one statement."""
LONG = 40
"""Fewest characters of a text that tells of a listing wherever it stands in another one."""


class ErasedRequests(NamedTuple):
    """What was removed from the store of the service."""

    store: str | None
    """Its address, as params.yaml has it."""
    requests: int
    truths: int
    fault: str
    """Why nothing could be removed; empty where there was no need, or it was."""


def erase_requests(store: str | None, texts: set[str], keys: list[str]) -> ErasedRequests:
    """Remove the rows of requests that gave one of a listing's texts, and what came true of them alone.

    An input is one of the texts, whatever its case and blanks, or holds one of at least LONG characters or
    one of the `keys` (id, URL). Of a request whose input is not kept the hash has to be that of one of the
    texts alone, as written. What a SQLite file held of them is overwritten with zeros.
    """
    try:
        with opened(store) as engine, engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            gone = _matching(connection, _Listing(texts, keys))
            for some in (gone[start : start + TOGETHER] for start in range(0, len(gone), TOGETHER)):
                connection.execute(delete(REQUESTS).where(REQUESTS.c.id.in_([row.id for row in some])))
            truths = sum(_truths(connection, key, row) for key, row in {(row.key, row.row) for row in gone})
    except NothingKeptError:
        return ErasedRequests(store, 0, 0, "")
    except PricewrightError as error:
        return ErasedRequests(store, 0, 0, str(error))
    return ErasedRequests(store, len(gone), truths, "")


class _Listing:
    """The texts by which an input is that of a listing."""

    def __init__(self, texts: Iterable[str], keys: list[str]) -> None:
        self.hashes = {digest({SERVED_INPUT: text}) for text in texts}
        self.texts = {_normal(text) for text in texts} - {""}
        self.parts = [text for text in self.texts if len(text) >= LONG] + [_normal(key) for key in keys]

    def is_in(self, request: Any) -> bool:
        """Whether a row of the store gave it."""
        if request.input_sha256 in self.hashes:
            return True
        record = json.loads(request.input) if request.input else {}
        inputs = [_normal(value) for value in record.values() if isinstance(value, str)]
        return any(text in self.texts or any(part in text for part in self.parts) for text in inputs)


def _normal(text: str) -> str:
    return " ".join(text.split()).casefold()


def _matching(connection: Connection, listing: _Listing) -> list[Any]:
    columns = (REQUESTS.c[name] for name in ("id", "key", "row", "input", "input_sha256"))
    rows = connection.execution_options(yield_per=TOGETHER).execute(select(*columns))
    return [row for row in rows if listing.is_in(row)]


def _truths(connection: Connection, key: str, row: int) -> int:
    """Remove what came true of a row of a request, unless another request has this key; how many it was."""
    still = select(REQUESTS.c.id).where(REQUESTS.c.key == key, REQUESTS.c.row == row)
    of = delete(TRUTHS).where(TRUTHS.c.key == key, TRUTHS.c.row == row, ~still.exists())
    return connection.execute(of).rowcount
