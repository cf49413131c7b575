"""How well rewards order preferences: plain numpy, without a model or a file.

Bradley and Terry (1952): with rewards a and b the first of two completions wins with probability
1 / (1 + exp(b - a)). A reward model is trained to make that true; here it is measured whether it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from components.evaluation.metrics import share_interval
from components.evaluation.resampling import Floats, Products

TIMES = 1000
"""Simulated sets of outcomes behind `expected_error_by_chance`."""
BINS = 10
"""Of equal width between even odds and certainty."""


def quality(chosen: Floats, rejected: Floats, margins: Floats, products: Products) -> dict[str, Any]:
    """Accuracy over all pairs, `by_margin` and calibration, from the rewards of both sides, each (pairs,).

    `accuracy` is the share of pairs whose chosen completion has the higher reward, with its 95% interval.
    Equal rewards are wrong. Pairs of one of the `products`, (pairs,), are not independent.
    """
    right = chosen > rejected
    low, high = share_interval(right, products)
    return {
        "accuracy": float(right.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "by_margin": by_margin(right, margins),
        "calibration": calibration(chosen - rejected),
    }


def by_margin(right: NDArray[np.bool_], margins: Floats) -> list[dict[str, Any]]:
    """Accuracy in quarters of the margins, narrow first; fewer where margins tie. NaN is left out."""
    right, margins = right[~np.isnan(margins)], margins[~np.isnan(margins)]
    if not len(margins):
        return []
    edges = np.unique(np.quantile(margins, [0, 0.25, 0.5, 0.75, 1]))
    quarter = np.searchsorted(edges[1:-1], margins, side="right")
    return [
        {
            "margin_low": float(margins[quarter == number].min()),
            "margin_high": float(margins[quarter == number].max()),
            "pairs": int((quarter == number).sum()),
            "accuracy": float(right[quarter == number].mean()),
        }
        for number in np.unique(quarter)
    ]


def calibration(lead: Floats) -> dict[str, Any]:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599) of the side that the rewards favour.

    `lead` is the reward of chosen minus that of rejected. Each pair is predicted with the probability of
    its favoured side, at least 0.5, and came true where that side was chosen; even odds came half true.
    Few pairs err by chance: `expected_error_by_chance` is what rewards with these probabilities stay below in
    95 of 100 sets of outcomes drawn from them (Broecker and Smith 2007, consistency resampling).
    """
    confidence = 1 / (1 + np.exp(-np.abs(lead)))
    came_true = np.where(lead == 0, 0.5, lead > 0)
    place = np.minimum(((confidence - 0.5) * 2 * BINS).astype(int), BINS - 1)
    bins = [
        {
            "confidence": float(confidence[place == number].mean()),
            "came_true": float(came_true[place == number].mean()),
            "pairs": int((place == number).sum()),
        }
        for number in np.unique(place)
    ]
    drawn = np.random.default_rng(0).random((TIMES, len(lead))) < confidence
    by_chance = np.quantile(_calibration_error(confidence, drawn, place), 0.95)
    return {
        "expected_error": float(_calibration_error(confidence, came_true[None], place)[0]),
        "expected_error_by_chance": float(by_chance),
        "confidence": float(confidence.mean()),
        "bins": bins,
    }


def _calibration_error(confidence: Floats, came_true: NDArray[Any], place: NDArray[np.int64]) -> Floats:
    """Of each row of outcomes, (times, pairs): the mean gap of bins, by their share of the pairs."""
    member = np.eye(BINS)[place]  # (pairs, bins)
    return np.asarray(np.abs((came_true - confidence) @ member).sum(axis=1) / len(place))


def nearer(chosen: Floats, rejected: Floats) -> dict[str, Any] | None:
    """The accuracy of a rule, nearer to a center is better, by the losses of both sides were the center true,
    inf for no answer, over the `pairs` that have a center, the others NaN; all (pairs,). Where both sides are
    as far the rule is half right. None where no pair has a center.
    """
    known = ~np.isnan(chosen)
    if not known.any():
        return None
    near, far = chosen[known], rejected[known]
    return {"accuracy": float(np.where(near == far, 0.5, near < far).mean()), "pairs": int(known.sum())}


def correlation(rewards: Floats, values: Floats) -> float | None:
    """Spearman's rank correlation over the rows where both are numbers; None where one is constant."""
    both = ~(np.isnan(rewards) | np.isnan(values))
    if both.sum() < 3 or np.ptp(rewards[both]) == 0 or np.ptp(values[both]) == 0:
        return None
    return float(spearmanr(rewards[both], values[both]).statistic)
