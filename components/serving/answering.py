"""Who answers a request, who answers it too without being heard, and what is kept of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from components.core.params.serve import Serve
from components.serving.follower import Follower
from components.serving.invocation import Invocation, RefusedError, require_values
from components.serving.loaded import LoadedVersion
from components.serving.metrics import Metrics
from components.serving.request_store import Kept, RequestStore, digest, now

Read = Callable[[LoadedVersion], Invocation]


class Answering:
    """The champion, and the challenger that takes a share of its requests or shadows it."""

    def __init__(
        self,
        champion: Follower,
        challenger: Follower | None,
        section: Serve,
        metrics: Metrics,
        store: RequestStore | None,
    ) -> None:
        self.champion, self.challenger, self.section = champion, challenger, section
        self.metrics, self.store = metrics, store
        self._behind: set[asyncio.Task[None]] = set()

    def rival(self) -> LoadedVersion | None:
        """The challenger, where one is loaded and its process there."""
        loaded = self.challenger.current if self.challenger else None
        return loaded if loaded and loaded.process.alive else None

    def current(self) -> LoadedVersion:
        """The champion. Raises RefusedError where its process is not there."""
        loaded = self.champion.current
        if loaded is None or not loaded.process.alive:
            raise RefusedError(503, "no version is ready: try again", 1)
        return loaded

    async def answer(self, key: str, read: Read) -> tuple[LoadedVersion, Any]:
        """(the version that answers the request `key`, its predictions for the rows that `read` gives it).

        Raises RefusedError where it does not.
        """
        began, when = time.perf_counter(), now()
        loaded = self._chosen(key)
        with loaded.in_use():
            rows = read(loaded)
            require_values(rows, loaded.signature["inputs"])
            predictions = await loaded.answer(rows)
        seconds = time.perf_counter() - began
        self.metrics.answered(loaded.version.number, loaded.signature["outputs"], predictions)
        kept = self._kept(key, rows, predictions, loaded, seconds, when) if self.store else []
        shadow = self._shadow(loaded)
        if shadow is None:
            self._keep(kept)
        else:
            self._after(self._shadowed(shadow, rows, kept))
        return loaded, predictions

    async def close(self) -> None:
        """Wait for what the shadow still answers, and write what is to be kept."""
        await asyncio.gather(*self._behind)
        if self.store:
            await asyncio.to_thread(self.store.close)

    def _chosen(self, key: str) -> LoadedVersion:
        """The challenger for a share of all keys, always the same ones; the champion for the others."""
        if self.section.canary and (loaded := self.rival()) and place(key) < self.section.canary:
            return loaded
        return self.current()

    def _shadow(self, answered: LoadedVersion) -> LoadedVersion | None:
        loaded = self.rival() if self.section.shadow else None
        return loaded if loaded is not answered else None

    async def _shadowed(self, shadow: LoadedVersion, rows: Invocation, kept: list[Kept]) -> None:
        """Have the shadow answer too; what it has no time for, or cannot answer, is counted."""
        answers: Any = None
        try:
            with shadow.in_use():
                async with asyncio.timeout(self.section.timeout_seconds):
                    answers = await shadow.answer(rows)
            self.metrics.shadowed(len(rows))
        except (RefusedError, TimeoutError):
            self.metrics.shadow_lost(len(rows))
        texts = _texts(answers, len(kept)) if answers is not None else [None] * len(kept)
        number = shadow.version.number
        self._keep(
            [
                Kept(**vars(row) | {"shadow_version": number, "shadow_answer": text})
                for row, text in zip(kept, texts, strict=True)
            ]
        )

    def _kept(
        self,
        key: str,
        rows: Invocation,
        predictions: Any,
        loaded: LoadedVersion,
        seconds: float,
        when: Any,
    ) -> list[Kept]:
        records = rows.records()
        return [
            Kept(
                time=when,
                key=key,
                row=place,
                input_sha256=digest(record),
                input=json.dumps(record, ensure_ascii=False) if self.section.keep_input else None,
                answer=text,
                version=loaded.version.number,
                seconds=seconds,
                shadow_version=None,
                shadow_answer=None,
            )
            for place, (record, text) in enumerate(
                zip(records, _texts(predictions, len(records)), strict=True)
            )
        ]

    def _keep(self, rows: list[Kept]) -> None:
        if self.store:
            self.store.add(rows)

    def _after(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)


def place(key: str) -> float:
    """Where a key stands between 0 and 1, evenly among keys and always at the same place."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64


def _texts(predictions: Any, rows: int) -> list[str]:
    """An answer for each row as JSON; the whole where it has no row for each."""
    each = predictions if isinstance(predictions, list) and len(predictions) == rows else [predictions] * rows
    return [json.dumps(answer, ensure_ascii=False) for answer in each]
