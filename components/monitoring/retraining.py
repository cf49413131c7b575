"""What can be learned from requests, and why it should be now.

Pure: tables of `truth.answered` in, what `sources/requests.py` reads and reasons out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from components.core.schemas import SERVED_INPUT
from components.model.labels import Labels
from components.sources.requests import COLUMN
from components.tasks import AnyTask


def learnable(answered: pd.DataFrame, task: AnyTask) -> pd.DataFrame:
    """The requests whose answer is known and whose text is kept: columns of `requests.COLUMNS`, and
    `truth_time`; of labels also `requests.COLUMN`. One for each key and row, in their order.

    `answered` is by `truth.answered`.
    """
    known = answered.dropna(subset=["value"]).drop_duplicates(["key", "row"], keep="last")
    texts = [str((record or {}).get(SERVED_INPUT) or "").strip() for record in known["input"]]
    values = [_written(value, task) for value in known["value"]]
    table = known[["key", "row"]].assign(text=texts, value=values, truth_time=known["truth_time"])
    if task.kind == "label":
        table[COLUMN] = task.section.label.column
    return table[table["text"] != ""].sort_values(["key", "row"]).reset_index(drop=True)


def _written(value: float, task: AnyTask) -> str:
    if isinstance(task.answers, Labels):
        return task.answers.name(value)
    return np.format_float_positional(value, trim="-")


def reasons(
    known: pd.DataFrame, alarms: Sequence[dict[str, Any]], learned: datetime | None, rows_min: int
) -> list[str]:
    """Why a version is to be trained anew, a line for each reason; none where nothing says so.

    `known` is by `learnable`, `alarms` are those of the report of `watch` on the champion, `learned` is the
    time (UTC, without a zone) up to which the newest version has learned, None where that is unknown.
    """
    since = learned or datetime.min
    raised = [alarm for alarm in alarms if datetime.fromisoformat(alarm["to"]) > since]
    first = {alarm["feature"]: alarm for alarm in reversed(raised)}
    lines = [f"alarm: {alarm['feature']}, {alarm['detail']}" for alarm in reversed(first.values())]
    fresh = int((known["truth_time"] > since).sum())
    if fresh >= rows_min:
        lines.append(f"{fresh} requests whose answer came true since the newest version learned")
    return lines
