"""What regressions on log prices share: the choice of a penalty, the width of the errors, whole files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict

from components.core.errors import PricewrightError
from components.evaluation.resampling import Floats

WORD = r"(?u)\b\w+\b"
UNPENALIZED = 10.0  # times so large, a feature needs a weight so small that a ridge lets it be
LOG_LARGEST = 20.0  # where a regression extrapolates, exp() must not overflow
NARROWEST = 1e-3  # log dollars: where every price is equal a ridge is sure, and still no width is 0

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


def chosen_ridge(inputs: Any, log_prices: Floats, alphas: list[float], split: Folds) -> tuple[RidgeCV, float]:
    """(the ridge with the penalty of `alphas` whose mean absolute error is smallest in the cross-validation
    `split`; the standard deviation of its errors there, in log dollars, at least NARROWEST).
    """
    fitted = RidgeCV(alphas, cv=split, scoring="neg_mean_absolute_error").fit(inputs, log_prices)
    left_over = log_prices - cross_val_predict(Ridge(fitted.alpha_), inputs, log_prices, cv=split)
    return fitted, max(float(left_over.std()), NARROWEST)


def log_normal(logs: Floats, deviation: float | Floats, price_max: int) -> Floats:
    """Probability of each whole-dollar price, (n, price_max + 1), rows sum to 1, where the logarithm of the
    price is normal about `logs`, (n,) log dollars, by `deviation`: one for all or (n,).
    """
    with np.errstate(divide="ignore"):
        edges = np.log(np.concatenate([[0.0], np.arange(price_max) + 0.5, [np.inf]]))
    return np.diff(norm.cdf((edges[None, :] - logs[:, None]) / np.reshape(deviation, (-1, 1))), axis=1)


def filled_logarithm(readings: Floats) -> tuple[Floats, float]:
    """(the logarithms of readings in dollars, their mean where one is missing; that mean)."""
    logs = logarithm(readings)
    missing = 0.0 if np.isnan(logs).all() else float(np.nanmean(logs))
    return np.where(np.isnan(logs), missing, logs), missing


def logarithm(dollars: Floats) -> Floats:
    """Natural logarithm of prices in dollars, those below one dollar as one."""
    return np.log(np.maximum(dollars, 1.0))
