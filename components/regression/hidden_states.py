"""Ridge regression on words, quantities, and what the untuned base holds of a listing, kept as plain
numbers.

    target = tf-idf . w + log counts . c + curves of quantities . q + nearness to landmarks . v
             + slope * reading + intercept

The words count twice: TF-IDF of single ones and pairs tells what a listing is about, the logarithms of how
often single words stand there add up as the parts of a target do. A quantity, such as a weight, enters by
its logarithm, the square of that, and whether it is named at all. The hidden states of the base enter by
how near they are to those of some training listings, the landmarks: a Gaussian kernel in Nyström's
approximation (Williams and Seeger 2000, Using the Nyström Method to Speed Up Kernel Machines). The reading
is what the base itself predicts. Targets and readings are on the scale of the grid: `Grid.scaled`. What is
fitted is written as JSON and safetensors, never pickled, so that a served version may hold it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy import sparse
from scipy.spatial.distance import pdist
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import RidgeCV
from sklearn.metrics.pairwise import rbf_kernel

from components.core.errors import PricewrightError
from components.evaluation.resampling import Floats
from components.model.grid import Grid
from components.regression.quantities import commonest, logarithms
from components.regression.ridge import (
    UNPENALIZED,
    Folds,
    chosen_ridge,
    filled,
    normal,
    require_whole,
)
from components.regression.terms import Terms, fit_terms

SMALLEST = 1e-6  # of a hidden state's deviation: one that never changes is no feature
FARTHEST = 4.0  # of its deviations: no typing error of a quantity moves a target further
SHARE = 0.1  # of a feature of deviation 1; 0.2 was better on one real catalogue and worse on another
SAMPLED = 500  # rows whose distances tell the width of the kernel
WORDS, NUMBERS = "hidden_states_ridge.json", "hidden_states_ridge.safetensors"
NO_NUMBERS = ("depths", "terms", "quantities")


@dataclass(frozen=True)
class HiddenStatesRidge:
    """A target by words, by nearness to landmarks, and by the base's own prediction."""

    depths: list[float]
    """The layers whose hidden states it reads, as shares of the base's depth; see `hidden_states`."""
    terms: Terms
    weights: Floats
    """(words,), of TF-IDF, for a listing that is that word alone."""
    counted: Floats
    """(words,), for a word that stands there once; 0 for pairs."""
    quantities: list[str]
    """Names of `quantities`; the length of a text comes before them."""
    typical: Floats
    """(1 + quantities,), the mean on train of their logarithms."""
    spread: Floats
    """(1 + quantities,), the standard deviation of these."""
    bends: Floats
    """(3 * (1 + quantities),), the weights of their `curves`."""
    center: Floats
    """(size,), the mean on train of the hidden states."""
    scale: Floats
    """(size,), their standard deviation."""
    landmarks: Floats
    """(landmarks, size), the scaled hidden states of some training listings."""
    heights: Floats
    """(landmarks,), at the landmark itself."""
    gamma: float
    """Of the kernel exp(-gamma * squared distance)."""
    slope: float
    """For each unit of the base's prediction."""
    intercept: float
    missing: float
    """Stands for a prediction which the base did not give: its mean on train."""
    deviation: float
    """Standard deviation of the target about its prediction, on rows of train that were not fitted on."""

    def predict(self, texts: list[str], readings: Floats, states: Floats) -> Floats:
        """Targets, (n,), for listing texts, the untuned base's predictions of them, (n,), NaN where it gave
        none, and its hidden states, (n, size).
        """
        require_states_of(states, self.center)
        known = np.where(np.isnan(readings), self.missing, readings)
        near = rbf_kernel((states - self.center) / self.scale, self.landmarks, self.gamma)
        counts = self.terms.counts(texts)
        words = self.terms.tfidf(counts) @ self.weights + counts @ self.counted
        bent = curves((logarithms(texts, self.quantities) - self.typical) / self.spread) @ self.bends
        return words + bent + near @ self.heights + self.slope * known + self.intercept

    def distribution(self, texts: list[str], readings: Floats, states: Floats, grid: Grid) -> Floats:
        """Probability of each number of the grid, (n, numbers), rows sum to 1: normal about the prediction,
        of the width that its errors had on rows that it was not fitted on.
        """
        return normal(self.predict(texts, readings, states), self.deviation, grid)

    def save(self, folder: Path) -> None:
        """Write `hidden_states_ridge.json` and `hidden_states_ridge.safetensors` to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        lists = {"depths": self.depths, "words": self.terms.words, "quantities": self.quantities}
        numbers = {name: np.array(getattr(self, name)) for name in _numbers()} | {"rarity": self.terms.rarity}
        (folder / WORDS).write_text(json.dumps(lists, ensure_ascii=False), encoding="utf-8")
        save_file(numbers, folder / NUMBERS)

    @classmethod
    def load(cls, folder: Path) -> HiddenStatesRidge:
        """What `save` wrote. Raises PricewrightError where a part of it is missing or fits no other."""
        require_whole(folder, WORDS, NUMBERS)
        lists = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        numbers: dict[str, Any] = load_file(folder / NUMBERS)
        if set(numbers) != {*_numbers(), "rarity"} or len(lists["words"]) != len(numbers["weights"]):
            raise PricewrightError(f"{folder}: {WORDS} and {NUMBERS} are of two ridge regressions")
        terms = Terms(lists.pop("words"), numbers.pop("rarity"))
        numbers = {name: each if each.ndim else float(each) for name, each in numbers.items()}
        return cls(terms=terms, **lists, **numbers)


def fit_hidden_states(
    texts: list[str],
    readings: Floats,
    states: Floats,
    targets: Floats,
    *,
    depths: list[float],
    vocabulary: int,
    quantities: int,
    landmarks: int,
    alphas: list[float],
    count_weights: list[float],
    split: Folds,
    seed: int,
) -> HiddenStatesRidge:
    """Fit on texts, readings and `states` at `depths`, as `predict` takes them, and the targets, (n,).

    `vocabulary`, `quantities` and `landmarks` say how many of each get a weight; see `_chosen`.
    """
    terms, counts = fit_terms(texts, vocabulary)
    loudness, size = _loudness(counts, terms.words), len(terms.words)
    named, bent = _named(texts, quantities)
    placed, kernel, nearness = _placed(states, landmarks, seed)
    known, missing = filled(readings)
    rest = bent, nearness, UNPENALIZED * known[:, None]
    worded = terms.tfidf(counts), counts @ sparse.diags(loudness)
    fitted, deviation, louder = _chosen(*worded, rest, targets, count_weights, alphas, split)
    ends = [size, 2 * size, 2 * size + bent.shape[1], -1]
    weights, counted, bends, near, slope = np.split(fitted.coef_, ends)
    return HiddenStatesRidge(
        depths=depths,
        terms=terms,
        weights=weights,
        counted=counted * loudness * louder,
        bends=bends,
        heights=kernel.normalization_.T @ near,
        slope=float(UNPENALIZED * slope[0]),
        intercept=float(fitted.intercept_),
        missing=missing,
        deviation=deviation,
        **named,
        **placed,
    )


def _placed(states: Floats, number: int, seed: int) -> tuple[dict[str, Any], Nystroem, Floats]:
    """(how the hidden states lie and the landmarks among them, as `HiddenStatesRidge` keeps them; the kernel;
    their nearness to the landmarks in its approximation, (n, landmarks)).
    """
    center, scale = states.mean(axis=0), np.maximum(states.std(axis=0), SMALLEST)
    scaled = (states - center) / scale
    kernel = Nystroem(gamma=_gamma(scaled, seed), n_components=min(number, len(scaled)), random_state=seed)
    nearness = kernel.fit_transform(scaled)
    kept = {"center": center, "scale": scale, "landmarks": kernel.components_, "gamma": kernel.gamma}
    return kept, kernel, nearness


def _chosen(
    tfidf: Any,
    counts: Any,
    rest: Any,
    targets: Floats,
    weights: list[float],
    alphas: list[float],
    split: Folds,
) -> tuple[RidgeCV, float, float]:
    """(ridge, deviation, weight of the counts): the best `chosen_ridge` of those with each of `weights`, on
    TF-IDF, counts and the `rest` of the features.
    """
    tables = [sparse.hstack([tfidf, weight * counts, *rest]).tocsr() for weight in weights]
    tries = [chosen_ridge(table, targets, alphas, split) for table in tables]
    best = int(np.argmax([fitted.best_score_ for fitted, _ in tries]))
    return *tries[best], weights[best]


def require_states_of(states: Floats, center: Floats) -> None:
    """Raises PricewrightError where hidden states, (n, size), are not of the size of `center`."""
    if states.shape[1:] != center.shape:
        raise PricewrightError(
            f"the regression was fitted on {center.size} hidden states of its base and is given "
            f"{states.shape[1]}: it belongs to another base. Make it anew with `dvc repro`"
        )


def _named(texts: list[str], number: int) -> tuple[dict[str, Any], Any]:
    """(the commonest quantities and how their logarithms lie, as `HiddenStatesRidge` keeps them; their
    `curves`, sparse).
    """
    sizes = logarithms(texts, names := commonest(texts, number))
    typical, spread = np.nanmean(sizes, axis=0), np.maximum(np.nanstd(sizes, axis=0), SMALLEST)
    kept = {"quantities": names, "typical": typical, "spread": spread}
    return kept, sparse.csr_matrix(curves((sizes - typical) / spread))


def curves(scaled: Floats) -> Floats:
    """Scaled logarithms of quantities, (n, k), NaN where one is not named, as features, (n, 3 * k): each, its
    square, and whether it is missing. They are held small: a ridge is to lean on words first.
    """
    missing = np.isnan(scaled)
    held = np.clip(np.where(missing, 0.0, scaled), -FARTHEST, FARTHEST)
    return SHARE * np.hstack([held, np.where(missing, 0.0, held**2 - 1), missing])


def _loudness(counts: Any, words: list[str]) -> Floats:
    """By which the `counts` of each term are multiplied, (words,): 0 for a pair, and for single words
    what makes their rows of length 1 on average, as those of TF-IDF are.
    """
    single = np.array([" " not in word for word in words])
    squares = counts.multiply(counts).sum(axis=0).A1 @ single / counts.shape[0]
    return single / np.sqrt(max(squares, SMALLEST))


def _gamma(scaled: Floats, seed: int) -> float:
    """One over the median squared distance between rows, of at most SAMPLED."""
    rows = np.random.default_rng(seed).permutation(len(scaled))[:SAMPLED]
    median = np.median(pdist(scaled[rows], "sqeuclidean")) if len(rows) > 1 else 0.0
    return float(1 / median) if median > 0 else 1.0


def _numbers() -> list[str]:
    return [field.name for field in fields(HiddenStatesRidge) if field.name not in NO_NUMBERS]
