"""Measures of predicted labels, with intervals over products. Plain numpy, no file is read or written.

An answer that is no label arrives as NaN. It is counted in `unparsed`, and for every measure but the mean
loss, which is over the readable rows as that of numbers is (metrics.py), it is a wrong answer: never a right
one, and never left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.evaluation.resampling import Floats, Statistic, interval, mean
from components.model.labels import Labels

NAMES = ("loss", "macro_f1", "mcc", "log_loss")


def label_metrics(rows: pd.DataFrame, labels: Labels, *, bootstrap: int, seed: int) -> dict[str, Any]:
    """Metrics of a candidate on a split, from rows of `Prediction` with the column `product`.

    `loss` (share of the readable answers that are wrong), `macro_f1` (mean over the labels there are of 2 P R
    / (P + R), with precision P and recall R), `mcc` (multiclass Matthews correlation, Gorodkin 2004, 0 where
    it is not defined), `log_loss` (mean minus log probability of the true label, None where none was given);
    each with the ends `_low` and `_high` of its 95% percentile bootstrap interval over products. `n`,
    `unparsed`. None where no row is readable. Floats are rounded to four decimals.
    """
    nothing = {f"{name}{end}": None for name in NAMES for end in ("", "_low", "_high")}
    readable = rows["predicted"].notna().to_numpy()
    figures: dict[str, Any] = {**nothing, "n": len(rows), "unparsed": int((~readable).sum())}
    if not readable.any():
        return figures
    products, cells = rows["product"].to_numpy(), _cells(rows, labels)
    losses, logs = rows["loss"].to_numpy(float), rows["log_loss"].to_numpy(float)
    known = ~np.isnan(logs)
    shape = len(labels.names), len(labels.names) + 1
    statistics: dict[str, tuple[NDArray[np.bool_], Statistic]] = {
        "loss": (readable, lambda counts: mean(losses[readable], counts)),
        "macro_f1": (np.full(len(rows), True), lambda counts: _macro_f1(_matrices(cells, counts, shape))),
        "mcc": (np.full(len(rows), True), lambda counts: _mcc(_matrices(cells, counts, shape))),
        "log_loss": (known, lambda counts: mean(logs[known], counts)),
    }
    for name, (used, statistic) in statistics.items():
        if not used.any():
            continue
        value = float(statistic(np.ones((1, int(used.sum()))))[0])
        ends = interval(statistic, products[used], bootstrap=bootstrap, seed=seed)
        named = zip((name, f"{name}_low", f"{name}_high"), (value, *ends), strict=True)
        figures |= {key: round(float(figure), 4) for key, figure in named}
    return figures


def by_label(rows: pd.DataFrame, labels: Labels) -> list[dict[str, Any]]:
    """Of each label that rows of `Prediction` have or are answered with, the commonest first: `label`, `n`,
    and `precision`, `recall` and `f1`, None where there is nothing to divide by.
    """
    [matrix] = _matrices(_cells(rows, labels), np.ones((1, len(rows))), _shape(labels))
    right, true, answered = np.diag(matrix), matrix.sum(axis=1), matrix[:, :-1].sum(axis=0)
    found = [
        {
            "label": name,
            "n": int(true[place]),
            "precision": _share(right[place], answered[place]),
            "recall": _share(right[place], true[place]),
            "f1": _share(2 * right[place], true[place] + answered[place]),
        }
        for place, name in enumerate(labels.names)
        if true[place] + answered[place]
    ]
    return sorted(found, key=lambda label: (-label["n"], label["label"]))


def confusion(rows: pd.DataFrame, labels: Labels) -> list[list[int]]:
    """Rows of `Prediction` by true label (rows) and answer (columns, the last for none): (labels, labels +
    1).
    """
    [matrix] = _matrices(_cells(rows, labels), np.ones((1, len(rows))), _shape(labels))
    return [[int(count) for count in line] for line in matrix]


def _shape(labels: Labels) -> tuple[int, int]:
    return len(labels.names), len(labels.names) + 1


def _cells(rows: pd.DataFrame, labels: Labels) -> NDArray[np.int64]:
    """Of each row the cell of the confusion matrix that it counts in."""
    count = len(labels.names)
    answers = rows["predicted"].fillna(count).to_numpy(float).astype(int)
    return labels.places(rows["target"]) * (count + 1) + answers


def _matrices(cells: NDArray[np.int64], counts: Floats, shape: tuple[int, int]) -> Floats:
    """The confusion matrix of each draw, (draws, labels, labels + 1)."""
    size = shape[0] * shape[1]
    drawn = [np.bincount(cells, weights=draw, minlength=size) for draw in counts]
    return np.stack(drawn).astype(np.float64).reshape(-1, *shape)


def _macro_f1(matrices: Floats) -> Floats:
    right = np.diagonal(matrices, axis1=1, axis2=2)
    true, answered = matrices.sum(axis=2), matrices[:, :, :-1].sum(axis=1)
    there = true > 0
    f1 = np.where(there, 2 * right / np.maximum(true + answered, 1e-9), 0.0)
    return np.asarray(f1.sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def _mcc(matrices: Floats) -> Floats:
    """(c s - sum p t) / sqrt((s^2 - sum p^2)(s^2 - sum t^2)), with c right answers of s, t how often each
    label is true and p how often it is answered, no label being an answer like any other.
    """
    true, answered = matrices.sum(axis=2), matrices.sum(axis=1)
    right = np.diagonal(matrices, axis1=1, axis2=2).sum(axis=1)
    total = true.sum(axis=1)
    covered = right * total - (true * answered[:, :-1]).sum(axis=1)
    spread = (total**2 - (answered**2).sum(axis=1)) * (total**2 - (true**2).sum(axis=1))
    return np.where(spread > 0, covered / np.sqrt(np.maximum(spread, 1e-9)), 0.0)


def _share(part: float, whole: float) -> float | None:
    return round(float(part / whole), 4) if whole else None
