"""The promotion gate: is the challenger really better than the champion? Plain numpy, no file, no registry.

Both answered the same rows. The difference is MAE of the champion minus MAE of the challenger, in dollars,
so that above 0 the challenger is better; its interval is a paired bootstrap over the rows (`interval`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, isnan
from statistics import NormalDist
from typing import Literal

import numpy as np

from components.evaluation.metrics import DRAWS_AT_ONCE, Floats

Verdict = Literal["promoted", "rejected", "not enough evidence"]


@dataclass(frozen=True)
class Budget:
    """A figure of the challenger that has to stay within limits, whatever its MAE."""

    name: str
    value: float
    """NaN where it was not measured."""
    at_least: float = -inf
    at_most: float = inf
    needed: bool = True
    """Whether the budget is broken where the figure was not measured."""

    def fault(self) -> str | None:
        """What is wrong with the figure, None where it is within its limits."""
        if isnan(self.value):
            return f"{self.name} was not measured" if self.needed else None
        if self.value < self.at_least:
            return f"{self.name} is {self.value:.4g}, at least {self.at_least:g} is needed"
        if self.value > self.at_most:
            return f"{self.name} is {self.value:.4g}, at most {self.at_most:g} is allowed"
        return None


@dataclass(frozen=True)
class Decision:
    """What the gate decides, and by which figures."""

    verdict: Verdict
    difference: float | None
    """Dollars of MAE by which the challenger is better on rows that both could answer; None without any."""
    low: float | None
    high: float | None
    rows: int
    """Rows that both could answer."""
    rows_needed: int | None
    """Rows on which a difference like this would be settled; None where there is nothing to settle, or
    where the difference is the minimum effect itself, which no number of rows tells apart."""
    reasons: tuple[str, ...]
    """For a person, the weightiest first."""


def decide(
    true: Floats,
    challenger: Floats,
    champion: Floats,
    *,
    minimum_effect: float,
    error_rate: float,
    power: float,
    rows_min: int,
    bootstrap: int,
    seed: int,
    unparsed_share_max: float,
    budgets: Sequence[Budget] = (),
) -> Decision:
    """Compare a challenger's prices with the champion's on the same rows; (n,) dollars, NaN if unreadable.

    With (low, high) the paired bootstrap interval of the difference, of confidence 1 - 2 * error_rate:

    - rejected where a budget is broken, or high < minimum_effect;
    - promoted where low > minimum_effect, every budget holds and there are `rows_min` rows;
    - not enough evidence otherwise, with `rows_needed`.

    Rows without an answer have no error in dollars. So that falling silent on hard rows never helps, a
    challenger with more of them than the champion, or than `unparsed_share_max`, is rejected.

    Raises ValueError where the three differ in length or a true price is missing.
    """
    _require_complete(true, challenger, champion)
    faults = _unreadable(challenger, champion, unparsed_share_max)
    faults += [fault for budget in budgets if (fault := budget.fault())]
    both = ~(np.isnan(challenger) | np.isnan(champion))
    if (rows := int(both.sum())) == 0:
        return _without_rows(faults, rows_min)
    gains = (np.abs(champion - true) - np.abs(challenger - true))[both]
    difference = round(float(gains.mean()), 4)
    low, high = interval(gains, error_rate, bootstrap=bootstrap, seed=seed)
    verdict, reason = _by_interval(low, high, minimum_effect, rows, rows_min)
    needed = None
    if faults:
        verdict = "rejected"
    elif verdict == "not enough evidence":
        spread = float(gains.std(ddof=1)) if rows > 1 else 0.0
        needed = rows_needed(difference, spread, minimum_effect, error_rate=error_rate, power=power)
        needed = None if needed is None else max(needed, rows_min, rows + 1)
    return Decision(verdict, difference, low, high, rows, needed, (*faults, reason))


def _without_rows(faults: list[str], rows_min: int) -> Decision:
    """The decision where no row has two answers."""
    reasons = (*faults, "there is no row that both could answer")
    if faults:
        return Decision("rejected", None, None, None, 0, None, reasons)
    return Decision("not enough evidence", None, None, None, 0, rows_min, reasons)


def _require_complete(true: Floats, challenger: Floats, champion: Floats) -> None:
    """Raise ValueError where the three differ in length or a true price is missing."""
    if not len(true) == len(challenger) == len(champion) or np.isnan(true).any():
        raise ValueError(
            f"{len(true)} true prices, {len(challenger)} and {len(champion)} answers: "
            "there has to be one of each for every row, and no true price may be missing"
        )


def interval(gains: Floats, error_rate: float, *, bootstrap: int, seed: int) -> tuple[float, float]:
    """Interval of the mean of `gains`, (n,) dollars by row, of confidence 1 - 2 * error_rate.

    The wider, at either end, of the percentile and the studentized bootstrap interval of the mean (Efron and
    Tibshirani 1993, chapters 13 and 12), within the range of the gains. The percentile interval alone is too
    short on the side of a long tail: a challenger that wins a little on most rows and loses much on few would
    be promoted several times as often as `error_rate` says (tests/promotion/test_gate.py has the case).
    """
    rows, mean = len(gains), gains.mean()
    if np.ptp(gains) == 0:
        return round(float(mean), 4), round(float(mean), 4)
    generator = np.random.default_rng(seed)
    step = max(1, DRAWS_AT_ONCE // rows)
    means, errors = np.empty(bootstrap), np.empty(bootstrap)
    for start in range(0, bootstrap, step):
        samples = gains[generator.integers(0, rows, (min(step, bootstrap - start), rows))]
        means[start : start + step] = samples.mean(axis=1)
        errors[start : start + step] = samples.std(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        studentized = (means - mean) / errors  # infinite where a draw has no spread: it is not left out
    studentized[np.isnan(studentized)] = 0.0
    ends = (error_rate, 1 - error_rate)
    least, most = np.quantile(means, ends)
    below, above = np.quantile(studentized, ends, method="nearest") * gains.std()
    low = max(min(least, mean - above), gains.min())
    high = min(max(most, mean - below), gains.max())
    return round(float(low), 4), round(float(high), 4)


def rows_needed(
    difference: float, spread: float, minimum_effect: float, *, error_rate: float, power: float
) -> int | None:
    """Rows on which a true difference like the observed one would leave the minimum effect outside its
    interval with probability `power`; None where the difference is the minimum effect.

    Normal approximation for the mean of paired differences (Cohen 1988, chapter 2), z the standard normal
    quantile and s = `spread` the standard deviation of the differences by row, in dollars:

        n = ((z(1 - error_rate) + z(power)) * s / (difference - minimum_effect)) ** 2, rounded up
    """
    distance = difference - minimum_effect
    if distance == 0:
        return None
    normal = NormalDist()
    return ceil(((normal.inv_cdf(1 - error_rate) + normal.inv_cdf(power)) * spread / distance) ** 2)


def _by_interval(
    low: float, high: float, minimum_effect: float, rows: int, rows_min: int
) -> tuple[Verdict, str]:
    """The verdict of the interval alone, and the reason."""
    interval = f"the interval from {low:+.2f} to {high:+.2f} dollars"
    if rows < rows_min:
        return "not enough evidence", f"{rows} rows that both could answer; at least {rows_min} are needed"
    if low > minimum_effect:
        return "promoted", f"{interval} lies above the minimum effect of {minimum_effect:g}"
    if high < minimum_effect:
        return "rejected", f"{interval} lies below the minimum effect of {minimum_effect:g}"
    return "not enough evidence", f"{interval} holds the minimum effect of {minimum_effect:g}"


def _unreadable(challenger: Floats, champion: Floats, share_max: float) -> list[str]:
    """What is wrong with the rows that the challenger did not answer."""
    silent, before = int(np.isnan(challenger).sum()), int(np.isnan(champion).sum())
    faults = []
    if fault := Budget("unparsed share", silent / max(len(challenger), 1), at_most=share_max).fault():
        faults.append(fault)
    if silent > before:
        faults.append(f"{silent} rows without a readable answer, {before} of the champion")
    return faults
