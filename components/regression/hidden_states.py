"""Ridge regression on the words of a listing and on what the untuned base holds of it, kept as plain numbers.

    log price = words . w + landmarks . v + slope * log reading + intercept

The words are TF-IDF of single ones and pairs. The hidden states of the base enter by how near they are to
those of some training listings, the landmarks: a Gaussian kernel in Nyström's approximation (Williams and
Seeger 2000, Using the Nyström Method to Speed Up Kernel Machines). The reading is the price that the base
itself predicts. What is fitted is written as JSON and safetensors, never pickled, so that a served version
may hold it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy import sparse
from scipy.spatial.distance import pdist
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import KFold

from components.core.errors import PricewrightError
from components.evaluation.resampling import Floats
from components.regression.ridge import (
    LOG_LARGEST,
    UNPENALIZED,
    WORD,
    chosen_ridge,
    filled_logarithm,
    log_normal,
    logarithm,
)

SMALLEST = 1e-6  # of a hidden state's deviation: one that never changes is no feature
SAMPLED = 500  # rows whose distances tell the width of the kernel
WORDS, NUMBERS = "hidden_states_ridge.json", "hidden_states_ridge.safetensors"
TFIDF: dict[str, Any] = {"token_pattern": WORD, "ngram_range": (1, 2), "sublinear_tf": True}


@dataclass(frozen=True)
class HiddenStatesRidge:
    """The logarithm of a price by words, by nearness to landmarks, and by the base's own prediction."""

    depths: list[float]
    """The layers whose hidden states it reads, as shares of the base's depth; see `hidden_states`."""
    words: list[str]
    """Words and pairs of words."""
    rarity: Floats
    """(words,), the inverse document frequencies."""
    weights: Floats
    """(words,), in log dollars for a listing that is that word alone."""
    center: Floats
    """(size,), the mean on train of the hidden states."""
    scale: Floats
    """(size,), their standard deviation."""
    landmarks: Floats
    """(landmarks, size), the scaled hidden states of some training listings."""
    heights: Floats
    """(landmarks,), in log dollars at the landmark itself."""
    gamma: float
    """Of the kernel exp(-gamma * squared distance)."""
    slope: float
    """Log dollars for each log dollar of the base's prediction."""
    intercept: float
    missing: float
    """The log dollars that stand for a prediction which the base did not give: its mean on train."""
    deviation: float
    """Standard deviation of the log price about its prediction, on rows of train that were not fitted on."""

    def predict(self, texts: list[str], readings: Floats, states: Floats) -> Floats:
        """Dollars, (n,), for listing texts, the untuned base's predictions of them, (n,) dollars, NaN where
        it gave none, and its hidden states, (n, size).
        """
        return np.exp(np.minimum(self._log_prices(texts, readings, states), LOG_LARGEST))

    def distribution(self, texts: list[str], readings: Floats, states: Floats, *, price_max: int) -> Floats:
        """Probability of each whole-dollar price, (n, price_max + 1), rows sum to 1: log-normal about the
        prediction, of the width that its errors had on rows that it was not fitted on.
        """
        return log_normal(self._log_prices(texts, readings, states), self.deviation, price_max)

    def save(self, folder: Path) -> None:
        """Write `ridge.json` and `ridge.safetensors` to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        lists = {"depths": self.depths, "words": self.words}
        (folder / WORDS).write_text(json.dumps(lists, ensure_ascii=False), encoding="utf-8")
        save_file({name: np.array(getattr(self, name)) for name in _numbers()}, folder / NUMBERS)

    @classmethod
    def load(cls, folder: Path) -> HiddenStatesRidge:
        """What `save` wrote. Raises PricewrightError where a part of it is missing or fits no other."""
        if missing := [name for name in (WORDS, NUMBERS) if not (folder / name).is_file()]:
            raise PricewrightError(
                f"{folder} holds no whole ridge regression: {' and '.join(missing)} is missing. Make it "
                "anew with `dvc repro`"
            )
        lists = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        numbers: dict[str, Any] = load_file(folder / NUMBERS)
        if set(numbers) != set(_numbers()) or len(lists["words"]) != len(numbers["weights"]):
            raise PricewrightError(f"{folder}: {WORDS} and {NUMBERS} are of two ridge regressions")
        return cls(**lists | {name: each if each.ndim else float(each) for name, each in numbers.items()})

    def _log_prices(self, texts: list[str], readings: Floats, states: Floats) -> Floats:
        if states.shape[1:] != self.center.shape:
            raise PricewrightError(
                f"the regression was fitted on {self.center.size} hidden states of its base and is given "
                f"{states.shape[1]}: it belongs to another base. Make it anew with `dvc repro`"
            )
        logs = np.where(np.isnan(readings), self.missing, logarithm(readings))
        near = rbf_kernel((states - self.center) / self.scale, self.landmarks, self.gamma)
        words = self._tfidf.transform(texts) @ self.weights
        return words + near @ self.heights + self.slope * logs + self.intercept

    @cached_property
    def _tfidf(self) -> TfidfVectorizer:
        vectorizer = TfidfVectorizer(vocabulary=self.words, **TFIDF)
        vectorizer.idf_ = self.rarity
        return vectorizer


def fit_hidden_states(
    texts: list[str],
    readings: Floats,
    states: Floats,
    prices: Floats,
    *,
    depths: list[float],
    vocabulary: int,
    landmarks: int,
    alphas: list[float],
    folds: int,
    seed: int,
) -> HiddenStatesRidge:
    """Fit on texts, readings and `states` at `depths`, as `predict` takes them, and the prices, (n,) dollars.

    `vocabulary` is how many words and pairs get a weight, the commonest first, `landmarks` how many listings
    the others are held against; for `alphas` and `folds` see `chosen_ridge`.
    """
    tfidf = TfidfVectorizer(max_features=vocabulary, **TFIDF)
    center, scale = states.mean(axis=0), np.maximum(states.std(axis=0), SMALLEST)
    scaled = (states - center) / scale
    kernel = Nystroem(gamma=_gamma(scaled, seed), n_components=min(landmarks, len(texts)), random_state=seed)
    logs, missing = filled_logarithm(readings)
    dense = sparse.csr_matrix(np.hstack([kernel.fit_transform(scaled), UNPENALIZED * logs[:, None]]))
    inputs, split = (
        sparse.hstack([tfidf.fit_transform(texts), dense]),
        KFold(folds, shuffle=True, random_state=seed),
    )
    fitted, deviation = chosen_ridge(inputs.tocsr(), np.log(prices), alphas, split)
    words = tfidf.get_feature_names_out().tolist()
    return HiddenStatesRidge(
        depths=depths,
        words=words,
        rarity=tfidf.idf_,
        weights=fitted.coef_[: len(words)],
        center=center,
        scale=scale,
        landmarks=kernel.components_,
        heights=kernel.normalization_.T @ fitted.coef_[len(words) : -1],
        gamma=kernel.gamma,
        slope=float(UNPENALIZED * fitted.coef_[-1]),
        intercept=float(fitted.intercept_),
        missing=missing,
        deviation=deviation,
    )


def _gamma(scaled: Floats, seed: int) -> float:
    """One over the median squared distance between rows, of at most SAMPLED."""
    rows = np.random.default_rng(seed).permutation(len(scaled))[:SAMPLED]
    median = np.median(pdist(scaled[rows], "sqeuclidean")) if len(rows) > 1 else 0.0
    return float(1 / median) if median > 0 else 1.0


def _numbers() -> list[str]:
    return [field.name for field in fields(HiddenStatesRidge) if field.name not in ("depths", "words")]
