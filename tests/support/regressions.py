"""The regressions of a blend, fitted on a few items."""

from __future__ import annotations

import numpy as np

from components.blending.blended import Blend
from components.regression.boosting import fit_boosting
from components.regression.hidden_states import fit_hidden_states
from components.regression.neighbours import fit_neighbours
from components.regression.regressions import Regressions
from components.regression.ridge import product_folds

DEPTHS = [1.0]
"""The last layer: the tiny base has no other."""


def fitted_regressions(
    texts: list[str],
    targets: np.ndarray,
    states: np.ndarray,
    *,
    vocabulary: int = 50,
    alpha: float = 1.0,
    folds: int = 3,
) -> Regressions:
    """On texts, targets on the scale of the grid and states: the base gave no reading of them."""
    inputs = texts, np.full(len(texts), np.nan), states, targets
    options = {
        "vocabulary": vocabulary,
        "quantities": 5,
        "split": product_folds(range(len(texts)), folds, 0),
        "seed": 0,
    }
    ridge = fit_hidden_states(
        *inputs, depths=DEPTHS, landmarks=20, alphas=[alpha], count_weights=[1.0], **options
    )
    boosting = fit_boosting(*inputs, reduced=8, components=4, iterations=20, **options)
    near = {"vocabulary": vocabulary, "number": 5, "temperature": 0.05, "seed": 0}
    return Regressions(ridge, boosting, fit_neighbours(texts, targets, range(len(texts)), **near))


def fitted_blend(texts: list[str], targets: np.ndarray, size: int) -> Blend:
    """A blend of which every part has a say, for a base of `size` hidden states."""
    states = np.random.default_rng(0).standard_normal((len(texts), size))
    weights = {"sft": 0.6, "hidden_states_ridge": 0.3, "hidden_states_boosting": 0.2, "neighbours": 0.1}
    return Blend(weights, 0.05, fitted_regressions(texts, targets, states))
