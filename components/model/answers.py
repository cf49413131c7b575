"""What may be answered: a finite set, numbers on a grid or labels."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class AnswerSet(Protocol):
    """A finite set of answers. In arrays and tables an answer is a float: a number is itself, a label its
    place among the names (a class index), and NaN is no answer. A distribution over the set has a column for
    each, in order; a row of NaN is no answer.
    """

    @property
    def values(self) -> Floats:
        """Every answer, (answers,), ascending."""

    @property
    def spelled(self) -> tuple[str, ...]:
        """Every answer as it is written in a completion."""

    @property
    def loss_max(self) -> float:
        """The largest loss of an answer of the set."""

    def size(self, target: float) -> float:
        """A loss that is large for a target."""

    def spell(self, target: float) -> str:
        """The answer that is right for a target, as it is written in a completion."""

    def read(self, completion: str) -> float | None:
        """The answer that a completion begins with, None where it begins with none."""

    def clipped(self, answers: ArrayLike) -> Floats:
        """The answers, (n,), those beyond the set as its ends, where it has ends."""

    def places(self, answers: ArrayLike) -> NDArray[np.int64]:
        """The column of each of `answers`, (n,). Raises ValueError for NaN."""

    def point(self, distribution: NDArray[np.floating]) -> Floats:
        """The answer with the lowest expected loss, (n,); NaN for NaN."""

    def center(self, answers: ArrayLike) -> float:
        """The same of some answers that were sampled, NaN among them left out; NaN where none is left."""

    def loss(self, true: ArrayLike, answers: ArrayLike, under_cost: float = 1.0) -> Floats:
        """The loss of each answer, broadcast; NaN where there is no answer. One that is too low counts
        `under_cost` times, where answers have an order.
        """

    def moved(self, before: ArrayLike, after: ArrayLike, share: float) -> NDArray[np.bool_]:
        """Which answers changed by more than so large a share of what they were, (n,), labels at all."""

    def expected_losses(self, distribution: NDArray[np.floating], under_cost: float) -> Floats:
        """The loss of every answer that each row of a distribution expects, (n, answers), on the scale on
        which answers are compared; zeros for NaN.
        """
