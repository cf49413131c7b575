"""What came true, joined to what was answered: a row per row of a request in `serve.store`."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import Engine, select

from components.serving.request_store import REQUESTS, TRUTHS

COLUMNS = [
    "time",
    "key",
    "row",
    "input",
    "predicted",
    "low",
    "high",
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


def answered(engine: Engine, since: datetime) -> pd.DataFrame:
    """What was answered since then (UTC, without a zone), oldest first, and what came true of it: COLUMNS.

    `input` is the record as a dictionary, None where only its hash is kept; `predicted` the first column of
    the answer, `low` and `high` those of these names, NaN where that is no number, and likewise for the
    version that shadowed it. `value` is the latest truth that is a number, at `truth_time`; NaN where there
    is none, or where the key stands for several inputs and nobody can tell of which it is. To be called
    inside `request_store.opened`.
    """
    recent = REQUESTS.c.time >= since
    requests = select(REQUESTS).where(recent).order_by(REQUESTS.c.time, REQUESTS.c.id)
    keys = select(REQUESTS.c.key).where(recent)
    truths = select(TRUTHS).where(TRUTHS.c.key.in_(keys)).order_by(TRUTHS.c.time, TRUTHS.c.id)
    rows = _table(engine, requests)
    values = _table(engine, truths)
    values["value"] = [number(json.loads(text)) for text in values["value"]]
    latest = values.dropna(subset=["value"]).groupby(["key", "row"])[["value", "time"]].last()
    inputs = rows.groupby(["key", "row"])["input_sha256"].nunique()
    latest = latest[inputs.reindex(latest.index, fill_value=0) == 1]
    rows = rows.merge(latest.rename(columns={"time": "truth_time"}), "left", on=["key", "row"])
    rows["input"] = [json.loads(text) if isinstance(text, str) else None for text in rows["input"]]
    for of in ("", "shadow_"):
        columns = [f"{of}predicted", f"{of}low", f"{of}high"]
        answers = [_answer(text) for text in rows[f"{of}answer"]]
        rows[columns] = pd.DataFrame(answers, rows.index, columns, dtype=float)
    return rows[COLUMNS]


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


def _answer(text: object) -> tuple[float | None, float | None, float | None]:
    """(the first column of an answer, its low, its high); None for what is no number."""
    answer = json.loads(text) if isinstance(text, str) else None
    if not isinstance(answer, dict):
        return None, None, None
    predicted = next(iter(answer.values()), None)
    return number(predicted), number(answer.get("low")), number(answer.get("high"))
