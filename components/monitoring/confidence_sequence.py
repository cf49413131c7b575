"""A confidence sequence for a mean: an interval that holds at all times at once, so that looking is free.

A gambler who holds that the mean is at most m bets on the next value being above it. While m is right no
way of betting makes money on average: the capital is a test supermartingale, and by Ville's inequality
(1939) it ever reaches 1 / error_rate with at most that probability. The values of m at which the capital
has not are the interval: betting (Waudby-Smith and Ramdas 2023, arXiv:2010.09686, section 4), with their
predictable bets for confidence sequences. Howard et al. 2021 (arXiv:1810.08240) is the frame.

Assumed is that the values lie in known bounds (they are clipped to them, so it is the mean of clipped
values that the interval holds) and that, given the past, each next value has the same mean. Nothing is
assumed of the distribution, and the values may depend on each other otherwise. Where the mean itself moves,
a lower end above m says that it was above m at some time.
"""

from __future__ import annotations

from math import log

import numpy as np

from components.evaluation.resampling import Floats

STAKE_MAX = 0.75
"""Of the capital: the largest part that one value can lose."""
DEVIATION_FIRST = 0.1
"""Share of the bounds' distance that the standard deviation counts as before there is a value."""
STEPS = 60
"""Halvings by which an end is looked for."""


def confidence_sequence(values: Floats, low: float, high: float, *, error_rate: float) -> tuple[float, float]:
    """The interval of the mean after all `values`, (n,), which lie in low..high or are clipped to it.

    For each of the two ends the chance that it is ever on the wrong side of the mean, after whatever number
    of values, is at most `error_rate`. All of low..high where there is no value.
    """
    clipped = np.clip(np.asarray(values, dtype=np.float64), low, high)
    bets = _bets(clipped, high - low, error_rate)
    lower = _lower(clipped, bets, low, high, error_rate)
    return lower, -_lower(-clipped, bets, -high, -low, error_rate)


def capital(values: Floats, low: float, high: float, mean: float, *, error_rate: float) -> Floats:
    """The logarithm of what the gambler who bets on more than `mean` holds after each of `values`, (n,).

    He has begun with 1, and `mean` is refuted at `error_rate` once it is above -log(error_rate).
    """
    clipped = np.clip(np.asarray(values, dtype=np.float64), low, high)
    return _growth(clipped, _bets(clipped, high - low, error_rate), low, mean).cumsum()


def _bets(values: Floats, width: float, error_rate: float) -> Floats:
    """What is bet on each value, (n,), from those before it alone: equation 26 of arXiv:2010.09686."""
    time = np.arange(1, len(values) + 1)
    means = values.cumsum() / time
    squares = ((values - means) ** 2).cumsum()
    first = (DEVIATION_FIRST * width) ** 2
    variances = np.concatenate([[first], (first + squares)[:-1] / time[1:]]) if len(values) else squares
    return np.sqrt(2 * log(1 / error_rate) / (variances * time * np.log1p(time)))


def _growth(values: Floats, bets: Floats, low: float, mean: float) -> Floats:
    """What each value, (n,), adds to the logarithm of the capital of who bets on more than `mean`."""
    most = STAKE_MAX / max(mean - low, 1e-12)
    return np.log1p(np.minimum(bets, most) * (values - mean))


def _lower(values: Floats, bets: Floats, low: float, high: float, error_rate: float) -> float:
    """The largest mean that is refuted after all values: the capital falls as the mean rises."""
    refuted, open_ = low, high
    for _ in range(STEPS if len(values) else 0):
        middle = (refuted + open_) / 2
        if _growth(values, bets, low, middle).sum() >= -log(error_rate):
            refuted = middle
        else:
            open_ = middle
    return refuted
