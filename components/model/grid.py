"""The numbers that may be answered, an even grid, and what a distribution over them says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from components.model.answers import Floats
from components.model.prompt import parse_number


@dataclass(frozen=True)
class Grid:
    """The numbers from `low` to `high` by `step`. A distribution over them has a column for each, in order;
    a row of NaN is no answer. See `AnswerSet`.
    """

    low: float
    high: float
    step: float
    logarithmic: bool
    """Whether ratios count, as of what things are worth, and not differences, as of temperatures."""

    @cached_property
    def values(self) -> Floats:
        """Every number, (numbers,), ascending."""
        count = round((self.high - self.low) / self.step) + 1
        return np.round(self.low + self.step * np.arange(count), self.decimals) + 0.0  # no -0.0

    @cached_property
    def decimals(self) -> int:
        """As many as low end and step are written with."""
        return max(len(f"{value:.9f}".rstrip("0").partition(".")[2]) for value in (self.low, self.step))

    @cached_property
    def spelled(self) -> tuple[str, ...]:
        """Every number as it is written, all with the same decimals."""
        return tuple(f"{value:.{self.decimals}f}" for value in self.values)

    def steps(self, numbers: ArrayLike) -> Floats:
        """How many steps above the low end each of `numbers` is, (n,)."""
        return np.round((np.asarray(numbers, float) - self.low) / self.step, 6)

    def places(self, numbers: ArrayLike) -> NDArray[np.int64]:
        """The column of the nearest number for each of `numbers`, (n,), halves up; of one beyond the grid
        that of its end. Raises ValueError for NaN.
        """
        steps = np.floor(self.steps(numbers) + 0.5)
        if np.isnan(steps).any():
            raise ValueError("a number is missing")
        return np.clip(steps, 0, len(self.values) - 1).astype(np.int64)

    def spell(self, number: float) -> str:
        """The nearest number of the grid, as it is written."""
        return self.spelled[int(self.places(number))]

    def read(self, completion: str) -> float | None:
        """The number that a completion begins with, on the grid or not; None where it begins with none."""
        return parse_number(completion)

    def clipped(self, answers: ArrayLike) -> Floats:
        """Numbers beyond the grid as its ends, (n,): else one in millions would decide a mean."""
        return np.clip(np.asarray(answers, float), self.low, self.high)

    # --- the loss of an answer ------------------------------------------------------------------------------

    def size(self, target: float) -> float:
        """How far a number is from 0."""
        return abs(target)

    @property
    def loss_max(self) -> float:
        """From one end to the other."""
        return self.high - self.low

    def loss(self, true: ArrayLike, answers: ArrayLike, under_cost: float = 1.0) -> Floats:
        """The absolute error of each answer, in the unit of the number, broadcast; one below the true number
        counts `under_cost` times. NaN where there is no answer.
        """
        over = np.asarray(answers, float) - np.asarray(true, float)
        return np.maximum(over, -under_cost * over)

    def moved(self, before: ArrayLike, after: ArrayLike, share: float) -> NDArray[np.bool_]:
        """Which numbers changed by more than a share of what they were, or of a step where they were less,
        (n,); where one of the two is none (NaN), it has.
        """
        before, after = np.asarray(before, float), np.asarray(after, float)
        still = np.abs(after - before) <= share * np.maximum(np.abs(before), self.step)
        return ~(still | (np.isnan(before) & np.isnan(after)))

    def expected_losses(self, distribution: NDArray[np.floating], under_cost: float) -> Floats:
        """E|number - Y| of every number of the grid, (n, numbers), with Y from the row's distribution, both a
        step higher and on the scale, where a number below Y costs `under_cost` times as much; zeros for NaN.
        """
        masses = np.nan_to_num(np.asarray(distribution, dtype=float))
        scaled = self.scaled(self.values + self.step)
        below, weighted = masses.cumsum(axis=1), (masses * scaled).cumsum(axis=1)
        over = scaled * below - weighted
        under = (weighted[:, -1:] - weighted) - scaled * (below[:, -1:] - below)
        return over + under_cost * under

    def center(self, answers: ArrayLike) -> float:
        """The median of some answers that were sampled; NaN where there is none."""
        known = np.asarray(answers, float)
        known = known[~np.isnan(known)]
        return float(np.median(known)) if len(known) else float("nan")

    # --- a distribution over the grid, (n, numbers) --------------------------------------------------------

    def quantile(self, distribution: NDArray[np.floating], q: float | Floats) -> Floats:
        """The smallest number whose cumulative probability reaches `q`, (n,); NaN for NaN.

        `q` is a single level, or a level for each row.
        """
        levels = np.broadcast_to(np.clip(q, 0.0, 1 - 1e-6), len(distribution))
        reached = np.cumsum(distribution, axis=1, dtype=np.float64) >= levels[:, None]
        return np.where(np.isnan(distribution[:, 0]), np.nan, self.values[reached.argmax(axis=1)])

    def median(self, distribution: NDArray[np.floating]) -> Floats:
        """The number that minimizes the expected absolute error, (n,)."""
        return self.quantile(distribution, 0.5)

    def point(self, distribution: NDArray[np.floating]) -> Floats:
        """The median."""
        return self.median(distribution)

    def mean(self, distribution: NDArray[np.floating]) -> Floats:
        """The expected number, which minimizes the expected squared error, (n,)."""
        return distribution @ self.values

    def mode(self, distribution: NDArray[np.floating]) -> Floats:
        """The likeliest number, the lowest of equals, (n,)."""
        return np.where(np.isnan(distribution[:, 0]), np.nan, self.values[distribution.argmax(axis=1)])

    # --- the scale on which numbers are compared -----------------------------------------------------------

    def scaled(self, numbers: ArrayLike) -> Floats:
        """Natural logarithms, of what is below one step as of one step; or the numbers themselves."""
        numbers = np.asarray(numbers, float)
        return np.log(np.maximum(numbers, self.step)) if self.logarithmic else numbers

    def unscaled(self, scaled: ArrayLike) -> Floats:
        """The numbers that `scaled` makes these of, (n,), none of them beyond the grid."""
        held = np.minimum(np.asarray(scaled, float), self.scaled(self.high) + 1)  # exp() must not overflow
        return np.clip(np.exp(held) if self.logarithmic else held, self.low, self.high)

    @cached_property
    def bounds(self) -> Floats:
        """Between the numbers, (numbers + 1,): each number stands for what rounds to it."""
        ends = self.low - self.step / 2, self.high + self.step / 2
        bounds = np.concatenate([[ends[0]], (self.values[1:] + self.values[:-1]) / 2, [ends[1]]])
        return np.maximum(bounds, 0.0) if self.logarithmic else bounds

    @cached_property
    def edges(self) -> Floats:
        """The bounds on the scale; the first and the last number stand for all beyond them too."""
        inner = self.bounds[1:-1]
        return np.concatenate([[-np.inf], np.log(inner) if self.logarithmic else inner, [np.inf]])
