"""Section `retrain` of params.yaml: when a version is trained anew."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.core.params.section import Count, Section


class Retrain(Section):
    """When a version is trained anew. No stage reads it: the flow `retrain` does."""

    rows_min: Count
    """Requests whose answer came true since the last version learned, from which a new one is due without an
    alarm."""
    days: Annotated[float, Field(gt=0)]
    """Days back from which requests are learned from: older ones may teach what no longer holds."""
    queue_rows: Annotated[int, Field(ge=0)]
    """Requests that wait for a person on the ranking page: those whose answers were the least certain."""
