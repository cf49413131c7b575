"""What a request asks of a version: rows in a format of `mlflow models serve`, and params.

Nothing here knows what is predicted: columns are those of the version's signature.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""Formats of MLflow's scoring protocol 2.0 that are JSON."""

CODES = {400: "BAD_REQUEST", 404: "ENDPOINT_NOT_FOUND", 429: "REQUEST_LIMIT_EXCEEDED"}
CODES |= {503: "TEMPORARILY_UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
"""MLflow's names of errors, by HTTP status; INVALID_PARAMETER_VALUE for others below 500."""


class RefusedError(Exception):
    """A request that is not answered: the HTTP status, and one line that says what was wrong."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_after = status, message, retry_after


def error_body(status: int, message: str) -> dict[str, str]:
    """An error as MLflow writes it."""
    code = CODES.get(status, "INVALID_PARAMETER_VALUE" if status < 500 else "INTERNAL_ERROR")
    return {"error_code": code, "message": message}


@dataclass(frozen=True)
class Invocation:
    """Rows in one of `FORMATS`, and the params of the request."""

    layout: str
    rows: Any
    params: dict[str, Any] | None

    def __len__(self) -> int:
        """Number of rows; 1 where the format has no rows of its own."""
        return len(self._column()) if self._is_listed() else 1

    def parts(self, most: int) -> Iterator[dict[str, Any]]:
        """Items for a worker with at most so many rows each, in order."""
        for start in range(0, max(len(self), 1), most):
            rows = self._slice(slice(start, start + most)) if self._is_listed() else self.rows
            yield {"data": {self.layout: rows}, "params": self.params}

    def records(self) -> list[Any]:
        """The rows, one by one, for the store: a dictionary of columns where the format names them."""
        if self.layout == "dataframe_split":
            return [dict(zip(self.rows["columns"], row, strict=True)) for row in self.rows["data"]]
        if not self._is_listed():
            return [self.rows]
        if isinstance(self.rows, dict):
            return [{name: values[row] for name, values in self.rows.items()} for row in range(len(self))]
        return list(self.rows)

    def _is_listed(self) -> bool:
        """Whether the rows can be counted and taken apart."""
        if self.layout == "dataframe_split":
            return "data" in self.rows
        if isinstance(self.rows, dict):
            lengths = [len(values) if isinstance(values, list) else -1 for values in self.rows.values()]
            return len(set(lengths)) == 1 and lengths[0] >= 0
        return isinstance(self.rows, list)

    def _column(self) -> list[Any]:
        if self.layout == "dataframe_split":
            return list(self.rows["data"])
        return list(next(iter(self.rows.values())) if isinstance(self.rows, dict) else self.rows)

    def _slice(self, rows: slice) -> Any:
        if self.layout == "dataframe_split":
            cut = {name: self.rows[name][rows] for name in ("index", "data") if name in self.rows}
            return self.rows | cut
        if isinstance(self.rows, dict):
            return {name: values[rows] for name, values in self.rows.items()}
        return self.rows[rows]


def parse(body: bytes) -> Any:
    """A JSON body. Raises RefusedError where it is none, or holds text that no encoding can write."""
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise RefusedError(400, "the body holds half of a surrogate pair, which is no text") from error
    except RecursionError as error:
        raise RefusedError(400, "the body is nested too deeply") from error
    except ValueError as error:  # of JSON and of UTF-8
        raise RefusedError(400, f"the body is not JSON in UTF-8: {_short(error)}") from error
    return value


def invocation(value: Any) -> Invocation:
    """The body of /invocations. Raises RefusedError where it has none of MLflow's formats, or several."""
    named = ", ".join(FORMATS)
    if not isinstance(value, dict):
        raise RefusedError(400, f"the body is to be an object with one of {named}, found {_kind(value)}")
    layouts = [name for name in FORMATS if name in value]
    if len(layouts) != 1:
        keys = ", ".join(map(str, value))[:100] or "none"
        raise RefusedError(400, f"the body is to have exactly one of {named}, found {keys}")
    layout, params = layouts[0], value.get("params")
    if not isinstance(params, dict | None):
        raise RefusedError(400, f"params is to be an object, found {_kind(params)}")
    _require_shape(layout, value[layout])
    return Invocation(layout, value[layout], params)


def _require_shape(layout: str, rows: Any) -> None:
    if layout == "dataframe_split":
        data = rows.get("data") if isinstance(rows, dict) else None
        columns = rows.get("columns") if isinstance(rows, dict) else None
        if not isinstance(data, list) or not isinstance(columns, list):
            raise RefusedError(400, f"{layout} is to be an object with the lists columns and data")
        for place, row in enumerate(data):
            if not isinstance(row, list) or len(row) != len(columns):
                raise RefusedError(400, f"row {place} of {layout} is to be a list of {len(columns)} values")
        if not isinstance(index := rows.get("index", data), list) or len(index) != len(data):
            raise RefusedError(400, f"index of {layout} is to be a list as long as data")
        empty = not data
    elif layout == "dataframe_records":
        if not isinstance(rows, list):
            raise RefusedError(400, f"{layout} is to be a list of objects, found {_kind(rows)}")
        for place, row in enumerate(rows):
            if not isinstance(row, dict):
                raise RefusedError(400, f"row {place} of {layout} is to be an object, found {_kind(row)}")
        empty = not rows
    else:
        if not isinstance(rows, list | dict):
            raise RefusedError(400, f"{layout} is to be a list or an object, found {_kind(rows)}")
        empty = not rows
    if empty:
        raise RefusedError(400, f"{layout} is empty: there is no row to answer")


def records(value: Any, params: dict[str, Any], inputs: list[dict[str, Any]]) -> Invocation:
    """The body of /predict, one record or a list, as rows of the columns `inputs` of a signature.

    Raises RefusedError where a record is none, lacks a column that the version needs, or has another.
    """
    rows = value if isinstance(value, list) else [value]
    if not rows:
        raise RefusedError(400, "the list is empty: there is no record to answer")
    known = [str(column["name"]) for column in inputs if "name" in column]
    needed = [column["name"] for column in inputs if "name" in column and column.get("required", True)]
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            raise RefusedError(400, f"record {place} is to be an object, found {_kind(row)}")
        if missing := [name for name in needed if name not in row]:
            raise RefusedError(400, f"record {place} has no {', '.join(missing)}")
        if known and (unknown := [name for name in row if name not in known]):
            raise RefusedError(
                400, f"record {place} has {unknown[0][:100]!r}, which is none of {', '.join(known)}"
            )
    return Invocation("dataframe_records", rows, params or None)


def require_values(rows: Invocation, inputs: list[dict[str, Any]]) -> None:
    """Raises RefusedError where a row has a list or an object in a column of single values: MLflow would hand
    it on to the model as it is.
    """
    single = [str(c["name"]) for c in inputs if "name" in c and c["type"] not in ("array", "object", "map")]
    for place, row in enumerate(rows.records()):
        for name in single:
            if isinstance(row, dict) and isinstance(value := row.get(name), list | dict):
                raise RefusedError(400, f"row {place} has {_kind(value)} in {name}, which is one value")


def params(query: dict[str, str], known: list[dict[str, Any]]) -> dict[str, Any]:
    """The params of a query, each of the type that the signature's `known` gives it. Raises RefusedError for
    one that the version does not have, or whose value is of another type.
    """
    types = {param["name"]: param["type"] for param in known}
    for name in query:
        if name not in types:
            names = ", ".join(types) or "none"
            raise RefusedError(400, f"there is no param {name[:100]!r}; the version has {names}")
    try:
        return {n: text if types[n] == "string" else json.loads(text) for n, text in query.items()}
    except ValueError as error:
        raise RefusedError(400, f"a param is to be of the type that GET /version names: {error}") from error


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _short(error: ValueError) -> str:
    return str(error).splitlines()[0][:100]
