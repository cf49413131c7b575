"""Error measures of price predictions, with bootstrap intervals. Plain numpy, no file is read or written.

An answer that could not be read as a price arrives as NaN. It is neither 0 dollars nor forgotten:

- it is counted in `unparsed` and is a miss in `hit_rate`;
- `mae` and `rmsle` are over the readable rows, for no error in dollars can be made up for a row without
  an answer. Left alone, that would flatter a candidate that falls silent on hard rows, so
- candidates are compared by `rank`: fewer unreadable answers first, then the lower MAE. Falling silent
  on a row can therefore never move a candidate up.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
"""Of every interval, unless another is asked for."""

DRAWS_AT_ONCE = 1 << 20
"""Rows drawn per step of the bootstrap: bounds its memory to some 16 MB whatever the table's size."""


def measures(
    true: Floats, predicted: Floats, *, bootstrap: int, seed: int, hit_dollars: float, hit_share: float
) -> dict[str, Any]:
    """Measures of one candidate on one split; `true` and `predicted` are (n,) dollars, NaN if unreadable.

    `mae` and its 95% percentile bootstrap `mae_low`, `mae_high` (dollars; rows resampled `bootstrap`
    times), `rmsle` (root mean squared error of log(1 + dollars)), `hit_rate` (share of all rows that are
    off by at most `hit_dollars` or `hit_share` of the true price), `n` (all rows), `unparsed`. The first
    four are None where no row is readable. Floats are rounded to four decimals.

    Raises ValueError where the two differ in length, are empty, or a true price is missing.
    """
    _check(true, predicted)
    readable = ~np.isnan(predicted)
    counts = {"n": len(true), "unparsed": int((~readable).sum())}
    if not readable.any():
        empty = dict.fromkeys(("mae", "mae_low", "mae_high", "rmsle"))
        return {**empty, "hit_rate": 0.0, **counts}
    errors = np.abs(predicted - true)[readable]
    low, high = _interval(errors, bootstrap, seed)
    logs = (np.log1p(predicted) - np.log1p(true))[readable]
    hits = errors <= np.maximum(hit_dollars, hit_share * true[readable])
    return {
        "mae": _round(errors.mean()),
        "mae_low": low,
        "mae_high": high,
        "rmsle": _round(np.sqrt(np.mean(logs**2))),
        "hit_rate": _round(hits.sum() / len(true)),
        **counts,
    }


def rank(measured: dict[str, Any]) -> tuple[int, float]:
    """Sort key of a candidate, best first: fewer unreadable answers, then the lower MAE."""
    return measured["unparsed"], float("inf") if measured["mae"] is None else measured["mae"]


def paired_difference(
    true: Floats, a: Floats, b: Floats, *, bootstrap: int, seed: int, confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """MAE of `a` minus MAE of `b` in dollars, with its interval: (mean, low, high); below 0, a is better.

    Rows are resampled in pairs, so what makes a row hard for both cancels out. Only rows that both could
    answer count. Raises ValueError where there is none.
    """
    _check(true, a)
    _check(true, b)
    both = ~(np.isnan(a) | np.isnan(b))
    if not both.any():
        raise ValueError("no row that both candidates could answer")
    differences = (np.abs(a - true) - np.abs(b - true))[both]
    return _round(differences.mean()), *_interval(differences, bootstrap, seed, confidence)


def share_interval(share: float, count: int) -> tuple[float, float]:
    """95% interval of a share of `count` independent rows: Wilson 1927, good for few rows and for 0 and 1."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return _round(middle - half), _round(middle + half)


def _interval(
    values: Floats, bootstrap: int, seed: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron 1979)."""
    generator = np.random.default_rng(seed)
    rows = len(values)
    step = max(1, DRAWS_AT_ONCE // rows)
    means = [
        values[generator.integers(0, rows, (min(step, bootstrap - start), rows))].mean(axis=1)
        for start in range(0, bootstrap, step)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return _round(low), _round(high)


def _check(true: Floats, predicted: Floats) -> None:
    if len(true) != len(predicted):
        raise ValueError(f"{len(true)} true prices but {len(predicted)} predictions")
    if len(true) == 0:
        raise ValueError("no rows to measure")
    if np.isnan(true).any():
        raise ValueError("a true price is missing")


def _round(value: float) -> float:
    return round(float(value), 4)
