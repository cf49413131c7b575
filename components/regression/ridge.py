"""What regressions share: the choice of a penalty, the width of the errors, whole files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict

from components.core.errors import PricewrightError
from components.evaluation.resampling import Floats
from components.model.grid import Grid

WORD = r"(?u)\b\w+\b"
UNPENALIZED = 10.0  # times so large, a feature needs a weight so small that a ridge lets it be
NARROWEST = 1e-3  # where every target is equal a ridge is sure, and still no width is 0

Folds = list[tuple[np.ndarray, np.ndarray]]
"""Of a cross-validation: rows to fit on and rows to predict."""


def require_whole(folder: Path, *names: str) -> None:
    """Raises PricewrightError where one of the files of a regression is missing in `folder`."""
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise PricewrightError(
            f"{folder} holds no whole regression: {' and '.join(missing)} is missing. Make it "
            "anew with `dvc repro`"
        )


def product_folds(products: Any, folds: int, seed: int) -> Folds:
    """Folds of whole products, (n,): where listings of one product are in two, the penalty that is chosen is
    one for learning by heart. At most as many folds as products.
    """
    groups = np.asarray(products)
    splitter = GroupKFold(min(folds, len(set(groups))), shuffle=True, random_state=seed)
    return list(splitter.split(groups, groups=groups))


def chosen_ridge(inputs: Any, scaled: Floats, alphas: list[float], split: Folds) -> tuple[RidgeCV, float]:
    """(the ridge with the penalty of `alphas` whose mean absolute error is smallest in the cross-validation
    `split`; the standard deviation of its errors there, at least NARROWEST), for targets on their scale,
    (n,).
    """
    fitted = RidgeCV(alphas, cv=split, scoring="neg_mean_absolute_error").fit(inputs, scaled)
    left_over = scaled - cross_val_predict(Ridge(fitted.alpha_), inputs, scaled, cv=split)
    return fitted, max(float(left_over.std()), NARROWEST)


def normal(centers: Floats, deviation: float | Floats, grid: Grid) -> Floats:
    """Probability of each number of the grid, (n, numbers), rows sum to 1, where the number is normal on its
    scale about `centers`, (n,), by `deviation`: one for all or (n,).
    """
    distances = (grid.edges[None, :] - centers[:, None]) / np.reshape(deviation, (-1, 1))
    return np.diff(norm.cdf(distances), axis=1)


def filled(readings: Floats) -> tuple[Floats, float]:
    """(readings on their scale, (n,), their mean where one is missing; that mean)."""
    missing = 0.0 if np.isnan(readings).all() else float(np.nanmean(readings))
    return np.where(np.isnan(readings), missing, readings), missing
