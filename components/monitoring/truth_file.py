"""Truths of a file such as sales.csv: late, out of order, told twice, and not all of them usable.

Its columns are `key` (that of the request, the header X-Request-Key), `value` (what its answer turned out to
be), `time` (when that was known) and, where a request had several rows, `row` (0 for the first).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine, Row, func, select
from sqlalchemy.engine import Connection

from components.core.errors import PricewrightError
from components.model.labels import Labels
from components.monitoring.truth import number, value_of, written
from components.serving.request_store import REQUESTS, TRUTHS
from components.sources import writable
from components.sources.tables.kinds import read
from components.sources.tables.lines import UNREADABLE, Fault
from components.tasks import AnyTask

COLUMNS = ["key", "value", "time"]
NAMED = 10
"""Most labels that a message names."""
TOGETHER = 500
"""Keys that are looked up together."""
Place = tuple[str, int]
"""Key and row."""


class Statement(NamedTuple):
    """That a row of a request turned out to be a value."""

    line: int
    """Of the file: its row, the first below the header is 1."""
    key: str
    row: int
    value: float | str
    """A number, or the name of a label."""
    time: datetime
    """UTC."""


class Rejected(NamedTuple):
    """A row of the file that is not kept, and why."""

    line: int
    rule: str
    reason: str
    key: str = ""
    row: str = ""
    value: str = ""
    time: str = ""


class Intake(NamedTuple):
    """What became of the rows of a file."""

    added: int
    changed: int
    """Of these, that say otherwise than another of the same row of a request: the later time holds."""
    repeated: int
    """That are kept already, word for word."""
    rejects: list[Rejected]


def take_in(path: Path, engine: Engine, bytes_max: int, when: datetime, task: AnyTask) -> Intake:
    """Keep what the rows of a file say came true by `when` (UTC), all of them in one transaction.

    A file that was taken in before changes nothing. `bytes_max` is the most that a compressed one may unpack
    to. To be called inside `request_store.opened`. Raises PricewrightError, and keeps nothing, where the file
    is missing, broken or empty, lacks a column, or has no usable row.
    """
    statements, rejects = _read(path, bytes_max, when, task)
    with engine.begin() as connection:
        known = _requests(connection, sorted({statement.key for statement in statements}))
        usable = []
        for statement in statements:
            if fault := _fault(statement, known.get(statement[1:3])):
                rejects.append(_rejected(statement, *fault))
            else:
                usable.append(statement)
        if not usable:
            first = min(rejects)
            raise PricewrightError(
                f"{path}: none of its {len(rejects)} rows can be used; row {first.line}: {first.reason}"
            )
        added, changed = _new(usable, connection, task)
        if added:
            connection.execute(TRUTHS.insert(), [_as_kept(statement) for statement in added])
    return Intake(len(added), changed, len(usable) - len(added), sorted(rejects))


# --- the rows of the file ----------------------------------------------------------------------------


def _read(
    path: Path, bytes_max: int, when: datetime, task: AnyTask
) -> tuple[list[Statement], list[Rejected]]:
    statements, rejects, present = list[Statement](), list[Rejected](), set[str]()
    try:
        for entry in read(path, COLUMNS, bytes_max):
            if isinstance(entry, Fault):
                rejects.append(Rejected(int(entry.address.rpartition(":")[2]), entry.rule, entry.reason))
                continue
            line, _, cells = entry
            present |= cells.keys() if isinstance(cells, dict) else set()
            row = _statement(line, cells, when, task)
            if isinstance(row, Statement):
                statements.append(row)
            else:
                rejects.append(row)
    except UNREADABLE as error:
        raise PricewrightError(f"{path} is not readable ({error}): nothing of it is kept") from error
    if not statements and not rejects:
        raise PricewrightError(f"{path} is empty: no row in it")
    if present and not present.issuperset(COLUMNS):
        missing = ", ".join(column for column in COLUMNS if column not in present)
        raise PricewrightError(
            f"{path} has no column {missing}, but {', '.join(sorted(present))}: rename them"
        )
    return statements, rejects


def _statement(line: int, cells: Any, when: datetime, task: AnyTask) -> Statement | Rejected:
    """A row of the file as it is understood."""
    if not isinstance(cells, dict):
        return Rejected(line, "broken_row", "it is no object with key, value and time")
    key, value, told = (_text(cells.get(name)) for name in COLUMNS)
    row = _text(cells.get("row")) or "0"
    place, amount, known = number(row), value_of(value, task), _utc(told)
    if not key:
        fault = "no_key", "it has no key"
    elif place is None or place < 0 or place % 1:
        fault = "no_row", f"row is {row}: it is to be a whole number, 0 for the first of the request"
    elif amount is None:
        fault = _no_value(value, task)
    elif known is None:
        fault = (
            "no_time",
            f"time is {told or 'missing'}: it is to be as 2026-05-31T14:30:00+02:00",
        )
    elif known > (datetime.combine(when, time.max) if known.time() == time.max else when):
        fault = "in_the_future", f"time is {told}, and now it is {when:%Y-%m-%d %H:%M:%S} UTC"
    else:
        return Statement(line, key, int(place), written(amount, task), known)
    return Rejected(line, *fault, key, row, value, told)


def _no_value(value: str, task: AnyTask) -> tuple[str, str]:
    if isinstance(task.answers, Labels):
        names = ", ".join(task.answers.names[:NAMED]) + (" ..." if len(task.answers.names) > NAMED else "")
        return "no_label", f"value is {value or 'missing'}: it is to be one of {names}"
    return "no_number", f"value is {value or 'missing'}: it is to be a number such as 1299.50"


def _text(cell: object) -> str:
    return "" if cell is None else writable(str(cell)).strip()


def _utc(written: str) -> datetime | None:
    """A time of ISO 8601, UTC where it names no zone; a date, or its midnight, stands for the end of the day.

    None for anything else.
    """
    try:
        moment = datetime.fromisoformat(written)
        if moment.tzinfo:
            return moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return datetime.combine(moment, time.max) if moment.time() == time.min else moment


# --- and those of the store --------------------------------------------------------------------------


def _requests(connection: Connection, keys: list[str]) -> dict[Place, Row[Any]]:
    """First time and number of inputs of each row of the requests with these keys."""
    table = REQUESTS.c
    first, inputs = func.min(table.time).label("first"), func.count(table.input_sha256.distinct())
    query = select(table.key, table.row, first, inputs.label("inputs")).group_by(table.key, table.row)
    return {
        (request.key, request.row): request
        for some in _some(keys)
        for request in connection.execute(query.where(table.key.in_(some)))
    }


def _fault(statement: Statement, request: Row[Any] | None) -> tuple[str, str] | None:
    """(rule, reason) by which a statement cannot be joined to its request; None where it can."""
    of = f"row {statement.row} of a request with the key {statement.key}"
    if request is None:
        return "unknown_key", f"no {of} is kept: it was never asked, or is forgotten (serve.keep_days)"
    if request.inputs > 1:
        return "shared_key", f"there is more than one {of}, with different inputs"
    if statement.time < request.first:
        return "before_request", f"the {of} came only at {request.first:%Y-%m-%d %H:%M:%S} UTC"
    return None


def _new(statements: list[Statement], connection: Connection, task: AnyTask) -> tuple[list[Statement], int]:
    """(the statements that are not kept yet, how many of them say otherwise than one before)."""
    kept: dict[Place, set[tuple[float | str | None, datetime]]] = {}
    for some in _some(sorted({statement.key for statement in statements})):
        for truth in connection.execute(select(TRUTHS).where(TRUTHS.c.key.in_(some))):
            value = value_of(json.loads(truth.value), task)
            told = None if value is None else written(value, task), truth.time
            kept.setdefault((truth.key, truth.row), set()).add(told)
    added, changed = list[Statement](), 0
    for statement in statements:
        before = kept.setdefault(statement[1:3], set())
        if statement[3:] not in before:
            added.append(statement)
            changed += any(value != statement.value for value, _ in before)
            before.add(statement[3:])
    return added, changed


def _as_kept(statement: Statement) -> dict[str, Any]:
    return statement._asdict() | {"value": json.dumps(statement.value)}


def _rejected(statement: Statement, rule: str, reason: str) -> Rejected:
    line, *cells = statement
    return Rejected(line, rule, reason, *map(str, cells))


def _some(keys: list[str]) -> Iterator[list[str]]:
    """Keys that are looked up together; none that no request can have."""
    possible = [key for key in keys if "\0" not in key]
    return (possible[start : start + TOGETHER] for start in range(0, len(possible), TOGETHER))
