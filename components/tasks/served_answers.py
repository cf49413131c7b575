"""What a version answers to a row: the columns by the kind of its task, and what they are as floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from components.model.answers import Floats
from components.model.labels import Labels
from components.tasks import AnyTask

COLUMNS: dict[str, dict[str, Any]] = {
    "number": {"value": float, "low": float, "high": float},
    "label": {"value": str, "probability": float, "labels": object},
}
"""Of an answer with their types, by the kind of the task: a number with its interval; or the name of the
likeliest label, its probability, and the names of the set that holds the true one, the likeliest first."""
UNKNOWN = -1.0
"""The place of a name that is none of the task's labels: wrong, whatever is true."""


def measured(answers: pd.DataFrame, true: Floats, task: AnyTask) -> pd.DataFrame:
    """Columns `predicted`, `low`, `high`, `held` and `width` of answers, as `Prediction` has them: floats,
    NaN where there is none. `answers` has those of COLUMNS, `true` (n,) is NaN where nothing is known.
    """
    if isinstance(task.answers, Labels):
        return _of_labels(answers, true, task.answers)
    numbers = answers[list(COLUMNS["number"])].astype(float)
    value, low, high = (column.where(np.isfinite(column)) for _, column in numbers.items())
    known = low.notna() & high.notna() & ~np.isnan(true)
    held = ((low <= true) & (true <= high)).astype(float).where(known)
    return pd.DataFrame({"predicted": value, "low": low, "high": high, "held": held, "width": high - low})


def _of_labels(answers: pd.DataFrame, true: Floats, labels: Labels) -> pd.DataFrame:
    sets = [_places(names, labels) if isinstance(names, list) else None for names in answers["labels"]]
    held = [
        np.nan if own is None or np.isnan(place) else place in own
        for own, place in zip(sets, true, strict=True)
    ]
    columns = {
        "predicted": [_place(name, labels) for name in answers["value"]],
        "low": np.nan,
        "high": np.nan,
        "held": held,
        "width": [np.nan if own is None else len(own) for own in sets],
    }
    return pd.DataFrame(columns, index=answers.index).astype(float)


def _places(names: list[Any], labels: Labels) -> list[float]:
    return [_place(name, labels) for name in names]


def _place(name: object, labels: Labels) -> float:
    if not isinstance(name, str):
        return float("nan")
    place = labels.place(name)
    return UNKNOWN if place is None else place
