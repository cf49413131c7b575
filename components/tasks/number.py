"""A number is predicted: the loss of a row is the absolute error, in the unit of the number.

The median of a predicted distribution minimizes it in expectation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from components.core.params.task import Task
from components.model.grid import Floats, Grid


@dataclass(frozen=True)
class NumberTask:
    """What is asked, and what may be answered: the numbers of a grid."""

    section: Task

    @property
    def question(self) -> str:
        """Before a listing."""
        return self.section.question

    @property
    def answer(self) -> str:
        """After it."""
        return self.section.answer

    @property
    def tokens(self) -> int:
        """Longest prompt."""
        return self.section.tokens

    @property
    def unit(self) -> str:
        """What the number and the loss count, in the plural."""
        return self.section.number.unit

    @cached_property
    def grid(self) -> Grid:
        """The multiples of the step from min to max; the ends lie within the first and the last step."""
        number = self.section.number
        low, high = (
            step * number.step
            for step in (math.floor(number.min / number.step), math.ceil(number.max / number.step))
        )
        return Grid(low, high, number.step, number.logarithmic)

    @property
    def spelled(self) -> tuple[str, ...]:
        """Every answer as it is written."""
        return self.grid.spelled

    def completion(self, target: float) -> str:
        """The answer that is right for a target: the nearest number of the grid, halves up."""
        return self.grid.spell(target)


def loss(true: Floats, predicted: Floats) -> NDArray[np.float64]:
    """The loss of each row, (n,), in the unit of the number; NaN where `predicted` is NaN: no answer."""
    return np.abs(predicted - true)
