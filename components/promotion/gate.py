"""The promotion gate: is the challenger really better than the champion? Plain numpy, no file, no registry.

Both answered the same rows, and each row has a loss, by its task (components/tasks/): the gate knows no more
of what is predicted. The difference is the mean loss of the champion minus that of the challenger: above 0
the challenger is better. Its interval is a paired bootstrap over the products (`interval`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, isnan
from statistics import NormalDist
from typing import Literal

import numpy as np

from components.evaluation.resampling import Floats, Products, contributions, drawn, numbered

Verdict = Literal["promoted", "rejected", "not enough evidence"]


@dataclass(frozen=True)
class Budget:
    """A figure of the challenger that has to stay within limits, whatever its loss."""

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
    """Mean loss by which the challenger is better on rows that both could answer; None without any."""
    low: float | None
    high: float | None
    rows: int
    """Rows that both could answer."""
    products: int
    """Products of these rows: what the interval counts as evidence, and the params' `rows_min` too."""
    rows_needed: int | None
    """Products, with as many rows each as here, on which a difference like this would be settled; None where
    there is nothing to settle, or where the difference is the minimum effect itself, which no number of rows
    tells apart."""
    reasons: tuple[str, ...]
    """For a person, the weightiest first."""


def decide(
    challenger: Floats,
    champion: Floats,
    products: Products,
    *,
    unit: str,
    minimum_effect: float,
    error_rate: float,
    power: float,
    rows_min: int,
    bootstrap: int,
    seed: int,
    unparsed_share_max: float,
    budgets: Sequence[Budget] = (),
) -> Decision:
    """Compare the losses of challenger and champion on the same rows; (n,) in `unit`, NaN without an answer.

    With (low, high) its paired interval over `products` (n,), of confidence 1 - 2 * error_rate:

    - rejected where a budget is broken, or high < minimum_effect;
    - promoted where low > minimum_effect, every budget holds and there are `rows_min` products;
    - not enough evidence otherwise, with `rows_needed`.

    Rows without an answer have no loss. So that falling silent on hard rows never helps, a challenger with
    more of them than the champion or `unparsed_share_max` is rejected. Raises ValueError where the three
    differ in length.
    """
    _require_same_length(challenger, champion, products)
    broken = faults(challenger, champion, unparsed_share_max, budgets)
    both = ~(np.isnan(challenger) | np.isnan(champion))
    if (rows := int(both.sum())) == 0:
        return _without_rows(broken, rows_min)
    gains = (champion - challenger)[both]
    difference = round(float(gains.mean()), 4)
    count = int((number := numbered(products[both])).max()) + 1
    low, high = interval(gains, number, error_rate, bootstrap=bootstrap, seed=seed)
    between = f"the interval from {shown(low, unit)} to {in_unit(high, unit)}"
    verdict, reason = by_interval(low, high, minimum_effect, count, rows_min, between, "products")
    needed = None
    if broken:
        verdict = "rejected"
    elif verdict == "not enough evidence":
        deviation, least = spread(gains, number), max(rows_min, count + 1)
        needed = rows_needed(difference, deviation, minimum_effect, least, error_rate=error_rate, power=power)
    return Decision(verdict, difference, low, high, rows, count, needed, (*broken, reason))


def shown(difference: float, unit: str) -> str:
    """A difference of losses for a person: with two decimals in a unit, with four where it is one of shares,
    which have none.
    """
    return f"{difference:+.{2 if unit else 4}f}"


def in_unit(difference: float, unit: str) -> str:
    """The same with its unit behind it."""
    return f"{shown(difference, unit)} {unit}".rstrip()


def _without_rows(broken: list[str], rows_min: int) -> Decision:
    """The decision where no row has two answers."""
    reasons = (*broken, "there is no row that both could answer")
    if broken:
        return Decision("rejected", None, None, None, 0, 0, None, reasons)
    return Decision("not enough evidence", None, None, None, 0, 0, rows_min, reasons)


def _require_same_length(challenger: Floats, champion: Floats, products: Products) -> None:
    if not len(challenger) == len(champion) == len(products):
        raise ValueError(
            f"{len(challenger)} and {len(champion)} losses, {len(products)} products: each row has one"
        )


def interval(
    gains: Floats, products: Products, error_rate: float, *, bootstrap: int, seed: int
) -> tuple[float, float]:
    """Interval of the mean of `gains`, (n,) by row, of confidence 1 - 2 * error_rate; the rows are
    resampled by `products`, (n,).

    The wider, at either end, of the percentile and the studentized bootstrap interval of the mean (Efron and
    Tibshirani 1993, chapters 13 and 12), within the range of the gains. The percentile interval alone is too
    short on the side of a long tail: a challenger that wins a little on most rows and loses much on few would
    be promoted several times as often as `error_rate` says (tests/promotion/test_gate.py has the case). The
    mean over products of unequal size is a ratio; its standard error is the linearized one (Cochran 1977,
    section 6.4).
    """
    mean = gains.mean()
    if np.ptp(gains) == 0:
        return round(float(mean), 4), round(float(mean), 4)
    sums, sizes = contributions(gains, numbered(products))
    steps = drawn(len(sums), bootstrap=bootstrap, seed=seed, width=len(sums))
    draws = [_mean_and_error(sums, sizes, counts) for counts in steps]
    means, errors = (np.concatenate(column) for column in zip(*draws, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        studentized = (means - mean) / errors  # infinite where a draw has no spread: it is not left out
    studentized[np.isnan(studentized)] = 0.0
    ends = (error_rate, 1 - error_rate)
    least, most = np.quantile(means, ends)
    [own] = _mean_and_error(sums, sizes, np.ones((1, len(sums))))[1]
    below, above = np.quantile(studentized, ends, method="nearest") * own
    low = max(min(least, mean - above), gains.min())
    high = min(max(most, mean - below), gains.max())
    return round(float(low), 4), round(float(high), 4)


def _mean_and_error(sums: Floats, sizes: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """The mean over rows and its standard error in each draw, (draws,) each, by how often a draw has each
    product, (draws, products), and the sums and row counts of the products.
    """
    rows = (counts * sizes).sum(axis=1)
    means = (counts * sums).sum(axis=1) / rows
    residuals = sums - means[:, None] * sizes
    return means, np.sqrt((counts * residuals**2).sum(axis=1)) / rows


def spread(gains: Floats, products: Products) -> float:
    """Standard deviation of what a product adds to the mean of `gains`, (n,) by row: over the root of
    the count of products it is the mean's standard error. With one row a product, that of the gains; 0.0
    where there is one product.
    """
    sums, sizes = contributions(gains, numbered(products))
    if len(sums) < 2:
        return 0.0
    return float(((sums - gains.mean() * sizes) / sizes.mean()).std(ddof=1))


def rows_needed(
    difference: float,
    deviation: float,
    minimum_effect: float,
    least: int,
    *,
    error_rate: float,
    power: float,
) -> int | None:
    """Products on which a true difference like the observed one would leave the minimum effect outside its
    interval with probability `power`, at `least` so many; None where the difference is the minimum effect.

    Normal approximation for the mean of paired differences (Cohen 1988, chapter 2), z the standard normal
    quantile and s = `deviation` what `spread` gives:

        n = ((z(1 - error_rate) + z(power)) * s / (difference - minimum_effect)) ** 2, rounded up
    """
    distance = difference - minimum_effect
    if distance == 0:
        return None
    normal = NormalDist()
    quantiles = normal.inv_cdf(1 - error_rate) + normal.inv_cdf(power)
    return max(ceil((quantiles * deviation / distance) ** 2), least)


def by_interval(
    low: float, high: float, minimum_effect: float, count: int, least: int, interval: str, counted: str
) -> tuple[Verdict, str]:
    """The verdict of the interval from `low` to `high` alone, and the reason, for which `interval` names it;
    nothing is settled by fewer than `least` of what is `counted`.
    """
    if count < least:
        reason = f"{count} {counted} that both could answer; at least {least} are needed"
        return "not enough evidence", reason
    if low > minimum_effect:
        return "promoted", f"{interval} lies above the minimum effect of {minimum_effect:g}"
    if high < minimum_effect:
        return "rejected", f"{interval} lies below the minimum effect of {minimum_effect:g}"
    return "not enough evidence", f"{interval} holds the minimum effect of {minimum_effect:g}"


def faults(challenger: Floats, champion: Floats, share_max: float, budgets: Sequence[Budget]) -> list[str]:
    """What is wrong with the challenger whatever its loss: rows without an answer, broken budgets."""
    silent, before = int(np.isnan(challenger).sum()), int(np.isnan(champion).sum())
    share = Budget("unparsed share", silent / max(len(challenger), 1), at_most=share_max)
    fewer = [f"{silent} rows without a readable answer, {before} of the champion"] if silent > before else []
    broken = [share.fault(), *fewer, *(budget.fault() for budget in budgets)]
    return [fault for fault in broken if fault]
