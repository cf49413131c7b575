"""The numbers that may be answered, an even grid, and what a distribution over them says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """The numbers from `low` to `high` by `step`. A distribution over them has a column for each, in order;
    a row of NaN is no answer.
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
