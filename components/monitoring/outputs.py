"""Whether the answers are like those to held-out listings, and how far champion and challenger disagree.

Tables of answers have the columns `predicted`, `low`, `high` and `width`, NaN where an answer could not be
read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from components.evaluation.resampling import interval, mean
from components.model.labels import Labels
from components.monitoring.looks import Feature, Values
from components.monitoring.two_samples import FISHER, KOLMOGOROV_SMIRNOV, classes, numbers
from components.tasks import AnyTask
from components.tasks.served_answers import UNKNOWN

NO_LABEL, OTHER_LABEL = "(unreadable)", "(none of the labels)"
FAR = 0.2
"""Share of the champion's answer from which the challenger's counts as another one."""


def answer_features(reference: pd.DataFrame, observed: pd.DataFrame, task: AnyTask) -> list[Feature]:
    """Predicted value, width of the interval as a share of it or size of the set, and whether the answer
    could be read.
    """
    tables = (reference, observed)
    predicted = [table["predicted"].to_numpy(float) for table in tables]
    readable = [np.where(np.isnan(values), "unreadable", "readable") for values in predicted]
    unreadable = Feature("unreadable answers", *FISHER, readable[0], readable[1], classes)
    if isinstance(task.answers, Labels):
        names = [names_of(values, task.answers) for values in predicted]
        sizes = [np.array([f"{size:.0f} labels" for size in table["width"].dropna()]) for table in tables]
        return [
            Feature("predicted label", *FISHER, names[0], names[1], classes),
            Feature("size of the set", *FISHER, sizes[0], sizes[1], classes),
            unreadable,
        ]
    widths = [relative_width(table) for table in tables]
    return [
        Feature("predicted value", *KOLMOGOROV_SMIRNOV, predicted[0], predicted[1], numbers),
        Feature("width of the interval", *KOLMOGOROV_SMIRNOV, widths[0], widths[1], numbers),
        unreadable,
    ]


def names_of(predicted: Values, labels: Labels) -> Values:
    """The names of predicted labels, (n,), strings."""
    return np.array([_name(place, labels) for place in predicted], dtype=str)


def _name(place: float, labels: Labels) -> str:
    if np.isnan(place):
        return NO_LABEL
    return OTHER_LABEL if place == UNKNOWN else labels.name(place)


def relative_width(answers: pd.DataFrame) -> Values:
    """Width of each interval as a share of the predicted value, (n,); NaN where that is 0 or missing."""
    predicted = answers["predicted"].abs().to_numpy(float)
    width = (answers["high"] - answers["low"]).to_numpy(float)
    return np.divide(width, predicted, out=np.full(len(width), np.nan), where=predicted > 0)


def figures(observed: pd.DataFrame, task: AnyTask) -> dict[str, Any]:
    """Count of the answers, the unreadable ones, median answer, median relative width, median seconds; where
    labels are answered the commonest one and the median size of the sets.
    """
    predicted, width = observed["predicted"].to_numpy(float), observed["width"].to_numpy(float)
    if isinstance(task.answers, Labels):
        common = pd.Series(names_of(predicted[~np.isnan(predicted)], task.answers), dtype=str).mode()
        shown: dict[str, Any] = {"predicted": next(iter(common), None), "width": _median(width)}
    else:
        shown = {"predicted": _median(predicted), "width": _median(relative_width(observed))}
    return {
        "rows": len(observed),
        "unreadable": int(np.isnan(predicted).sum()),
        **shown,
        "seconds": _median(observed["seconds"].to_numpy(float)),
    }


def disagreement(rows: pd.DataFrame, task: AnyTask, *, bootstrap: int, seed: int) -> dict[str, Any] | None:
    """How far `shadow_predicted` is from `predicted`: `difference`, the mean of shadow less champion, and
    `far`, the share of rows where it is more than FAR of the champion's answer, each with the ends of its
    95% bootstrap interval; of labels only `far`, the share of rows with another one. None where no row has
    both.
    """
    both = rows.dropna(subset=["predicted", "shadow_predicted"])
    if both.empty:
        return None
    differences = (both["shadow_predicted"] - both["predicted"]).to_numpy(float)
    measures = {
        "difference": differences,
        "far": (np.abs(differences) > FAR * both["predicted"].abs().to_numpy(float)).astype(float),
    }
    if task.kind == "label":
        measures = {"far": (differences != 0).astype(float)}
    result: dict[str, Any] = {"version": str(both["shadow_version"].iloc[-1]), "rows": len(both)}
    for name, values in measures.items():
        ends = interval(
            lambda counts, values=values: mean(values, counts),  # type: ignore[misc]
            np.arange(len(values)),
            bootstrap=bootstrap,
            seed=seed,
        )
        result |= {name: round(float(values.mean()), 4)}
        result |= {f"{name}_low": round(ends[0], 4), f"{name}_high": round(ends[1], 4)}
    return result


def _median(values: Values) -> float | None:
    known = values[~np.isnan(values)]
    return round(float(np.median(known)), 4) if len(known) else None
