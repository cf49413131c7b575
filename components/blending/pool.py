"""The logarithmic opinion pool: several distributions over the same answers made one (Genest and Zidek 1986,
Combining Probability Distributions, Statistical Science 1(1)).

    q(y)  is proportional to  p_1(y)^w_1 * ... * p_k(y)^w_k,   every w >= 0

For two normal opinions this is the mean weighted by precision. Weights that sum to more than 1 sharpen,
as they should where the parts err independently; a part with weight 0 is out. Plain numpy, no file.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from components.evaluation.resampling import Floats
from components.model.grid import Grid
from components.model.labels import Labels

LEAST = 1e-9  # of a probability: no part rules an answer out alone
TINY = 1e-12  # in place of 0 under a fraction


def pool(distributions: list[Floats], weights: Floats) -> Floats:
    """The pool of distributions of shape (n, answers), by weights (k,); rows sum to 1.

    A part that is NaN in a row has no say in it; where every part is, the pool is NaN.
    """
    scores = sum(weight * part for weight, part in zip(weights, _logarithms(distributions), strict=True))
    silent = np.all([np.isnan(part[:, 0]) for part in distributions], axis=0)
    return np.where(silent[:, None], np.nan, _normalized(scores))


Score = Callable[[Floats], tuple[float, Floats]]
"""Weights, (k,), to a score, the lower the better, and its slope, (k,)."""


def fit_weights(
    distributions: list[Floats], true: Floats, answers: Grid | Labels, *, shrinkage: float
) -> Floats:
    """The weights, (k,), with the lowest score on the true answers, (n,): `ranked_probability` of numbers,
    `log_loss` of labels, both strictly proper (Gneiting and Raftery 2007, Strictly Proper Scoring Rules).

    `shrinkage` draws the weights towards equal ones that sum to 1, the more so the fewer the rows: their
    squared distance, times `shrinkage` / n, is added to the score over that of equal weights. A hundred rows
    outweigh a shrinkage of 2; without any row the weights are equal. The rows must be ones that no part was
    fitted on.
    """
    parts = np.stack(_logarithms(distributions))
    equal, rows = np.full(len(parts), 1 / len(parts)), len(true)
    if rows == 0:
        return equal
    if isinstance(answers, Labels):
        score = log_loss(parts, true, answers)
    else:
        score = ranked_probability(parts, true, answers)
    at_equal = max(score(equal)[0], TINY)

    def loss(weights: Floats) -> tuple[float, Floats]:
        value, slope = score(weights)
        away, pull = weights - equal, shrinkage / rows
        return value / at_equal + pull * float(away @ away), slope / at_equal + 2 * pull * away

    bounds = [(0.0, None)] * len(parts)
    return np.asarray(minimize(loss, equal, jac=True, bounds=bounds, method="L-BFGS-B").x)


def ranked_probability(parts: Floats, true: Floats, grid: Grid) -> Score:
    """The continuous ranked probability score of the pool on the scale of the grid, for the logarithms of its
    parts, (k, n, numbers).

    Not the likelihood, which would prefer whoever knows that numbers end in 99 to whoever knows how large
    they are: this score asks how far off a distribution is.
    """
    widths = np.diff(grid.scaled([*grid.values, grid.high + grid.step]))  # of each number, on the scale
    reached = np.arange(parts.shape[2])[None, :] >= np.rint(grid.steps(true))[:, None]

    def score(weights: Floats) -> tuple[float, Floats]:
        pooled = _normalized(np.tensordot(weights, parts, axes=1))
        off = (np.cumsum(pooled, axis=1) - reached) * widths
        steps = [pooled * (part - (pooled * part).sum(axis=1, keepdims=True)) for part in parts]
        slope = [2 * float((off * np.cumsum(step, axis=1)).sum()) for step in steps]
        return float((off**2 / np.maximum(widths, TINY)).sum()), np.array(slope)

    return score


def log_loss(parts: Floats, true: Floats, labels: Labels) -> Score:
    """Minus the log likelihood of the true labels by the pool, for the logarithms of its parts, (k, n,
    labels): labels are not nearer to one another or farther.
    """
    rows, own = np.arange(len(true)), labels.places(true)

    def score(weights: Floats) -> tuple[float, Floats]:
        pooled = _normalized(np.tensordot(weights, parts, axes=1))
        expected = (pooled[None] * parts).sum(axis=2)
        slope = (expected - parts[:, rows, own]).sum(axis=1)
        return float(-np.log(np.maximum(pooled[rows, own], TINY)).sum()), np.asarray(slope)

    return score


def fit_shift(pooled: Floats, true: Floats, grid: Grid, *, shrinkage: float) -> float:
    """By how much, on the scale of the grid, the medians of a pool, (n, numbers), fall short of the true
    numbers, (n,), on average; drawn towards 0 as if `shrinkage` more rows were right.
    """
    medians = grid.median(pooled)
    known = ~np.isnan(medians)
    short = grid.scaled(true) - grid.scaled(medians)
    return float(short[known].sum() / (known.sum() + shrinkage)) if known.any() else 0.0


def shifted(distribution: Floats, shift: float, grid: Grid) -> Floats:
    """The distribution, (n, numbers), of a number that is `shift` higher on the scale of the grid; what goes
    beyond an end stays there. A number is spread evenly over the step around it.
    """
    if shift == 0.0:
        return distribution
    bounds = grid.bounds
    before = bounds * np.exp(-shift) if grid.logarithmic else bounds - shift
    below = np.cumsum(distribution, axis=1)
    cumulative = np.hstack([np.zeros((len(below), 1)), below])
    moved = np.stack([np.interp(before, bounds, row) for row in cumulative])
    moved[:, 0], moved[:, -1] = 0.0, cumulative[:, -1]
    return np.diff(moved, axis=1)


def _logarithms(distributions: list[Floats]) -> list[Floats]:
    """Natural logarithms, at least that of LEAST; 0 for every number in a row that is NaN."""
    return [np.log(np.maximum(np.where(np.isnan(part), 1.0, part), LEAST)) for part in distributions]


def _normalized(scores: Floats) -> Floats:
    """exp(scores), rows scaled to 1."""
    masses = np.exp(scores - scores.max(axis=1, keepdims=True))
    return masses / masses.sum(axis=1, keepdims=True)
