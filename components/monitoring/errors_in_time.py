"""How right the answers were, once the truth is known: the loss in time, and what the interval really holds.

Tables have a row for each answer whose truth is known, the oldest truth first, with the columns `predicted`,
`low`, `high`, `held`, `value`, and `input`: rows of one input are not independent.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from math import ceil, floor
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from components.evaluation.metrics import share_interval
from components.evaluation.resampling import Floats, interval, mean
from components.monitoring.looks import Feature, Shift, Values
from components.monitoring.two_samples import FISHER, KOLMOGOROV_SMIRNOV, classes, numbers
from components.tasks import AnyTask

BINOMIAL = ("binomial test", "share that it holds, less what it is to hold")


def truth_features(
    reference: pd.DataFrame, observed: pd.DataFrame, coverage: float, tolerance: float, task: AnyTask
) -> list[Feature]:
    """Where the truth lies between the ends of its interval, or whether a label was right, and whether the
    interval or set holds it at all.

    The reference are held-out listings; of the interval or set it is asked whether it holds the truth with
    the probability `coverage`, give or take `tolerance`.
    """
    inside = _inside(observed).astype(float)
    within = partial(_share, coverage=coverage, tolerance=tolerance)
    if task.kind == "label":
        right = [
            np.where(table["predicted"] == table["value"], "right", "wrong")
            for table in (reference, observed)
        ]
        return [
            Feature("wrong labels", *FISHER, right[0], right[1], classes),
            Feature("coverage of the set", *BINOMIAL, np.array([]), inside, within),
        ]
    place = [_place(table) for table in (reference, observed)]
    return [
        Feature("error in widths of the interval", *KOLMOGOROV_SMIRNOV, place[0], place[1], numbers),
        Feature("coverage of the interval", *BINOMIAL, np.array([]), inside, within),
    ]


def periods(
    rows: pd.DataFrame, count: int, rows_min: int, task: AnyTask, *, bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """Loss and coverage in at most `count` periods of equal row count, at least `rows_min` each; the last
    time of a truth in each, and 95% intervals over inputs.
    """
    number = max(min(count, len(rows) // rows_min), 1)
    result = []
    for places in np.array_split(np.arange(len(rows)), number):
        if len(places):
            part = rows.iloc[places]
            until = {"until": part["truth_time"].max().isoformat(timespec="seconds")}
            result.append(until | _figures(part, task, bootstrap=bootstrap, seed=seed))
    return result


def by_category(
    rows: pd.DataFrame, names: Values, task: AnyTask, *, bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """The same for the rows of each category, whose names are (n,), the largest first."""
    parts = sorted(rows.groupby(names), key=lambda part: -len(part[1]))
    return [
        {"name": str(name)} | _figures(part, task, bootstrap=bootstrap, seed=seed) for name, part in parts
    ]


def by_band(
    rows: pd.DataFrame, reference: Floats, count: int, task: AnyTask, *, bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """The same in bands of the predicted value, which hold equally many of the values `reference`, (m,); the
    lowest first, and without unreadable answers.
    """
    rows, known = rows.dropna(subset=["predicted"]), reference[~np.isnan(reference)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, count + 1)[1:-1])) if len(known) else np.array([])
    names = [f"below {edge:.4g}" for edge in edges[:1]]
    names += [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    names += [f"{edge:.4g} and more" for edge in edges[-1:]] or ["all values"]
    numbers = np.searchsorted(edges, rows["predicted"].to_numpy(float), side="right")
    return [
        {"name": names[number]} | _figures(part, task, bootstrap=bootstrap, seed=seed)
        for number, part in rows.groupby(numbers)
    ]


# --- the interval made right again ---------------------------------------------------------------------


def recalibrated(rows: pd.DataFrame, coverage: float) -> dict[str, Any] | None:
    """Factors by which the lower and the upper arm of the interval are to be multiplied so that it holds the
    truth again, fitted on the older half of `rows` and tried on the later half. None for fewer than 20 rows.

    Conformal prediction of the arms (Romano et al. 2019, arXiv:1905.03222, asymmetric): the place of the
    truth is counted in lengths of the arm that it lies on, negative below the predicted value; the ends are
    the order statistics that leave (1 - coverage) / 2 of new places outside on either side. A factor of the
    upper arm below 0 says that the interval is to end below the predicted value.
    """
    rows = rows[(rows["low"] < rows["predicted"]) & (rows["predicted"] < rows["high"])]
    half = len(rows) // 2
    if half < 10:
        return None
    older, later = rows.iloc[:half], rows.iloc[half:]
    places, tail = np.sort(_arms(older)), (1 - coverage) / 2
    lower = float(places[max(floor((half + 1) * tail), 1) - 1])
    upper = float(places[min(ceil((half + 1) * (1 - tail)), half) - 1])
    mended = later.assign(low=_end(later, lower), high=_end(later, upper))
    mended["held"] = mended["value"].between(mended["low"], mended["high"]).astype(float)
    result: dict[str, Any] = {"lower": round(-lower, 4), "upper": round(upper, 4), "fitted_on": half}
    for name, table in (("before", later), ("after", mended)):
        inside = _inside(table)
        ends = share_interval(inside, _inputs(table))
        width = float((table["high"] - table["low"]).mean())
        result[name] = {"rows": len(table), "coverage": round(float(inside.mean()), 4), "low": ends[0]}
        result[name] |= {"high": ends[1], "width": round(width, 4)}
    return result


def _arms(rows: pd.DataFrame) -> Floats:
    off = (rows["value"] - rows["predicted"]).to_numpy(float)
    up, down = ((rows["high"] - rows["predicted"]), (rows["predicted"] - rows["low"]))
    return np.where(off >= 0, off / up.to_numpy(float), off / down.to_numpy(float))


def _end(rows: pd.DataFrame, place: float) -> pd.Series:
    arm = rows["high"] - rows["predicted"] if place >= 0 else rows["predicted"] - rows["low"]
    return rows["predicted"] + place * arm


# --- parts ---------------------------------------------------------------------------------------------


def _figures(rows: pd.DataFrame, task: AnyTask, *, bootstrap: int, seed: int) -> dict[str, Any]:
    """`rows`, `loss` and `coverage` with the ends of their 95% intervals; None where nothing is known."""
    own = task.answers.loss(rows["value"].to_numpy(float), rows["predicted"].to_numpy(float))
    inputs, readable = _inputs(rows), ~np.isnan(own)
    result: dict[str, Any] = {"rows": len(rows)}
    mean_loss = _rounded(list(_mean(own[readable], inputs[readable], bootstrap, seed)))
    inside = _inside(rows)
    share = _rounded([float(inside.mean()), *share_interval(inside, inputs)])
    for name, values in (("loss", mean_loss), ("coverage", share)):
        result |= dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
    return result


def _mean(values: Floats, inputs: Values, bootstrap: int, seed: int) -> Iterator[float]:
    if not len(values):
        yield from (float("nan"),) * 3
        return
    yield float(values.mean())
    yield from interval(lambda counts: mean(values, counts), inputs, bootstrap=bootstrap, seed=seed)


def _rounded(values: list[float]) -> list[float | None]:
    return [None if np.isnan(value) else round(value, 4) for value in values]


def _inputs(rows: pd.DataFrame) -> Values:
    return pd.factorize(rows["input"].astype(str).to_numpy())[0]


def _place(rows: pd.DataFrame) -> Floats:
    width = (rows["high"] - rows["low"]).to_numpy(float)
    off = (rows["value"] - rows["predicted"]).to_numpy(float)
    return np.divide(off, width, out=np.full(len(off), np.nan), where=width > 0)


def _inside(rows: pd.DataFrame) -> Values:
    return rows["held"].to_numpy(float) == 1


def _share(_reference: Values, observed: Values, *, coverage: float, tolerance: float) -> Shift:
    """Binomial test of a share against coverage - tolerance to coverage + tolerance: twice the smaller tail
    at the nearer end.
    """
    rows, inside = len(observed), int(observed.sum())
    low, high = max(coverage - tolerance, 0.0), min(coverage + tolerance, 1.0)
    tails = stats.binom.cdf(inside, rows, low), stats.binom.sf(inside - 1, rows, high)
    share = inside / max(rows, 1)
    p = float(min(2 * min(tails), 1.0)) if rows else 1.0
    return Shift(p, share - coverage, f"{share:.0%} held, {coverage:.0%} promised")
