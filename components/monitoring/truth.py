"""What came true, joined to what was answered: a row per row of a request in `serve.store`."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import Engine, select

from components.model.labels import Labels
from components.serving.request_store import REQUESTS, TRUTHS
from components.tasks import AnyTask
from components.tasks.served_answers import COLUMNS as COLUMNS_OF
from components.tasks.served_answers import measured

COLUMNS = [
    "time",
    "key",
    "row",
    "input",
    "predicted",
    "low",
    "high",
    "held",
    "width",
    "answer",
    "version",
    "seconds",
    "shadow_version",
    "shadow_predicted",
    "shadow_low",
    "shadow_high",
    "value",
    "truth_time",
]
"""Of `answered`."""


def answered(engine: Engine, since: datetime, task: AnyTask) -> pd.DataFrame:
    """What was answered since then (UTC, without a zone), oldest first, and what came true of it: COLUMNS.

    `input` is the record as a dictionary, None where only its hash is kept; `answer` the answer as one, of
    which `predicted`, `low`, `high`, `held` and `width` are floats, see `measured`, NaN where that is
    no number or no label, and likewise for the version that shadowed it; a number that is predicted is the
    first column of the answer. `value` is the latest truth that `value_of` can read, at `truth_time`; NaN
    where there is none, or where the key stands for several inputs and nobody can tell of which it is. To be
    called inside `request_store.opened`.
    """
    recent = REQUESTS.c.time >= since
    requests = select(REQUESTS).where(recent).order_by(REQUESTS.c.time, REQUESTS.c.id)
    keys = select(REQUESTS.c.key).where(recent)
    truths = select(TRUTHS).where(TRUTHS.c.key.in_(keys)).order_by(TRUTHS.c.time, TRUTHS.c.id)
    rows = _table(engine, requests)
    values = _table(engine, truths)
    values["value"] = [value_of(json.loads(text), task) for text in values["value"]]
    latest = values.dropna(subset=["value"]).groupby(["key", "row"])[["value", "time"]].last()
    inputs = rows.groupby(["key", "row"])["input_sha256"].nunique()
    latest = latest[inputs.reindex(latest.index, fill_value=0) == 1]
    rows = rows.merge(latest.rename(columns={"time": "truth_time"}), "left", on=["key", "row"])
    rows["input"] = [json.loads(text) if isinstance(text, str) else None for text in rows["input"]]
    rows["value"] = rows["value"].astype(float)
    for of in ("", "shadow_"):
        rows[f"{of}answer"] = [_dictionary(text) for text in rows[f"{of}answer"]]
        answers = pd.DataFrame([_columns(answer, task) for answer in rows[f"{of}answer"]], index=rows.index)
        floats = measured(
            answers.reindex(columns=list(COLUMNS_OF[task.kind])), rows["value"].to_numpy(), task
        )
        rows[[f"{of}{name}" for name in floats]] = floats
    return rows[COLUMNS]


def value_of(written: object, task: AnyTask) -> float | None:
    """What is true as a float: a number, see `number`, or the place of a label; None for anything else."""
    if isinstance(task.answers, Labels):
        return task.answers.place(written) if isinstance(written, str) else None
    return number(written)


def written(value: float, task: AnyTask) -> float | str:
    """What is true as it is kept: a number itself, of a label its name."""
    return task.answers.name(value) if isinstance(task.answers, Labels) else value


def number(written: object) -> float | None:
    """A finite number, as a number or as a text of one such as `49.90`; None for anything else."""
    if isinstance(written, bool) or not isinstance(written, int | float | str):
        return None
    if isinstance(written, str) and "_" in written:  # a digit separator of Python alone
        return None
    try:
        value = float(written)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _table(engine: Engine, query: Any) -> pd.DataFrame:
    with engine.connect() as connection:
        found = connection.execute(query)
        return pd.DataFrame(found.all(), columns=list(found.keys()))


def _dictionary(text: object) -> dict[str, Any]:
    """An answer as it was given; empty where there is none, or none with columns."""
    answer = json.loads(text) if isinstance(text, str) else None
    return answer if isinstance(answer, dict) else {}


def _columns(answer: dict[str, Any], task: AnyTask) -> dict[str, Any]:
    if task.kind == "label":
        return answer
    numbers = {name: number(answer.get(name)) for name in ("low", "high")}
    return {"value": number(next(iter(answer.values()), None)), **numbers}
