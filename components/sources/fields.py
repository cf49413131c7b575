"""The cells of a row as the fields of a listing."""

from __future__ import annotations

import contextlib
import json
from typing import Any

LEVEL = 3  # the entry of a category path that becomes the category, counted from 1
MISSING = object()


class Number(str):
    """A number of JSON, as written."""

    __slots__ = ()


def lookup(value: object, column: str) -> Any:
    """The value of column `a.0.b`: of a key of just that name, else nested; MISSING where there is none."""
    if isinstance(value, dict) and column in value:
        return value[column]
    for key in column.split("."):
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            return MISSING
    return value


def text(value: object) -> str:
    """A cell as text: empty for null and NaN; the entries of a list are joined by blanks."""
    if value is None or value != value:
        return ""
    if isinstance(value, list):
        return " ".join(filter(None, map(text, value)))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value).strip()


def category_name(value: object) -> str:
    """A category as it is; of a path from general to special the third entry, or the last of a shorter one.

    The first levels often hold the whole catalogue, the last ones only a handful of listings.
    """
    if not isinstance(value, list):
        return text(value)
    entries = [entry for entry in map(text, value) if entry]
    return entries[:LEVEL][-1] if entries else ""


def details(value: object) -> dict[str, Any]:
    """Specifications: an object, or JSON text of one; other text becomes the one entry `Details`."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, dict):
        return {str(name): entry for name, entry in value.items() if entry is not None}
    written = text(value)
    return {"Details": written} if written else {}
