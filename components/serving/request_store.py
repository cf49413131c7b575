"""What was asked and answered: a table to which a thread appends, so that no answer waits for it."""

from __future__ import annotations

import hashlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    delete,
    inspect,
    or_,
    select,
)
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from components.core.errors import PricewrightError
from components.serving.log import log

METADATA = MetaData()
REQUESTS = Table(
    "requests",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("time", DateTime, nullable=False, index=True, comment="UTC"),
    Column("key", String(200), nullable=False, index=True),
    Column("row", Integer, nullable=False),
    Column("input_sha256", String(64), nullable=False),
    Column("input", Text),
    Column("answer", Text, nullable=False),
    Column("version", String(50), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("shadow_version", String(50)),
    Column("shadow_answer", Text),
)
TRUTHS = Table(
    "truths",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("time", DateTime, nullable=False, comment="UTC"),
    Column("key", String(200), nullable=False, index=True),
    Column("row", Integer, nullable=False),
    Column("value", Text, nullable=False),
)
WAITING_MAX = 10_000
"""Most rows that wait to be written."""
TOGETHER_MAX = 500
"""Most rows of one transaction."""
LOCKED_SECONDS = 2
"""That SQLite waits for another process that writes."""
CLEAN_SECONDS = 3600.0
"""Between two looks for rows that are too old."""


class NothingKeptError(PricewrightError):
    """There is no store of requests, or none yet."""


@dataclass(frozen=True)
class Kept:
    """A row of the table: one input and its answer."""

    time: datetime
    key: str
    row: int
    input_sha256: str
    input: str | None
    answer: str
    version: str
    seconds: float
    shadow_version: str | None
    shadow_answer: str | None


@dataclass(frozen=True)
class Truth:
    """What the right answer to a row of a request turned out to be, as JSON."""

    time: datetime
    key: str
    row: int
    value: str


class RequestStore:
    """Two tables in a database. What it cannot keep is handed to `lost` as a number of rows."""

    def __init__(self, address: str, keep_days: float, lost: Callable[[int], None]) -> None:
        """`address` is one of SQLAlchemy. Raises PricewrightError where it names no database that there is a
        driver for; one that does not answer is no error.
        """
        self.keep_days, self.lost = keep_days, lost
        self.engine = _engine(address)
        self._rows: queue.Queue[Kept | Truth | None] = queue.Queue(WAITING_MAX)
        self._cleaned, self._made, self._failing = -CLEAN_SECONDS, False, False
        self._thread = threading.Thread(target=self._run, name="request store", daemon=True)
        self._thread.start()

    def add(self, rows: Sequence[Kept | Truth]) -> None:
        """Have rows written, in their order; returns at once."""
        for row in rows:
            try:
                self._rows.put_nowait(row)
            except queue.Full:
                self.lost(1)

    def close(self) -> None:
        """Write what waits, and end."""
        self._rows.put(None)
        self._thread.join()
        self.engine.dispose()

    def _run(self) -> None:
        ended = False
        while not ended:
            rows, ended = self._next()
            try:
                self._write(rows)
                self._failing = False
            except SQLAlchemyError as error:
                self.lost(len(rows))
                if not self._failing:
                    log(f"requests are not kept: {type(error).__name__} of {self.engine.url.drivername}")
                self._failing = True

    def _next(self) -> tuple[list[Kept | Truth], bool]:
        """(all rows that wait, none where an hour passes without any; whether no more will come)."""
        rows = list[Kept | Truth]()
        with suppress(queue.Empty):
            row = self._rows.get(timeout=CLEAN_SECONDS)
            while row is not None:
                rows.append(row)
                if len(rows) == TOGETHER_MAX:
                    return rows, False
                row = self._rows.get_nowait()
            return rows, True
        return rows, False

    def _write(self, rows: list[Kept | Truth]) -> None:
        if not self._made:
            METADATA.create_all(self.engine)
            self._made = True
        with self.engine.begin() as connection:
            for kind, table in ((Kept, REQUESTS), (Truth, TRUTHS)):
                if values := [asdict(row) for row in rows if isinstance(row, kind)]:
                    connection.execute(table.insert(), values)
            if time.monotonic() - self._cleaned > CLEAN_SECONDS:
                _remove_before(connection, now() - timedelta(days=self.keep_days))
                self._cleaned = time.monotonic()


@contextmanager
def opened(address: str | None) -> Iterator[Engine]:
    """The database at an address, to be read and written inside the block.

    Raises NothingKeptError where there is no store, or none yet, and PricewrightError where it does not
    answer in the block.
    """
    if address is None:
        raise NothingKeptError("nothing is kept here: serve.store is null. Set it to an address and serve")
    engine = _engine(address)
    file = engine.url.database if engine.url.drivername.startswith("sqlite") else None
    try:
        if (file and not Path(file).is_file()) or not inspect(engine).has_table(REQUESTS.name):
            raise NothingKeptError(
                f"{engine.url} holds no request yet: `make serve` keeps what it answers there"
            )
        yield engine
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        raise PricewrightError(f"the store of requests, {engine.url}, does not answer ({reason})") from error
    finally:
        engine.dispose()


def _remove_before(connection: Connection, oldest: datetime) -> None:
    """Remove requests that are older, and with the last one of a key its truths, however late they came."""
    expired = select(REQUESTS.c.key).where(REQUESTS.c.time < oldest)
    staying = select(REQUESTS.c.key).where(REQUESTS.c.time >= oldest)
    gone = or_(TRUTHS.c.key.in_(expired), TRUTHS.c.time < oldest)
    connection.execute(delete(TRUTHS).where(gone, TRUTHS.c.key.not_in(staying)))
    connection.execute(delete(REQUESTS).where(REQUESTS.c.time < oldest))


def now() -> datetime:
    """The time in UTC, as the table has it."""
    return datetime.now(UTC).replace(tzinfo=None)


def digest(record: Any) -> str:
    """SHA-256 of an input, whatever the order of its columns."""
    return hashlib.sha256(json.dumps(record, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _engine(address: str) -> Engine:
    try:
        lite = address.startswith("sqlite")
        return create_engine(address, connect_args={"timeout": LOCKED_SECONDS} if lite else {})
    except (ArgumentError, ModuleNotFoundError) as error:
        raise PricewrightError(
            "serve.store is no address of a database that can be used here: `sqlite:///requests.db`, or "
            "`postgresql+psycopg2://user@host/name` with the extra `team` and the password in PGPASSWORD"
        ) from error
