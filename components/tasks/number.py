"""A number is predicted: the loss of a row is the absolute error, in the unit of the number.

The median of a predicted distribution minimizes it in expectation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from components.core.params.task import Task
from components.model.grid import Grid


@dataclass(frozen=True)
class NumberTask:
    """What is asked, and what may be answered: the numbers of a grid."""

    section: Task
    kind = "number"
    measure = "MAE"
    """What the mean loss is called."""
    measured = "mean absolute error"
    """The same at length."""
    digits = 2
    """Of a mean loss in a table."""

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
    def answers(self) -> Grid:
        """The multiples of the step from min to max; the ends lie within the first and the last step."""
        number = self.section.number
        low, high = (
            step * number.step
            for step in (math.floor(number.min / number.step), math.ceil(number.max / number.step))
        )
        return Grid(low, high, number.step, number.logarithmic)

    @property
    def instruction(self) -> str:
        """What a chat model is told beside the question."""
        return f"Answer with a number of {self.unit} and nothing else."

    @property
    def spelled(self) -> tuple[str, ...]:
        """Every answer as it is written."""
        return self.answers.spelled

    def completion(self, target: float) -> str:
        """The answer that is right for a target: the nearest number of the grid, halves up."""
        return self.answers.spell(target)

    def best_by_law(self, law: pd.DataFrame) -> pd.Series:
        """The best answers there are, by address, from a table of `Law`; NaN where it knows none."""
        return law.set_index("address")["median"].astype(float)

    def shown(self, answer: float) -> str:
        """A target or an answer, for people."""
        return f"{answer:.2f} {self.unit}"
