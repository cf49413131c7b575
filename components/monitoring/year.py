"""A year that passes in minutes: the clock of a store of requests, and what happened in each week.

Time passes by dating back what is kept, so that whoever looks at the store, by the clock of the machine, sees
it as it would be after so many days.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random

import numpy as np
import pandas as pd
from sqlalchemy import Engine, bindparam, select, update

from components.serving.request_store import REQUESTS, TRUTHS
from components.tasks import AnyTask

WEEK = timedelta(days=7)


def key_of(week: int, number: int) -> str:
    """The key of a request of that week."""
    return f"w{week:02}-{number:04}"


def pass_week(engine: Engine, week: int, rng: Random) -> None:
    """Date back everything by seven days; the requests of `week`, which has just been played in a moment, by
    some part of them each, so that they are spread over it.
    """
    with engine.begin() as connection:
        for table in (REQUESTS, TRUTHS):
            moved = [
                {"which": row.id, "when": row.time - WEEK * (rng.random() if _of(row.key, week) else 1.0)}
                for row in connection.execute(select(table.c.id, table.c.key, table.c.time))
            ]
            if moved:
                back = update(table).where(table.c.id == bindparam("which")).values(time=bindparam("when"))
                connection.execute(back, moved)


def by_week(answered: pd.DataFrame, task: AnyTask) -> pd.DataFrame:
    """A row for each week: `week`, `requests`, `truths`, `loss` (the mean loss of what came true),
    `coverage` (share of it within the interval or set), `versions` (those that answered, with spaces
    between).

    `answered` is by `truth.answered`, those with the keys of `key_of` count.
    """
    of_week = answered["key"].str.extract(r"^w(\d+)-", expand=False)
    answered, week = answered[of_week.notna()], of_week.dropna().astype(int)
    losses = task.answers.loss(answered["value"].to_numpy(float), answered["predicted"].to_numpy(float))
    inside = (answered["held"] == 1).astype(float)
    table = answered.assign(loss=losses, coverage=inside.where(answered["value"].notna(), np.nan))
    grouped = table.groupby(week.rename("week"))
    return pd.DataFrame(
        {
            "requests": grouped.size(),
            "truths": grouped["value"].count(),
            "loss": grouped["loss"].mean(),
            "coverage": grouped["coverage"].mean(),
            "versions": grouped["version"].agg(lambda numbers: " ".join(sorted(set(numbers)))),
        }
    ).reset_index()


def _of(key: str, week: int) -> bool:
    return key.startswith(f"w{week:02}-")
