"""A store with requests and what came true of them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from components.serving.request_store import Kept, RequestStore, Truth, digest, now

NOW = now()
ANSWER = {"value": 10.0, "low": 8.0, "high": 14.0}


def asked(key: str, text: str = "a desk", hours: float = 10.0, row: int = 0, **changed: object) -> Kept:
    """A row of a request so many hours ago."""
    record = {"description": text}
    fields = {
        "time": NOW - timedelta(hours=hours),
        "key": key,
        "row": row,
        "input_sha256": digest(record),
        "input": json.dumps(record),
        "answer": json.dumps(ANSWER),
        "version": "1",
        "seconds": 0.01,
        "shadow_version": None,
        "shadow_answer": None,
    }
    return Kept(**fields | changed)  # type: ignore[arg-type]


def true(key: str, value: object, hours: float = 1.0, row: int = 0) -> Truth:
    """A truth of so many hours ago."""
    return Truth(NOW - timedelta(hours=hours), key, row, json.dumps(value))


def stored(path: Path, *rows: Kept | Truth, keep_days: float = 90.0) -> str:
    """The address of a store with these rows."""
    lost: list[int] = []
    store = RequestStore(f"sqlite:///{path}", keep_days, lost.append)
    store.add(rows)
    store.close()
    assert lost == []
    return f"sqlite:///{path}"
