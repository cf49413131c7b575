"""The logarithmic opinion pool: several price distributions made one (Genest and Zidek 1986, Combining
Probability Distributions, Statistical Science 1(1)).

    q(y)  is proportional to  p_1(y)^w_1 * ... * p_k(y)^w_k,   every w >= 0

For two log-normal opinions this is the mean weighted by precision. Weights that sum to more than 1 sharpen,
as they should where the parts err independently; a part with weight 0 is out. Plain numpy, no file.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from components.evaluation.resampling import Floats

LEAST = 1e-9  # of a probability: no part rules a price out alone


def pool(distributions: list[Floats], weights: Floats) -> Floats:
    """The pool of distributions of shape (n, prices), by weights (k,); rows sum to 1.

    A part that is NaN in a row has no say in it; where every part is, the pool is NaN.
    """
    scores = sum(weight * part for weight, part in zip(weights, _logarithms(distributions), strict=True))
    silent = np.all([np.isnan(part[:, 0]) for part in distributions], axis=0)
    return np.where(silent[:, None], np.nan, _normalized(scores))


def fit_weights(distributions: list[Floats], true: Floats, *, shrinkage: float) -> Floats:
    """The weights, (k,), under which the true prices, (n,) dollars, are likeliest: maximum likelihood, a
    convex problem.

    `shrinkage` draws them towards equal weights that sum to 1: the squared distance from these, times
    `shrinkage`, is added to the negative log-likelihood. A hundred rows outweigh a shrinkage of 10; without
    any row the weights are equal. The rows must be ones that no part was fitted on.
    """
    parts = np.stack(_logarithms(distributions))
    equal, rows = np.full(len(parts), 1 / len(parts)), np.arange(len(true))
    prices = np.clip(np.rint(true).astype(int), 0, parts.shape[2] - 1)
    at_true = parts[:, rows, prices]

    def loss(weights: Floats) -> tuple[float, Floats]:
        pooled = _normalized(np.tensordot(weights, parts, axes=1))
        expected = np.einsum("nj,knj->kn", pooled, parts)
        away = weights - equal
        likelihood = np.log(pooled[rows, prices]).sum()
        slope = (expected - at_true).sum(axis=1) + 2 * shrinkage * away
        return float(shrinkage * away @ away - likelihood), slope

    bounds = [(0.0, None)] * len(parts)
    return np.asarray(minimize(loss, equal, jac=True, bounds=bounds, method="L-BFGS-B").x)


def _logarithms(distributions: list[Floats]) -> list[Floats]:
    """Natural logarithms, at least that of LEAST; 0 for every price in a row that is NaN."""
    return [np.log(np.maximum(np.where(np.isnan(part), 1.0, part), LEAST)) for part in distributions]


def _normalized(scores: Floats) -> Floats:
    """exp(scores), rows scaled to 1."""
    masses = np.exp(scores - scores.max(axis=1, keepdims=True))
    return masses / masses.sum(axis=1, keepdims=True)
