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


class Label(Section):
    """A label is predicted."""

    column: Annotated[str, Field(min_length=1)]
    """Which column of a listing holds it: category, brand, or the name of a specification."""
    names: list[Annotated[str, Field(pattern=r"^\S(.*\S)?$")]]
    """The labels; empty: all that `rows_min` listings have. A listing with another one is rejected."""
    rows_min: Annotated[int, Field(ge=2)]
    """A label that fewer listings have is too rare to be learned and to be judged."""

    @model_validator(mode="after")
    def _distinct(self) -> Label:
        if repeated := [name for name in dict.fromkeys(self.names) if self.names.count(name) > 1]:
            raise ValueError(f"names has {repeated[0]!r} twice")
        if len(self.names) == 1:
            raise ValueError("names has a single label: there is nothing to tell apart")
        return self


class Task(Section):
    """What is predicted of a listing, and what stands around it in a prompt."""

    kind: Literal["number", "label"]
    """A file of components/tasks/."""
    question: Annotated[str, Field(min_length=1)]
    """Stands before the listing."""
    answer: Annotated[str, Field(pattern=r"\S$")]
    """Stands after it, and is how every answer begins; it ends in a sign."""
    tokens: Annotated[int, Field(ge=32)]
    """Longest prompt; of a longer one the end of the listing is cut, never the question."""
    number: Number
    """Read where the kind is `number`."""
    label: Label
    """Read where the kind is `label`."""
