"""Gradient-boosted trees on words, quantities, and what the untuned base holds of a listing, kept as the
library's own text and plain numbers, never pickled.

The trees (Ke et al. 2017, LightGBM: A Highly Efficient Gradient Boosting Decision Tree) split on TF-IDF
reduced by a singular value decomposition (latent semantic analysis, Deerwester et al. 1990), on logarithms of
quantities, on principal components of the hidden states, and on what the base itself predicts. A
tree sees steps and pairings where a ridge sees lines, so that the two err differently.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from safetensors.numpy import load_file, save_file
from sklearn.decomposition import PCA, TruncatedSVD

from components.core.errors import PricewrightError
from components.evaluation.resampling import Floats
from components.model.grid import Grid
from components.regression.hidden_states import SMALLEST, require_states_of
from components.regression.quantities import commonest, logarithms
from components.regression.ridge import NARROWEST, Folds, normal, require_whole
from components.regression.terms import Terms, fit_terms

END = "\nend of parameters"  # one of the last lines of LightGBM's text
TREES, WORDS, NUMBERS = (f"hidden_states_boosting.{end}" for end in ("txt", "json", "safetensors"))
OPTIONS: dict[str, Any] = {
    "objective": "regression",
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
}


@dataclass(frozen=True)
class Features:
    """What the trees see of a listing."""

    terms: Terms
    meanings: Floats
    """(words, reduced), the singular vectors of TF-IDF."""
    quantities: list[str]
    """Names of `quantities`; the length of a text comes before them."""
    center: Floats
    """(size,), the mean on train of the hidden states."""
    axes: Floats
    """(size, components), the principal axes of the scaled hidden states over their standard deviations."""

    def of(self, texts: list[str], readings: Floats, states: Floats) -> Floats:
        """(n, columns), NaN where a quantity is not named or the base gave no reading. For the arguments see
        `HiddenStatesBoosting.predict`.
        """
        require_states_of(states, self.center)
        tfidf = self.terms.tfidf(self.terms.counts(texts))
        columns = [
            tfidf @ self.meanings,
            logarithms(texts, self.quantities),
            (states - self.center) @ self.axes,
        ]
        return np.hstack([*columns, readings[:, None]])


@dataclass(frozen=True)
class HiddenStatesBoosting:
    """A target by boosted trees on `Features`."""

    features: Features
    trees: lgb.Booster
    deviation: float
    """Standard deviation of the target about its prediction, on rows of train that were not fitted on."""

    def predict(self, texts: list[str], readings: Floats, states: Floats) -> Floats:
        """Targets, (n,), for listing texts, the untuned base's predictions of them, (n,), NaN where it gave
        none, and its hidden states, (n, size).
        """
        return np.asarray(self.trees.predict(self.features.of(texts, readings, states)))

    def distribution(self, texts: list[str], readings: Floats, states: Floats, grid: Grid) -> Floats:
        """Probability of each number of the grid, (n, numbers), rows sum to 1: normal about the prediction,
        of the width that its errors had on rows that it was not fitted on.
        """
        return normal(self.predict(texts, readings, states), self.deviation, grid)

    def save(self, folder: Path) -> None:
        """Write the trees (LightGBM's text), the words (JSON) and the numbers (safetensors) to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TREES).write_text(self.trees.model_to_string(), encoding="utf-8")
        lists = {"words": self.features.terms.words, "quantities": self.features.quantities}
        (folder / WORDS).write_text(json.dumps(lists, ensure_ascii=False), encoding="utf-8")
        numbers = {name: getattr(self.features, name) for name in ("meanings", "center", "axes")}
        numbers |= {"rarity": self.features.terms.rarity, "deviation": np.array(self.deviation)}
        save_file(numbers, folder / NUMBERS)

    @classmethod
    def load(cls, folder: Path) -> HiddenStatesBoosting:
        """What `save` wrote. Raises PricewrightError where a part of it is missing or fits no other."""
        require_whole(folder, TREES, WORDS, NUMBERS)
        lists = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        numbers: dict[str, Any] = load_file(folder / NUMBERS)
        deviation = float(numbers.pop("deviation"))
        text = (folder / TREES).read_text(encoding="utf-8")
        if END not in text:  # LightGBM would end the process
            raise PricewrightError(
                f"{folder / TREES} is no whole model of LightGBM. Make it anew with `dvc repro`"
            )
        trees = lgb.Booster(model_str=text)
        terms = Terms(lists.pop("words"), numbers.pop("rarity"))
        features = Features(terms, **lists, **numbers)
        columns = (
            sum(part.shape[1] for part in (features.meanings, features.axes)) + len(features.quantities) + 2
        )
        if len(terms.words) != len(terms.rarity) or trees.num_feature() != columns:
            raise PricewrightError(f"{folder}: {TREES}, {WORDS} and {NUMBERS} are of several regressions")
        return cls(features, trees, deviation)


def fit_boosting(
    texts: list[str],
    readings: Floats,
    states: Floats,
    targets: Floats,
    *,
    vocabulary: int,
    reduced: int,
    quantities: int,
    components: int,
    iterations: int,
    split: Folds,
    seed: int,
) -> HiddenStatesBoosting:
    """Fit on texts, readings and states, as `predict` takes them, and the targets, (n,).

    `vocabulary` words are `reduced` to so many columns, the hidden states to `components`; `iterations` is
    how many trees there are. The width comes from the cross-validation `split`.
    """
    features = fitted_features(texts, states, vocabulary, reduced, quantities, components, seed)
    inputs = features.of(texts, readings, states)

    def trees(rows: Any) -> lgb.Booster:
        options = OPTIONS | {"seed": seed}
        return lgb.train(options, lgb.Dataset(inputs[rows], targets[rows]), num_boost_round=iterations)

    left_over = np.concatenate([targets[out] - trees(rows).predict(inputs[out]) for rows, out in split])
    deviation = max(float(left_over.std()), NARROWEST)
    return HiddenStatesBoosting(features, trees(slice(None)), deviation)


def fitted_features(
    texts: list[str],
    states: Floats,
    vocabulary: int,
    reduced: int,
    quantities: int,
    components: int,
    seed: int,
) -> Features:
    """The `Features` of training listings: their commonest words and quantities, and the directions in which
    they differ most, at most as many as there are listings.
    """
    terms, counts = fit_terms(texts, vocabulary)
    center, scale = states.mean(axis=0), np.maximum(states.std(axis=0), SMALLEST)
    with np.errstate(invalid="ignore"):  # of states that are all equal, shares of a variance of 0
        axes = (
            PCA(min(components, *states.shape), random_state=seed).fit((states - center) / scale).components_
        )
    return Features(
        terms=terms,
        meanings=_meanings(terms.tfidf(counts), reduced, seed),
        quantities=commonest(texts, quantities),
        center=center,
        axes=np.ascontiguousarray((axes / scale).T),
    )


def _meanings(tfidf: Any, reduced: int, seed: int) -> Floats:
    """Singular vectors of TF-IDF, (words, reduced); each word its own where there are no more than that."""
    if tfidf.shape[1] <= reduced:
        return np.eye(tfidf.shape[1])
    decomposition = TruncatedSVD(min(reduced, tfidf.shape[0]), random_state=seed).fit(tfidf)
    return np.ascontiguousarray(decomposition.components_.T)
