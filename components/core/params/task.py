"""Section `task` of params.yaml: what is predicted of a listing, and how a prompt asks for it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.core.params.section import Section

ANSWERS_MAX = 100_000  # a distribution over more would not fit into memory for many listings


class Number(Section):
    """A number is predicted."""

    unit: Annotated[str, Field(min_length=1)]
    """What it counts, in the plural: for people, behind the figures of tables and messages."""
    min: float
    """Listings below it are rejected."""
    max: float
    """Listings above it are rejected."""
    step: Annotated[float, Field(gt=0)]
    """Answers are the multiples of it from min to max."""
    logarithmic: bool
    """Whether ratios count, as of what things are worth, and not differences, as of temperatures."""

    @model_validator(mode="after")
    def _ordered(self) -> Number:
        if self.min >= self.max:
            raise ValueError(f"min {self.min:g} is not below max {self.max:g}")
        if self.logarithmic and self.min <= 0:
            raise ValueError(f"min {self.min:g} has no logarithm: raise it, or set logarithmic to false")
        if (self.max - self.min) / self.step > ANSWERS_MAX:
            raise ValueError(
                f"from {self.min:g} to {self.max:g} by {self.step:g} are more than {ANSWERS_MAX:,} answers: "
                "take a larger step"
            )
        return self


class Task(Section):
    """What is predicted of a listing, and what stands around it in a prompt."""

    kind: Literal["number"]
    """A file of components/tasks/."""
    question: Annotated[str, Field(min_length=1)]
    """Stands before the listing."""
    answer: Annotated[str, Field(pattern=r"\S$")]
    """Stands after it, and is how every answer begins; it ends in a sign."""
    tokens: Annotated[int, Field(ge=32)]
    """Longest prompt; of a longer one the end of the listing is cut, never the question."""
    number: Number
