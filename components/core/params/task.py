"""Section `task` of params.yaml: what is predicted, the question in a prompt, the range of the answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from components.core.params.section import Count, Section


class Number(Section):
    """A number is predicted."""

    unit: Annotated[str, Field(min_length=1)]
    """What it counts, in the plural: for people, behind the figures of tables and messages."""
    max: Count
    """Answers run from 0 to this, in whole numbers."""


class Task(Section):
    """What is predicted of a listing, and what stands around it in a prompt."""

    kind: Literal["number"]
    """A file of components/tasks/."""
    question: Annotated[str, Field(min_length=1)]
    """Stands before the listing."""
    tokens: Annotated[int, Field(ge=32)]
    """Longest prompt; of a longer one the end of the listing is cut, never the question."""
    number: Number
