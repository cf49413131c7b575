"""The labels that may be answered, and what a distribution over them says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from components.model.answers import Floats


@dataclass(frozen=True)
class Labels:
    """Names without an order; each is known by its place among them. See `AnswerSet`."""

    names: tuple[str, ...]

    @cached_property
    def values(self) -> Floats:
        """The places, (labels,)."""
        return np.arange(len(self.names), dtype=np.float64)

    @cached_property
    def spelled(self) -> tuple[str, ...]:
        """Every name after a space, as a word follows a colon."""
        return tuple(f" {name}" for name in self.names)

    @property
    def loss_max(self) -> float:
        """Of a wrong label."""
        return 1.0

    def size(self, target: float) -> float:  # noqa: ARG002
        """That of a mistake."""
        return self.loss_max

    def spell(self, target: float) -> str:
        """The name at that place, after a space."""
        return self.spelled[int(target)]

    def read(self, completion: str) -> float | None:
        """The place of the longest name that a completion begins with, and that ends there with its word."""
        text = completion.strip()
        begun = [place for place, name in enumerate(self.names) if _begins(text, name)]
        return float(max(begun, key=lambda place: len(self.names[place]))) if begun else None

    def place(self, name: str) -> float | None:
        """The place of a name, None for one that is not among them."""
        return float(self.names.index(name)) if name in self.names else None

    def name(self, answer: float) -> str:
        """The name of an answer."""
        return self.names[int(answer)]

    def clipped(self, answers: ArrayLike) -> Floats:
        """The answers as they are, (n,): labels have no ends."""
        return np.asarray(answers, float)

    def places(self, answers: ArrayLike) -> NDArray[np.int64]:
        """The answers themselves, (n,), as whole numbers. Raises ValueError for NaN."""
        numbers = np.asarray(answers, float)
        if np.isnan(numbers).any():
            raise ValueError("a label is missing")
        return numbers.astype(np.int64)

    def point(self, distribution: NDArray[np.floating]) -> Floats:
        """The likeliest label, the first of equals, (n,); NaN for NaN. It minimizes the expected 0/1 loss."""
        silent = np.isnan(distribution[:, 0])
        return np.where(silent, np.nan, np.nan_to_num(distribution).argmax(axis=1).astype(float))

    def center(self, answers: ArrayLike) -> float:
        """The commonest label, the first of equals; NaN where there is none."""
        known = np.asarray(answers, float)
        known = known[~np.isnan(known)].astype(int)
        return float(np.bincount(known).argmax()) if len(known) else float("nan")

    def loss(self, true: ArrayLike, answers: ArrayLike, under_cost: float = 1.0) -> Floats:  # noqa: ARG002
        """0 where a label is right, 1 where it is wrong, NaN where there is none: labels have no order, so
        that none is too low.
        """
        true, answers = np.asarray(true, float), np.asarray(answers, float)
        wrong = (true != answers).astype(float)
        return np.where(np.isnan(true) | np.isnan(answers), np.nan, wrong)

    def moved(self, before: ArrayLike, after: ArrayLike, share: float) -> NDArray[np.bool_]:  # noqa: ARG002
        """Which labels changed, (n,)."""
        before, after = np.asarray(before, float), np.asarray(after, float)
        return ~((before == after) | (np.isnan(before) & np.isnan(after)))

    def expected_losses(
        self,
        distribution: NDArray[np.floating],
        under_cost: float,  # noqa: ARG002
    ) -> Floats:
        """The probability that each label is wrong, (n, labels); zeros for NaN."""
        masses = np.asarray(distribution, dtype=float)
        return np.where(np.isnan(masses), 0.0, 1.0 - masses)


def _begins(text: str, name: str) -> bool:
    return text.startswith(name) and not text[len(name) : len(name) + 1].isalnum()
