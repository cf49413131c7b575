"""Section `blend` of params.yaml: language model and ridge regression as one model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.core.params.section import Count, Section


class Blend(Section):
    """Language model and ridge regression as one model, by weights fitted on the preference split."""

    shrinkage: Annotated[float, Field(ge=0)]
    """Pull of the weights towards equal ones; a hundred rows outweigh 10."""
    batch_size: Count
