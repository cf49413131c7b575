"""Error measures of price predictions, with bootstrap intervals. Plain numpy, no file is read or written.

An answer that could not be read as a price arrives as NaN. It is neither 0 dollars nor forgotten:

- it is counted in `unparsed` and is a miss in `hit_rate`;
- all other metrics are over the readable rows, for no error in dollars can be made up for a row without
  an answer. Left alone, that would flatter a candidate that falls silent on hard rows, so
- candidates are compared by `rank`: fewer unreadable answers first, then the lower MAE. Falling silent
  on a row can therefore never move a candidate up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Statistic = Callable[[NDArray[np.int64]], Any]
"""Row numbers of shape (..., rows) to values of shape (...)."""

CONFIDENCE = 0.95
"""Of every interval, unless another is given."""

DRAWS_AT_ONCE = 1 << 20
"""Rows samples per step of the bootstrap: bounds its memory to some 16 MB whatever the table's size."""


def error_metrics(
    true: Floats, predicted: Floats, *, bootstrap: int, seed: int, hit_dollars: float, hit_share: float
) -> dict[str, Any]:
    """Metrics of a candidate on a split; `true` and `predicted` are (n,) dollars, NaN if unreadable.

    `mae` and `median_error` (mean and median absolute error, dollars), `rmsle` (root mean squared error of
    log(1 + dollars)), `r2` (1 - residual / total sum of squares, of dollars), `hit_rate` (share of all rows
    that are off by at most `hit_dollars` or `hit_share` of the true price); each with the ends `_low` and
    `_high` of its 95% percentile bootstrap interval (rows resampled `bootstrap` times). `n` (all rows),
    `unparsed`. The first four are None where no row is readable, `r2` also where all prices are the same.
    Floats are rounded to four decimals.

    Raises ValueError where the two differ in length, are empty, or a true price is missing.
    """
    _check(true, predicted)
    readable = ~np.isnan(predicted)
    price, errors = true[readable], np.abs(predicted - true)[readable]
    logs = (np.log1p(predicted) - np.log1p(true))[readable]
    hits = np.zeros(len(true))
    hits[readable] = errors <= np.maximum(hit_dollars, hit_share * price)
    statistics: dict[str, tuple[int, Statistic]] = {
        "mae": (len(errors), lambda rows: errors[rows].mean(axis=-1)),
        "median_error": (len(errors), lambda rows: np.median(errors[rows], axis=-1)),
        "rmsle": (len(errors), lambda rows: np.sqrt((logs**2)[rows].mean(axis=-1))),
        "r2": (len(errors), lambda rows: _r2(price[rows], errors[rows])),
        "hit_rate": (len(true), lambda rows: hits[rows].mean(axis=-1)),
    }
    figures: dict[str, Any] = {}
    for name, (count, statistic) in statistics.items():
        value = float(statistic(np.arange(count))) if count else np.nan
        ends = (np.nan, np.nan) if np.isnan(value) else _interval(statistic, count, bootstrap, seed)
        named = zip((name, f"{name}_low", f"{name}_high"), (value, *ends), strict=True)
        figures |= {key: None if np.isnan(figure) else _round(figure) for key, figure in named}
    return {**figures, "n": len(true), "unparsed": int((~readable).sum())}


def no_metrics() -> dict[str, Any]:
    """The metrics of a candidate on a split in which it answered no row."""
    names = ("mae", "median_error", "rmsle", "r2", "hit_rate")
    return {f"{name}{end}": None for name in names for end in ("", "_low", "_high")} | {"n": 0, "unparsed": 0}


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
    ends = _interval(lambda rows: differences[rows].mean(axis=-1), both.sum(), bootstrap, seed, confidence)
    return _round(differences.mean()), _round(ends[0]), _round(ends[1])


def share_interval(share: float, count: int) -> tuple[float, float]:
    """95% interval of a share of `count` independent rows: Wilson 1927, good for few rows and for 0 and 1."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return _round(middle - half), _round(middle + half)


def _interval(
    statistic: Statistic,
    count: int,
    bootstrap: int,
    seed: int,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Percentile bootstrap interval (Efron 1979) of a statistic of `count` rows; draws for which it does not
    exist (NaN) do not count.
    """
    generator = np.random.default_rng(seed)
    step = max(1, DRAWS_AT_ONCE // count)
    samples = [
        statistic(generator.integers(0, count, (min(step, bootstrap - start), count)))
        for start in range(0, bootstrap, step)
    ]
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(np.concatenate(samples), [tail, 1 - tail])
    return float(low), float(high)


def _r2(true: Floats, errors: Floats) -> Floats:
    """Coefficient of determination over the last axis; NaN where all true prices are the same."""
    total = ((true - true.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, 1 - (errors**2).sum(axis=-1) / total, np.nan)


def _check(true: Floats, predicted: Floats) -> None:
    if len(true) != len(predicted):
        raise ValueError(f"{len(true)} true prices but {len(predicted)} predictions")
    if len(true) == 0:
        raise ValueError("no rows to measure")
    if np.isnan(true).any():
        raise ValueError("a true price is missing")


def _round(value: float) -> float:
    return round(float(value), 4)
