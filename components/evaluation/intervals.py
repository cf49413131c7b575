"""What stands beside an answer and how often it is to hold the truth: an interval of numbers, a set of
labels.

How they are calibrated is written in calibration.py for numbers, in label_sets.py for labels; here is what
every stage asks of both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluation import calibration as of_numbers
from components.evaluation import label_sets as of_labels
from components.evaluation.calibration import Calibration
from components.evaluation.label_sets import SetCalibration
from components.evaluation.resampling import Floats, Products
from components.model.labels import Labels
from components.tasks import AnyTask

AnyCalibration = Calibration | SetCalibration


def uncalibrated(task: AnyTask, coverage: float) -> AnyCalibration:
    """What a model itself promises."""
    kind: Any = SetCalibration if task.kind == "label" else Calibration
    return kind.uncalibrated(coverage)  # type: ignore[no-any-return]


def calibrate(
    distribution: Floats, true: Floats, task: AnyTask, *, coverage: float, rows_min: int
) -> AnyCalibration:
    """What makes intervals or sets hold a new true answer with probability `coverage`, from the
    distributions, (n, answers), and true answers, (n,), of rows that the model was not fitted on. Intervals
    are calibrated by bands of at least `rows_min` rows.
    """
    if isinstance(task.answers, Labels):
        return of_labels.calibrate_sets(distribution, true, task.answers, coverage=coverage)
    return of_numbers.calibrate(distribution, true, task.answers, coverage=coverage, rows_min=rows_min)


def columns(
    calibration: AnyCalibration, distribution: Floats, true: Floats, task: AnyTask
) -> dict[str, Floats]:
    """The columns of `Prediction` that tell of them, (n,) each: `low` and `high`, or `held` and `width`."""
    if isinstance(calibration, SetCalibration):
        return of_labels.columns(calibration, distribution, true)
    assert not isinstance(task.answers, Labels)
    low, high = calibration.interval(distribution, task.answers)
    return {"low": low, "high": high}


def held(calibration: AnyCalibration, distribution: Floats, true: Floats, task: AnyTask) -> NDArray[np.bool_]:
    """Whether the interval or set of each row holds what is true, (n,); never where there is no answer."""
    own = columns(calibration, distribution, true, task)
    if "held" in own:
        return np.asarray(np.nan_to_num(own["held"]) == 1)
    return np.asarray((true >= own["low"]) & (true <= own["high"]))


def observed(
    distribution: Floats,
    true: Floats,
    products: Products,
    calibrated_on: NDArray[np.bool_],
    task: AnyTask,
    levels: list[float],
    *,
    coverage: float,
    rows_min: int,
) -> dict[str, Any]:
    """What they really hold on the rows that are not in `calibrated_on`: `levels` and `bands`, see
    `calibration.observed`; the bands of sets are by how many labels they have.
    """
    rows = distribution, true, products, calibrated_on
    if isinstance(task.answers, Labels):
        return of_labels.observed(*rows, task.answers, levels, coverage=coverage)
    return of_numbers.observed(*rows, task.answers, levels, coverage=coverage, rows_min=rows_min)
