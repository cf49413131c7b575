"""Sets of labels that hold the truth as often as they promise: split conformal classification.

The set of a row has every label whose probability reaches a threshold, and always the likeliest. The
threshold is the quantile of what rows that no model was fitted on gave to their true label (least ambiguous
sets, Sadinle, Lei and Wasserman 2019, arXiv:1609.00451): for rows drawn from the same source the share of
sets that hold the truth is then at least `coverage`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluation.metrics import share_interval
from components.evaluation.resampling import Floats, Products
from components.model.labels import Labels

STEP = 1e-6
"""Thresholds are rounded down to this, so that two machines write the same file and no tie is lost."""


@dataclass(frozen=True)
class SetCalibration:
    """From which probability on a label belongs to the set of a row."""

    coverage: float
    """Probability with which a set is to hold the true label."""
    threshold: float

    @classmethod
    def uncalibrated(cls, coverage: float) -> SetCalibration:
        """The likeliest label alone, whatever that holds."""
        return cls(coverage, 1.0)

    def sets(self, distribution: Floats) -> NDArray[np.bool_]:
        """Which labels belong to the set of each row, (n, labels); none for a row of NaN."""
        known = np.nan_to_num(distribution)
        likeliest = (known == known.max(axis=1, keepdims=True)) & (known > 0)
        return likeliest | ((known >= self.threshold) & (known > 0))


def calibrate_sets(distribution: Floats, true: Floats, answers: Labels, *, coverage: float) -> SetCalibration:
    """The calibration by which a set holds a new true label with probability `coverage`.

    `distribution` (n, labels) and `true` (n,) are rows that the model was not fitted on; rows without an
    answer (NaN) are left out. Of m rows the threshold is the probability of the true label that all but the
    ceil((m + 1) * coverage) best reach; 0, every label, where there are too few.
    """
    answered = ~np.isnan(distribution[:, 0])
    if not answered.any():
        return SetCalibration.uncalibrated(coverage)
    own = given_to(distribution[answered], true[answered], answers)
    place = ceil((len(own) + 1) * coverage)
    threshold = 0.0 if place > len(own) else float(np.sort(own)[::-1][place - 1])
    return SetCalibration(coverage, round(floor(threshold / STEP) * STEP, 6))


def given_to(distribution: Floats, true: Floats, answers: Labels) -> Floats:
    """The probability that each row gives to its true label, (n,)."""
    return np.asarray(distribution[np.arange(len(true)), answers.places(true)], dtype=np.float64)


def columns(calibration: SetCalibration, distribution: Floats, true: Floats) -> dict[str, Floats]:
    """`held`, 1 where the set of a row holds the true label and 0 where not, and `width`, how many labels it
    has, (n,) each; NaN where there is no answer.
    """
    sets, rows = calibration.sets(distribution), np.arange(len(true))
    silent = np.isnan(distribution[:, 0])
    held = sets[rows, true.astype(int)].astype(float)
    return {
        "held": np.where(silent, np.nan, held),
        "width": np.where(silent, np.nan, sets.sum(axis=1).astype(float)),
    }


def observed(
    distribution: Floats,
    true: Floats,
    products: Products,
    calibrated_on: NDArray[np.bool_],
    answers: Labels,
    levels: list[float],
    *,
    coverage: float,
) -> dict[str, Any]:
    """What sets really hold, on the rows that are not in `calibrated_on`, a mask of shape (n,).

    `levels`: for each nominal level the share of true labels inside, `raw` of the fewest likeliest labels
    whose own probabilities reach the level, and `calibrated`. `bands`: for the calibrated sets of level
    `coverage`, by how many labels they have, the share that holds the truth with its 95% interval over
    `products`, (n,).
    """
    measured = ~calibrated_on & ~np.isnan(distribution[:, 0])
    if not measured.any():
        return {"levels": [], "bands": []}
    own, truth = distribution[measured], true[measured]
    fitting = distribution[calibrated_on], true[calibrated_on], answers

    def share(level: float) -> float:
        calibrated = calibrate_sets(*fitting, coverage=level)
        return round(float(columns(calibrated, own, truth)["held"].mean()), 4)

    reached = _reached(own, truth)
    shares = [
        {"nominal": level, "raw": round(float((reached < level).mean()), 4), "calibrated": share(level)}
        for level in levels
    ]
    found = columns(calibrate_sets(*fitting, coverage=coverage), own, truth)
    bands = [
        _band(int(size), found["held"][rows], products[measured][rows])
        for size in np.unique(found["width"])
        if (rows := found["width"] == size).any()
    ]
    return {"levels": shares, "bands": bands}


def _reached(distribution: Floats, true: Floats) -> Floats:
    """The probability of all labels that are likelier than the true one, (n,)."""
    own = distribution[np.arange(len(true)), true.astype(int)]
    return np.asarray(np.where(distribution > own[:, None], distribution, 0.0).sum(axis=1))


def _band(size: int, held: Floats, products: Products) -> dict[str, Any]:
    low, high = share_interval(held == 1, products)
    return {
        "band": f"{size} label" + ("s" if size > 1 else ""),
        "n": len(held),
        "coverage": round(float(held.mean()), 4),
        "coverage_low": low,
        "coverage_high": high,
        "width": float(size),
    }
