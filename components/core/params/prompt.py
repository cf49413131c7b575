"""Section `prompt` of params.yaml: the question in every prompt, and the range of its answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.core.params.section import Count, Section


class Prompt(Section):
    """What stands around a listing, and which prices an answer may have."""

    question: Annotated[str, Field(min_length=1)]
    """Stands before the listing."""
    tokens: Annotated[int, Field(ge=32)]
    """Longest prompt; of a longer one the end of the listing is cut, never the question."""
    price_max: Count
    """Dollars: answers run from 0 to this in whole dollars."""
