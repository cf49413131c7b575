"""Requests that arrive together go through a model together: a bounded queue before one process."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from components.core.params.serve import Serve
from components.serving.invocation import RefusedError
from components.serving.model_process import ModelGoneError, ModelProcess


@dataclass(eq=False)
class Waiting:
    """An item that waits for its batch, and where its answer goes."""

    item: dict[str, Any]
    rows: int
    answer: asyncio.Future[dict[str, Any]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Batcher:
    """A queue of items before a process. What arrives while a batch is answered is the next batch."""

    def __init__(self, process: ModelProcess, section: Serve) -> None:
        self.process, self.section = process, section
        self._waiting: deque[Waiting] = deque()
        self._arrived, self._full = asyncio.Event(), asyncio.Event()
        self._batch_seconds = 0.0
        self._task = asyncio.create_task(self._run())

    @property
    def rows_waiting(self) -> int:
        """Rows that no batch has taken yet."""
        return sum(waiting.rows for waiting in self._waiting)

    async def submit(self, item: dict[str, Any], rows: int) -> dict[str, Any]:
        """The worker's answer to an item of so many rows. Whoever is cancelled leaves the queue.

        Raises RefusedError 429 where the queue is full, and 503 where the process ends first.
        """
        if self.rows_waiting + rows > self.section.queue_max:
            batches = self.rows_waiting / self.section.batch_max + 1
            seconds = max(1, math.ceil(batches * self._batch_seconds))
            raise RefusedError(429, f"{self.rows_waiting} rows wait already: try again", seconds)
        if not self.process.alive:
            raise gone()
        waiting = Waiting(item, rows)
        self._waiting.append(waiting)
        self._arrived.set()
        if self.rows_waiting >= self.section.batch_max:
            self._full.set()
        try:
            return await waiting.answer
        finally:
            if not waiting.answer.done() or waiting.answer.cancelled():
                self._forget(waiting)

    async def close(self) -> None:
        """Take no further batch."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _forget(self, waiting: Waiting) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            await self._until_full()
            batch = self._take()
            if not batch:
                continue
            started = time.monotonic()
            try:
                async with asyncio.timeout(self.section.timeout_seconds):
                    outcomes = await self.process.answer([waiting.item for waiting in batch])
            except (ModelGoneError, TimeoutError):
                self.process.kill()
                self._fail([*batch, *self._waiting])
                continue
            self._batch_seconds = time.monotonic() - started
            for waiting, outcome in zip(batch, outcomes, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(outcome)

    async def _until_full(self) -> None:
        """Give others the time to join, unless a batch is full already."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._full.wait(), self.section.batch_milliseconds / 1000)

    def _take(self) -> list[Waiting]:
        """The next batch: the oldest items, together at most `batch_max` rows."""
        batch, rows = list[Waiting](), 0
        while self._waiting and (not batch or rows + self._waiting[0].rows <= self.section.batch_max):
            batch.append(self._waiting.popleft())
            rows += batch[-1].rows
        if not self._waiting:
            self._arrived.clear()
        if self.rows_waiting < self.section.batch_max:
            self._full.clear()
        return batch

    def _fail(self, lost: list[Waiting]) -> None:
        self._waiting.clear()
        self._arrived.clear()
        for waiting in lost:
            if not waiting.answer.done():
                waiting.answer.set_exception(gone())


def gone() -> RefusedError:
    """What is answered while a process that ended is started anew."""
    return RefusedError(503, "the version's process ended and is started anew: try again", 1)
