"""The two regressions of a blend, fitted on a few items."""

from __future__ import annotations

import numpy as np

from components.blending.blended import Blend
from components.regression.boosting import HiddenStatesBoosting, fit_boosting
from components.regression.hidden_states import HiddenStatesRidge, fit_hidden_states
from components.regression.ridge import product_folds

DEPTHS = [1.0]
"""The last layer: the tiny base has no other."""


def fitted_regressions(
    texts: list[str],
    prices: np.ndarray,
    states: np.ndarray,
    *,
    vocabulary: int = 50,
    alpha: float = 1.0,
    folds: int = 3,
) -> tuple[HiddenStatesRidge, HiddenStatesBoosting]:
    """Both on texts and states alone: the base gave no reading of them."""
    inputs = texts, np.full(len(texts), np.nan), states, prices
    options = {
        "vocabulary": vocabulary,
        "quantities": 5,
        "split": product_folds(range(len(texts)), folds, 0),
        "seed": 0,
    }
    ridge = fit_hidden_states(*inputs, depths=DEPTHS, landmarks=20, alphas=[alpha], **options)
    return ridge, fit_boosting(*inputs, reduced=8, components=4, iterations=20, **options)


def fitted_blend(texts: list[str], prices: np.ndarray, size: int) -> Blend:
    """A blend of which every part has a say, for a base of `size` hidden states."""
    states = np.random.default_rng(0).standard_normal((len(texts), size))
    weights = {"sft": 0.6, "hidden_states_ridge": 0.3, "hidden_states_boosting": 0.2}
    return Blend(weights, *fitted_regressions(texts, prices, states))
