"""Error measures of predicted numbers, with intervals over products. Plain numpy, no file is read or written.

An answer that could not be read as a number arrives as NaN. It is neither 0 nor forgotten:

- it is counted in `unparsed` and is a miss in `hit_rate`;
- all other metrics are over the readable rows, for no error can be made up for a row without
  an answer. Left alone, that would flatter a candidate that falls silent on hard rows, so
- candidates are compared by `rank`: fewer unreadable answers first, then the lower mean loss. Falling silent
  on a row can therefore never move a candidate up.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluation.resampling import (
    CONFIDENCE,
    Floats,
    Products,
    Statistic,
    contributions,
    interval,
    mean,
    median,
    numbered,
)


def error_metrics(
    true: Floats,
    predicted: Floats,
    products: Products,
    *,
    bootstrap: int,
    seed: int,
    hit_error: float,
    hit_share: float,
) -> dict[str, Any]:
    """Metrics of a candidate on a split; `true` and `predicted` are (n,), NaN if unreadable.

    `loss` and `median_error` (mean and median absolute error), `rmsle` (root mean squared error of log(1 +
    number), None where one is below 0), `r2` (1 - residual / total sum of squares), `hit_rate` (share of
    all rows that are off by at most `hit_error` or `hit_share` of the true number); each with the ends
    `_low` and `_high` of its 95% percentile bootstrap interval (`products`, (n,), resampled `bootstrap`
    times). `n` (all rows), `unparsed`. The first four are None where no row is readable, `r2` also where
    all numbers are the same. Floats are rounded to four decimals.

    Raises ValueError where the lengths differ, there is no row, or a true number is missing.
    """
    _check(true, predicted)
    _check(true, products)
    readable = ~np.isnan(predicted)
    number, errors = true[readable], np.abs(predicted - true)[readable]
    with np.errstate(invalid="ignore"):
        logs = (np.log1p(predicted) - np.log1p(true))[readable]
    hits = np.zeros(len(true))
    hits[readable] = errors <= np.maximum(hit_error, hit_share * np.abs(number))
    statistics: dict[str, tuple[Products, Statistic]] = {
        "loss": (products[readable], lambda counts: mean(errors, counts)),
        "median_error": (products[readable], lambda counts: median(errors, counts)),
        "rmsle": (products[readable], lambda counts: np.sqrt(mean(logs**2, counts))),
        "r2": (products[readable], lambda counts: _r2(number, errors, counts)),
        "hit_rate": (products, lambda counts: mean(hits, counts)),
    }
    figures: dict[str, Any] = {}
    for name, (own, statistic) in statistics.items():
        value = float(statistic(np.ones((1, len(own))))[0]) if len(own) else np.nan
        missing = np.isnan(value)
        ends = (np.nan,) * 2 if missing else interval(statistic, own, bootstrap=bootstrap, seed=seed)
        named = zip((name, f"{name}_low", f"{name}_high"), (value, *ends), strict=True)
        figures |= {key: None if np.isnan(figure) else _round(figure) for key, figure in named}
    return {**figures, "n": len(true), "unparsed": int((~readable).sum())}


def no_metrics() -> dict[str, Any]:
    """The metrics of a candidate on a split in which it answered no row."""
    names = ("loss", "median_error", "rmsle", "r2", "hit_rate")
    return {f"{name}{end}": None for name in names for end in ("", "_low", "_high")} | {"n": 0, "unparsed": 0}


def rank(measured: dict[str, Any]) -> tuple[int, float]:
    """Sort key of a candidate, best first: fewer unreadable answers, then the lower mean loss."""
    return measured["unparsed"], float("inf") if measured["loss"] is None else measured["loss"]


def paired_difference(
    a: Floats,
    b: Floats,
    products: Products,
    *,
    bootstrap: int,
    seed: int,
    confidence: float = CONFIDENCE,
) -> tuple[float, float, float]:
    """Mean of the losses `a` minus that of `b`, (n,) each, NaN where a row could not be answered, with its
    interval: (mean, low, high), in the unit of the loss; below 0, a is better.

    Rows are compared in pairs, so what makes a row hard for both cancels out, and resampled by `products`,
    (n,). Only rows that both could answer count. Raises ValueError where there is none or the
    lengths differ.
    """
    if not len(a) == len(b) == len(products):
        raise ValueError(f"{len(a)} and {len(b)} losses for {len(products)} rows")
    both = ~(np.isnan(a) | np.isnan(b))
    if not both.any():
        raise ValueError("no row that both candidates could answer")
    differences = (a - b)[both]
    ends = interval(
        lambda counts: mean(differences, counts),
        products[both],
        bootstrap=bootstrap,
        seed=seed,
        confidence=confidence,
    )
    return _round(differences.mean()), _round(ends[0]), _round(ends[1])


def share_interval(inside: NDArray[np.bool_], products: Products) -> tuple[float, float]:
    """95% interval of the share of rows that are `inside`, (n,): Wilson 1927, good for few rows and for a
    share of 0 or 1.

    Rows of one product count for as many independent rows as leave the share its standard error by products
    (the effective sample size, Kish 1965), and for one where the share has none.
    """
    number, share = numbered(products), float(inside.mean())
    sums, sizes = contributions(inside.astype(np.float64), number)
    squares = float(((sums - share * sizes) ** 2).sum())
    count = share * (1 - share) * len(inside) ** 2 / squares if squares else float(len(sizes))
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return _round(middle - half), _round(middle + half)


def _r2(true: Floats, errors: Floats, counts: Floats) -> Floats:
    """Coefficient of determination of each draw, (draws,); NaN where all of its true numbers are the same."""
    total = (counts * (true - mean(true, counts)[:, None]) ** 2).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, 1 - (counts * errors**2).sum(axis=-1) / total, np.nan)


def _check(true: Floats, column: NDArray[Any]) -> None:
    if len(true) != len(column):
        raise ValueError(f"{len(true)} true numbers but {len(column)} predictions")
    if len(true) == 0:
        raise ValueError("no rows to measure")
    if np.isnan(true).any():
        raise ValueError("a true number is missing")


def _round(value: float) -> float:
    return round(float(value), 4)
