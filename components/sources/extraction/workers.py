"""Runs a function over items in processes that are stopped where one item takes too long.

Pages come from strangers: whatever a page makes the extractor do, it costs that page its deadline and nothing
else. A thread or an alarm could not stop a pattern that backtracks in C; the end of a process can.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Literal, NamedTuple, TypeVar

T = TypeVar("T")
Failure = Literal["too_slow", "crashed"]
"""Why an item has no result: its time was up, or its process ended."""


class Result(NamedTuple):
    """What became of an item."""

    value: Any
    """What the function returned; None where it failed."""
    failure: Failure | None


def run_in_workers(
    items: Iterable[T], function: Callable[[T], Any], seconds: float
) -> Iterator[tuple[T, Result]]:
    """Each item with its result, in the order of the items, on every core; `seconds` is what one may take.

    The function is a module's own, and raises nothing.
    """
    idle: list[_Worker] = []
    busy: deque[tuple[T, _Worker]] = deque()
    started = 0
    try:
        for item in items:
            if not idle and started < len(os.sched_getaffinity(0)):
                idle.append(_Worker(function, seconds))
                started += 1
            if not idle:
                yield _finish(*busy.popleft(), idle)
            worker = idle.pop()
            worker.begin(item)
            busy.append((item, worker))
        while busy:
            yield _finish(*busy.popleft(), idle)
    finally:
        for worker in (*idle, *(worker for _, worker in busy)):
            worker.stop()


def _finish(item: T, worker: _Worker, idle: list[_Worker]) -> tuple[T, Result]:
    result = worker.result()
    idle.append(worker)
    return item, result


class _Worker:
    """A process that takes one item at a time; it is replaced when it was stopped or has ended."""

    def __init__(self, function: Callable[[Any], Any], seconds: float) -> None:
        self.function, self.seconds = function, seconds
        self.started = 0.0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, self.function), daemon=True)
        self.process.start()
        other.close()
        with suppress(EOFError):
            self.connection.recv()  # it has imported what it needs: that is not the item's time

    def begin(self, item: object) -> None:
        self.started = time.monotonic()
        with suppress(BrokenPipeError):
            self.connection.send(item)

    def result(self) -> Result:
        try:
            if self.connection.poll(max(0.0, self.started + self.seconds - time.monotonic())):
                return Result(self.connection.recv(), None)
            failure: Failure = "too_slow"
        except (EOFError, ConnectionResetError):
            failure = "crashed"
        self.stop()
        self._start()
        return Result(None, failure)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection, function: Callable[[Any], Any]) -> None:
    connection.send(None)
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            connection.send(function(connection.recv()))
