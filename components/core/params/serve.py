"""Section `serve` of params.yaml: the service that answers with the champion."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.core.params.section import Count, Section


class Serve(Section):
    """The service that answers with the champion. No stage reads it."""

    poll_seconds: Annotated[float, Field(gt=0)]
    """Seconds between two looks at the alias that is followed."""
    probe_tolerance: Annotated[float, Field(ge=0, lt=1)]
    """Largest relative difference of a number that a version answers to its registered example from the one
    that it was registered with."""
    batch_milliseconds: Annotated[float, Field(ge=0)]
    """Milliseconds that the first row of a batch waits for others to join."""
    batch_max: Count
    """Most rows that go through the model together."""
    queue_max: Count
    """Most rows that wait; further ones are refused with 429. Also the most rows of one request."""
    timeout_seconds: Annotated[float, Field(gt=0)]
    """Seconds within which a request is answered, or refused with 504; a model that takes as long for one
    batch is started anew."""
