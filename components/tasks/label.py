"""A label is predicted: the loss of a row is 0 where it is right and 1 where it is wrong.

The likeliest label of a predicted distribution minimizes it in expectation. Targets and answers are places
among the names (class indices) wherever they are computed with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from components.core.params.task import Task
from components.model.labels import Labels


@dataclass(frozen=True)
class LabelTask:
    """What is asked, and what may be answered: one of a few names, which completions spell out."""

    section: Task
    """Its `label.names` are not empty; see `load_task`."""
    kind = "label"
    measure = "error rate"
    """What the mean loss is called."""
    measured = "error rate"
    """The same at length."""
    unit = ""
    """A share has none."""
    digits = 4
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

    @cached_property
    def answers(self) -> Labels:
        """The names."""
        return Labels(tuple(self.section.label.names))

    @property
    def instruction(self) -> str:
        """What a chat model is told beside the question."""
        return f"Answer with one of these and nothing else: {'; '.join(self.answers.names)}."

    @property
    def spelled(self) -> tuple[str, ...]:
        """Every answer as it is written."""
        return self.answers.spelled

    def completion(self, target: float) -> str:
        """The answer that is right for a target: its name after a space."""
        return self.answers.spell(target)

    def best_by_law(self, law: pd.DataFrame) -> pd.Series:
        """The best answers there are, by address, from a table of `Law`; NaN where it knows none: what is
        planted in it is a category.
        """
        known = law.set_index("address")["label"].map(self.answers.place).astype(float)
        return known if self.section.label.column == "category" else known * float("nan")

    def shown(self, answer: float) -> str:
        """A target or an answer, for people."""
        return self.answers.name(answer)
