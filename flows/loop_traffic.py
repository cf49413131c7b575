"""What goes on around a champion in the year of `make loop`: people ask, time passes, truths come in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, TextIO

import httpx
import pandas as pd
from prefect.client.schemas.objects import State
from sqlalchemy import Engine, func, select

from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.monitoring import year
from components.monitoring.truth import answered
from components.monitoring.year_page import Event, line
from components.serving.request_store import REQUESTS, now, opened
from components.synthetic.market import Question
from components.tasks import load_task
from flows import truth

SALES, LOG = Path("work/sales.csv"), Path("loop.log")
MOVE_SECONDS, KEPT_SECONDS = 120.0, 60.0
MOVING = "Lumo lamp, which somebody asks for while the service moves over"
AT_ONCE = 8
"""Requests at a time."""


@dataclass(frozen=True)
class Plan:
    """When what happens, in weeks counted from 1, and how much of it."""

    seed: int
    listings: int
    noise: float
    rows: int
    """Requests in a week."""
    late: int
    """Weeks until the last truth of a week is known."""
    spring: int
    """The week from which everything costs `level` times as much."""
    level: float
    look: int
    """Weeks between two looks, once there is something to look for."""
    autumn: int
    """The week in which a bad challenger comes."""
    narrow: float
    """Its `evaluate.interval`: what somebody took for an improvement."""
    winter: int
    """The week from which everything costs what it did."""
    last: int


@dataclass
class Year:
    """The year as far as it was played."""

    plan: Plan
    client: httpx.Client
    log: TextIO
    rng: Random
    asked: Iterator[Question]
    week: int = 0
    level: float = 1.0
    sent: int = 0
    refused: int = 0
    """Requests, and those of them that got no answer."""
    open_truths: list[tuple[int, str, float]] = field(default_factory=list)
    """(the week in which it becomes known, the key of the request, what it turned out to be)."""
    events: list[Event] = field(default_factory=list)

    def tell(self, name: str, text: str) -> None:
        """Note what happened, and print it."""
        self.events.append(Event(max(self.week, 1), name, text))
        print(line(self.events[-1]), flush=True)

    def quietly(self, flow: Callable[..., Any], **arguments: Any) -> State[Any]:
        """The last state of a flow, whose output goes to the log. Raises what the flow raised."""
        with redirect_stdout(self.log), redirect_stderr(self.log):
            state = flow(**arguments, return_state=True)
        self.log.flush()
        if not state.is_completed():
            state.result()
        return state

    def weeks(self, until: int) -> None:
        """Let the weeks up to `until` pass, with their traffic and their truths."""
        while self.week < until:
            self.week += 1
            self._ask()
            with self.store() as engine:
                year.pass_week(engine, self.week, self.rng)
            self._learn()

    def champion_answers(self, number: str) -> float:
        """Ask until a version answers; the seconds it took."""
        began = time.monotonic()
        while self._post(f"move-{self.sent}", MOVING) != number:
            if time.monotonic() - began > MOVE_SECONDS:
                raise PricewrightError(f"the service has not moved to version {number}: see {LOG}")
        return time.monotonic() - began

    def loss(self, weeks: range) -> str:
        """The mean error of some weeks' answers, as far as they came true."""
        table = year.by_week(self.answered(), load_task())
        rows = table[table["week"].isin(weeks) & table["loss"].notna()]
        return f"{(rows['loss'] * rows['truths']).sum() / max(rows['truths'].sum(), 1):.1f}"

    def answered(self) -> pd.DataFrame:
        """Everything that was answered, with what came true."""
        with self.store() as engine:
            return answered(engine, now() - timedelta(days=load_params().serve.keep_days), load_task())

    def store(self) -> AbstractContextManager[Engine]:
        """What the service keeps."""
        return opened(load_params().serve.store)

    def _ask(self) -> None:
        """This week's requests, some at a time, over HTTP."""
        keys = [year.key_of(self.week, number) for number in range(self.plan.rows)]
        asked = [next(self.asked) for _ in keys]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(self._post, keys, [question.text for question in asked]))
        for key, question, came in zip(keys, asked, answers, strict=True):
            if came is not None:
                known = self.week + self.rng.randint(1, self.plan.late)
                self.open_truths.append((known, key, round(question.value * self.level, 2)))
        self._wait_until_kept(len(keys) - answers.count(None))

    def _post(self, key: str, text: str) -> str | None:
        """The version that answered a request; None, and counted, where none did."""
        answer = self.client.post("/predict", json={"description": text}, headers={"X-Request-Key": key})
        self.sent += 1
        if answer.status_code != 200:
            self.refused += 1
            return None
        return str(answer.json()["version"])

    def _wait_until_kept(self, rows: int) -> None:
        """A shadow answers after the answer, and a row is kept after its shadow."""
        own = select(func.count()).where(REQUESTS.c.key.startswith(f"w{self.week:02}-"))
        until = time.monotonic() + KEPT_SECONDS
        while time.monotonic() < until:
            with suppress(PricewrightError), self.store() as engine, engine.connect() as connection:
                if connection.execute(own).scalar_one() >= rows:
                    return
            time.sleep(0.05)
        raise PricewrightError(f"not all {rows} requests of week {self.week} are kept")

    def _learn(self) -> None:
        """Take in what became known this week, as a file of it."""
        due = [(key, value) for when, key, value in self.open_truths if when <= self.week]
        self.open_truths = [entry for entry in self.open_truths if entry[0] > self.week]
        if due:
            SALES.parent.mkdir(exist_ok=True)
            rows = pd.DataFrame(due, columns=["key", "value"]).assign(time=f"{now().isoformat()}+00:00")
            rows.to_csv(SALES, index=False)
            truth.truth(str(SALES))
