"""The two regressions of a blend, fitted on a few items."""

from __future__ import annotations

import numpy as np

from components.blending.blended import Blend
from components.regression.hidden_states import HiddenStatesRidge, fit_hidden_states
from components.regression.ridge import RidgeWithBase, fit_ridge, product_folds

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
) -> tuple[RidgeWithBase, HiddenStatesRidge]:
    """Both on texts alone: the base gave no reading of them."""
    split = product_folds(range(len(texts)), folds, 0)
    options = {"vocabulary": vocabulary, "alphas": [alpha], "split": split}
    readings = np.full(len(texts), np.nan)
    hidden = fit_hidden_states(
        texts, readings, states, prices, depths=DEPTHS, quantities=5, landmarks=20, seed=0, **options
    )
    return fit_ridge(texts, readings, prices, **options), hidden


def fitted_blend(texts: list[str], prices: np.ndarray, size: int) -> Blend:
    """A blend of which every part has a say, for a base of `size` hidden states."""
    states = np.random.default_rng(0).standard_normal((len(texts), size))
    weights = {"sft": 0.6, "ridge_with_base": 0.3, "hidden_states_ridge": 0.2}
    return Blend(weights, *fitted_regressions(texts, prices, states))
