"""Whether the answers are like those to held-out listings, and how far champion and challenger disagree.

Tables of answers have the columns `predicted`, `low` and `high`, NaN where an answer could not be read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from components.evaluation.resampling import interval, mean
from components.monitoring.looks import Feature, Values
from components.monitoring.two_samples import FISHER, KOLMOGOROV_SMIRNOV, classes, numbers

FAR = 0.2
"""Share of the champion's answer from which the challenger's counts as another one."""


def answer_features(reference: pd.DataFrame, observed: pd.DataFrame) -> list[Feature]:
    """Predicted value, width of the interval as a share of it, and whether the answer could be read."""
    tables = (reference, observed)
    predicted = [table["predicted"].to_numpy(float) for table in tables]
    widths = [relative_width(table) for table in tables]
    readable = [np.where(np.isnan(values), "unreadable", "readable") for values in predicted]
    return [
        Feature("predicted value", *KOLMOGOROV_SMIRNOV, predicted[0], predicted[1], numbers),
        Feature("width of the interval", *KOLMOGOROV_SMIRNOV, widths[0], widths[1], numbers),
        Feature("unreadable answers", *FISHER, readable[0], readable[1], classes),
    ]


def relative_width(answers: pd.DataFrame) -> Values:
    """Width of each interval as a share of the predicted value, (n,); NaN where that is 0 or missing."""
    predicted = answers["predicted"].abs().to_numpy(float)
    width = (answers["high"] - answers["low"]).to_numpy(float)
    return np.divide(width, predicted, out=np.full(len(width), np.nan), where=predicted > 0)


def figures(observed: pd.DataFrame) -> dict[str, Any]:
    """Count of the answers, the unreadable ones, median answer, median relative width, median seconds."""
    unreadable = observed["predicted"].isna()
    return {
        "rows": len(observed),
        "unreadable": int(unreadable.sum()),
        "predicted": _median(observed["predicted"].to_numpy(float)),
        "width": _median(relative_width(observed)),
        "seconds": _median(observed["seconds"].to_numpy(float)),
    }


def disagreement(rows: pd.DataFrame, *, bootstrap: int, seed: int) -> dict[str, Any] | None:
    """How far `shadow_predicted` is from `predicted`: `difference`, the mean of shadow less champion, and
    `far`, the share of rows where it is more than FAR of the champion's answer, each with the ends of its
    95% bootstrap interval. None where no row has both.
    """
    both = rows.dropna(subset=["predicted", "shadow_predicted"])
    if both.empty:
        return None
    differences = (both["shadow_predicted"] - both["predicted"]).to_numpy(float)
    far = (np.abs(differences) > FAR * both["predicted"].abs().to_numpy(float)).astype(float)
    result: dict[str, Any] = {"version": str(both["shadow_version"].iloc[-1]), "rows": len(both)}
    for name, values in (("difference", differences), ("far", far)):
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
