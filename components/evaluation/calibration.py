"""Intervals that hold what they promise: conformal calibration of a distribution, by band of the prediction.

A model's own 80% interval may hold 90% of the true numbers, or 60%. On rows that no model was fitted on,
each true number shows how far into the tails an interval has to reach to hold it. The quantile of these
distances is how far an interval has to go (distributional conformal prediction, Chernozhukov, Wüthrich
and Zhu 2021, arXiv:1909.07889), by band of the predicted number, since a model may be too bold about low
ones and too timid about high ones (Mondrian conformal prediction, Vovk 2013, arXiv:1209.2673).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluation.metrics import share_interval
from components.evaluation.resampling import Floats, Products
from components.model.grid import Grid

STEP = 1e-4
"""Reaches are rounded up to this, so that two machines write the same file and no tie is lost."""


@dataclass(frozen=True)
class Calibration:
    """How far from the median an interval goes, by band of the predicted number."""

    coverage: float
    """Probability with which the interval is to hold a number."""
    edges: list[float]
    """Numbers between the bands, ascending; a prediction on an edge belongs to the band above."""
    reach: list[float]
    """For each band, probability on either side of the median: 0.4 is the model's own 80% interval."""

    @classmethod
    def uncalibrated(cls, coverage: float) -> Calibration:
        """The model's own central interval, whatever it holds."""
        return cls(coverage, [], [coverage / 2])

    def interval(self, distribution: Floats, grid: Grid) -> tuple[Floats, Floats]:
        """Low and high end, (n,) each, for distributions of shape (n, numbers); NaN for NaN."""
        reach = np.asarray(self.reach)[band(self.edges, grid.median(distribution))]
        return grid.quantile(distribution, 0.5 - reach), grid.quantile(distribution, 0.5 + reach)


def calibrate(
    distribution: Floats, true: Floats, grid: Grid, *, coverage: float, rows_min: int
) -> Calibration:
    """The calibration by which intervals hold a new true number with probability `coverage`.

    `distribution` (n, numbers) and `true` (n,) are rows that the model was not fitted on; rows
    without an answer (NaN) are left out. There are as many bands of about equal row count as `rows_min`
    rows for each allow, at least one. In a band of m rows the reach is the ceil((m + 1) * coverage)-th
    smallest distance, which makes the coverage at least as large as wanted for rows drawn from the same
    source; on other m rows it varies by about sqrt(coverage * (1 - coverage) / m). Where no row has an
    answer there is nothing to calibrate.
    """
    answered = ~np.isnan(distribution[:, 0])
    if not answered.any():
        return Calibration.uncalibrated(coverage)
    distribution, true = distribution[answered], true[answered]
    predicted = grid.median(distribution)
    bands = max(1, len(true) // rows_min)
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, bands + 1)[1:-1])).tolist()
    numbers, distance = band(edges, predicted), distances(distribution, true, grid)
    reach = [_quantile(distance[numbers == number], coverage) for number in range(len(edges) + 1)]
    return Calibration(coverage, edges, reach)


def band(edges: list[float], predicted: Floats) -> np.ndarray:
    """Which band each prediction is in, shape (n,)."""
    return np.searchsorted(edges, predicted, side="right")


def distances(distribution: Floats, true: Floats, grid: Grid) -> Floats:
    """How far from 0.5 the levels of an interval have to go to hold each true number, shape (n,).

    With F the cumulative distribution over the steps of the grid, the quantile of level q is at most y where
    F(floor(y)) >= q, and at least y where F(ceil(y) - 1) < q.
    """
    cumulative = np.hstack([np.zeros((len(true), 1)), np.cumsum(distribution, axis=1, dtype=np.float64)])
    rows, last, steps = np.arange(len(true)), distribution.shape[1], grid.steps(true)
    to_low = 0.5 - cumulative[rows, np.clip(np.floor(steps).astype(int) + 1, 0, last)]
    to_high = cumulative[rows, np.clip(np.ceil(steps).astype(int), 0, last)] - 0.5
    return np.maximum(to_low, to_high)


def observed(
    distribution: Floats,
    true: Floats,
    products: Products,
    calibrated_on: NDArray[np.bool_],
    grid: Grid,
    levels: list[float],
    *,
    coverage: float,
    rows_min: int,
) -> dict[str, Any]:
    """What intervals really hold, on the rows that are not in `calibrated_on`, a mask of shape (n,).

    `levels`: for each nominal level the share of true numbers inside, as the model gives its intervals
    (`raw`) and `calibrated`. `bands`: for the calibrated interval of level `coverage`, by band of the
    predicted number, the share inside with its 95% interval over `products`, (n,), and the mean width.
    """
    fitting, measured = distribution[calibrated_on], ~calibrated_on & ~np.isnan(distribution[:, 0])
    fit = partial(calibrate, fitting, true[calibrated_on], grid, rows_min=rows_min)

    def held(calibration: Calibration, rows: NDArray[np.bool_]) -> dict[str, Any]:
        return _coverage(calibration, distribution[rows], grid, true[rows], products[rows])

    shares = [
        {
            "nominal": level,
            "raw": held(Calibration.uncalibrated(level), measured)["coverage"],
            "calibrated": held(fit(coverage=level), measured)["coverage"],
        }
        for level in levels
        if measured.any()
    ]
    calibration = fit(coverage=coverage)
    numbers = band(calibration.edges, grid.median(distribution))
    bands = [
        {"band": name, **held(calibration, rows)}
        for number, name in enumerate(_names(calibration.edges))
        if (rows := measured & (numbers == number)).any()
    ]
    return {"levels": shares, "bands": bands}


def _coverage(
    calibration: Calibration, distribution: Floats, grid: Grid, true: Floats, products: Products
) -> dict[str, Any]:
    low, high = calibration.interval(distribution, grid)
    inside = (true >= low) & (true <= high)
    ends = share_interval(inside, products)
    return {
        "n": len(true),
        "coverage": round(float(inside.mean()), 4),
        "coverage_low": ends[0],
        "coverage_high": ends[1],
        "width": round(float((high - low).mean()), 4),
    }


def _names(edges: list[float]) -> list[str]:
    if not edges:
        return ["all"]
    inner = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return [f"below {edges[0]:g}", *inner, f"{edges[-1]:g} and more"]


def _quantile(distance: Floats, coverage: float) -> float:
    """The ceil((m + 1) * coverage)-th smallest of m distances, the largest where there are too few."""
    place = min(ceil((len(distance) + 1) * coverage), len(distance)) - 1
    return min(round(ceil(np.sort(distance)[place] / STEP) * STEP, 4), 0.5)
