"""Ridge regression on the counts of words and on what the untuned base predicts, kept as plain numbers.

What is fitted is written as a list of words (JSON) and their weights (safetensors), never pickled, so that a
served version may hold it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy import sparse
from scipy.stats import norm
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict

from components.core.errors import PricewrightError
from components.evaluation.resampling import Floats

WORD = r"(?u)\b\w+\b"
UNPENALIZED = 10.0  # times so large, a feature needs a weight so small that a ridge lets it be
LOG_LARGEST = 20.0  # where a regression extrapolates, exp() must not overflow
NARROWEST = 1e-3  # log dollars: where every price is equal a ridge is sure, and still no width is 0
WORDS, NUMBERS = "ridge.json", "ridge.safetensors"


Folds = list[tuple[np.ndarray, np.ndarray]]
"""Of a cross-validation: rows to fit on and rows to predict."""


@dataclass(frozen=True)
class RidgeWithBase:
    """The logarithm of a price, linear in the counts of words and in that of the base's own prediction."""

    words: list[str]
    weights: Floats
    """(words,), in log dollars for each time that the word occurs."""
    slope: float
    """Log dollars for each log dollar of the base's prediction."""
    intercept: float
    missing: float
    """The log dollars that stand for a prediction which the base did not give: its mean on train."""
    deviation: float
    """Standard deviation of the log price about its prediction, on rows of train that were not fitted on."""

    def predict(self, texts: list[str], readings: Floats) -> Floats:
        """Dollars, (n,), for listing texts and the untuned base's predictions of them, (n,) dollars."""
        return np.exp(np.minimum(self._log_prices(texts, readings), LOG_LARGEST))

    def distribution(self, texts: list[str], readings: Floats, *, price_max: int) -> Floats:
        """Probability of each whole-dollar price, (n, price_max + 1), rows sum to 1: log-normal about the
        prediction, of the width that its errors had on rows that it was not fitted on.
        """
        return log_normal(self._log_prices(texts, readings), self.deviation, price_max)

    def save(self, folder: Path) -> None:
        """Write `ridge.json` and `ridge.safetensors` to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WORDS).write_text(json.dumps(self.words, ensure_ascii=False), encoding="utf-8")
        rest = np.array([self.slope, self.intercept, self.missing, self.deviation])
        save_file({"weights": self.weights, "rest": rest}, folder / NUMBERS)

    @classmethod
    def load(cls, folder: Path) -> RidgeWithBase:
        """What `save` wrote. Raises PricewrightError where a part of it is missing or fits no other."""
        require_whole(folder, WORDS, NUMBERS)
        words = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        numbers = load_file(folder / NUMBERS)
        if len(words) != len(numbers["weights"]):
            raise PricewrightError(f"{folder}: {WORDS} and {NUMBERS} are of two ridge regressions")
        return cls(words, numbers["weights"], *map(float, numbers["rest"]))

    def _log_prices(self, texts: list[str], readings: Floats) -> Floats:
        logs = np.where(np.isnan(readings), self.missing, logarithm(readings))
        return self._counts.transform(texts) @ self.weights + self.slope * logs + self.intercept

    @cached_property
    def _counts(self) -> CountVectorizer:
        return CountVectorizer(vocabulary=self.words, token_pattern=WORD)


def fit_ridge(
    texts: list[str],
    readings: Floats,
    prices: Floats,
    *,
    vocabulary: int,
    alphas: list[float],
    split: Folds,
) -> RidgeWithBase:
    """Fit on listing texts, the untuned base's predictions of them, (n,) dollars, NaN where it gave none, and
    their prices, (n,) dollars: on their logarithms, since errors in price are relative.

    `vocabulary` is how many words get a weight, the commonest first; for `alphas` and `split` see
    `chosen_ridge`.
    """
    counts = CountVectorizer(max_features=vocabulary, token_pattern=WORD)
    logs, missing = filled_logarithm(readings)
    scaled = UNPENALIZED * logs
    inputs = sparse.hstack([counts.fit_transform(texts), sparse.csr_matrix(scaled[:, None])]).tocsr()
    fitted, deviation = chosen_ridge(inputs, np.log(prices), alphas, split)
    return RidgeWithBase(
        words=counts.get_feature_names_out().tolist(),
        weights=fitted.coef_[:-1],
        slope=float(UNPENALIZED * fitted.coef_[-1]),
        intercept=float(fitted.intercept_),
        missing=missing,
        deviation=deviation,
    )


def require_whole(folder: Path, *names: str) -> None:
    """Raises PricewrightError where one of the files of a regression is missing in `folder`."""
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise PricewrightError(
            f"{folder} holds no whole ridge regression: {' and '.join(missing)} is missing. Make it "
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


def log_normal(logs: Floats, deviation: float, price_max: int) -> Floats:
    """Probability of each whole-dollar price, (n, price_max + 1), rows sum to 1, where the logarithm of the
    price is normal about `logs`, (n,) log dollars, by `deviation`.
    """
    with np.errstate(divide="ignore"):
        edges = np.log(np.concatenate([[0.0], np.arange(price_max) + 0.5, [np.inf]]))
    return np.diff(norm.cdf((edges[None, :] - logs[:, None]) / deviation), axis=1)


def filled_logarithm(readings: Floats) -> tuple[Floats, float]:
    """(the logarithms of readings in dollars, their mean where one is missing; that mean)."""
    logs = logarithm(readings)
    missing = 0.0 if np.isnan(logs).all() else float(np.nanmean(logs))
    return np.where(np.isnan(logs), missing, logs), missing


def logarithm(dollars: Floats) -> Floats:
    """Natural logarithm of prices in dollars, those below one dollar as one."""
    return np.log(np.maximum(dollars, 1.0))
