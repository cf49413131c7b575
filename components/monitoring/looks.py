"""When a test of traffic is made, and how much of the alarm rate each one may spend.

Traffic is cut into batches of equal row count. Each batch is compared with training as it becomes whole,
and so is each run of 2, 4, 8 ... whole batches: the short windows see a large shift at once, the long ones
a slight one later. What is tested follows from the rows alone, never from when somebody looks, so that to
look every day, or every minute, costs nothing.

The n-th window may raise an alarm by chance at the rate alarm_rate / (n (n + 1)). Over all n these rates
add up to alarm_rate itself: by the union bound that is the most with which traffic like training ever
raises one, however long it goes on and however the windows overlap (alpha spending: Lan and DeMets 1983;
over a sequence of hypotheses: Foster and Stine 2008, section 2). Of several tests of one window those count
that Holm (1979) lets stand at that rate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]


@dataclass(frozen=True)
class Shift:
    """What a two-sample test says of the difference between rows and their reference."""

    p: float
    """Chance of a difference at least as large between two samples of the same source."""
    effect: float
    """How large the difference is, in the unit that the test names."""
    detail: str = ""
    """What differs most, for a person."""


@dataclass(frozen=True)
class Feature:
    """Something that is measured of every row, and how rows are compared by it."""

    name: str
    test: str
    """Name of the test."""
    effect: str
    """Name of the effect size."""
    reference: Values
    """Its values in training or on held-out rows, (m, ...)."""
    observed: Values
    """Its values in the traffic, (n, ...), the oldest first."""
    compare: Callable[[Values, Values], Shift]
    """From reference and observed values to the shift between them."""


@dataclass(frozen=True)
class Window:
    """Rows that are tested together."""

    number: int
    """Place among all windows, from 1, in the order in which they become whole."""
    start: int
    stop: int
    """The rows from `start` to before `stop`."""


@dataclass(frozen=True)
class Alarm:
    """A window that differs from the reference more than chance explains."""

    feature: str
    test: str
    window: Window
    shift: Shift
    limit: float
    """The p-value below which Holm let it stand."""


def windows(rows: int, batch: int) -> list[Window]:
    """The windows of 1, 2, 4, 8 ... batches of `batch` rows that so many rows fill."""
    bounds = [
        ((last - width) * batch, last * batch)
        for last in range(1, rows // batch + 1)
        for width in (1 << power for power in range(last.bit_length()))
        if last % width == 0
    ]
    return [Window(number, *bound) for number, bound in enumerate(bounds, start=1)]


def spent(number: int, alarm_rate: float) -> float:
    """The rate at which the window of this number may raise an alarm by chance."""
    return alarm_rate / (number * (number + 1))


def holm(p_values: Sequence[float], rate: float) -> list[float]:
    """The limit of each p-value; a test counts where its p-value is no more.

    The k-th smallest of m is compared with rate / (m - k + 1); after the first that is above, none counts,
    and its limit is 0.
    """
    limits, counting = [0.0] * len(p_values), True
    for place, index in enumerate(np.argsort(p_values, kind="stable")):
        limit = rate / (len(p_values) - place)
        counting = counting and p_values[index] <= limit
        limits[index] = limit if counting else 0.0
    return limits


def alarms(features: Sequence[Feature], rows: int, batch: int, alarm_rate: float) -> list[Alarm]:
    """The alarms of all windows that so many rows fill, the oldest first.

    The chance of any on traffic that is like the reference is at most `alarm_rate`.
    """
    raised = []
    for window in windows(rows, batch):
        shifts = [compared(feature, window) for feature in features]
        limits = holm([shift.p for shift in shifts], spent(window.number, alarm_rate))
        raised += [
            Alarm(feature.name, feature.test, window, shift, limit)
            for feature, shift, limit in zip(features, shifts, limits, strict=True)
            if shift.p <= limit
        ]
    return raised


def compared(feature: Feature, window: Window) -> Shift:
    """The shift of a feature between its reference and the rows of a window."""
    return feature.compare(feature.reference, feature.observed[window.start : window.stop])
