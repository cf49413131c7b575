"""Section `serve` of params.yaml: the service that answers with the champion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.core.params.section import Count, Section


class Serve(Section):
    """The service that answers with the champion. No stage reads it."""

    host: Annotated[str, Field(min_length=1)]
    """What the service listens on: 127.0.0.1 for this machine alone. Anything else needs a token in
    PRICEWRIGHT_SERVE_TOKEN."""
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
    body_bytes_max: Count
    """Most bytes of a request's body."""
    requests_per_minute: Count
    """Requests of one client in a minute, after as many at once; further ones are refused with 429."""
    store: Annotated[str, Field(min_length=1)] | None
    """Where requests and answers are kept, an address of SQLAlchemy; null keeps none. The password of a
    PostgreSQL goes into PGPASSWORD."""
    keep_input: bool
    """Whether the input itself is kept, or its SHA-256 alone."""
    keep_days: Annotated[float, Field(gt=0)]
    """Days after which a request is forgotten."""
    shadow: Literal["challenger"] | None
    """Alias of a version that answers the same requests unheard; null for none."""
    canary: Annotated[float, Field(ge=0, lt=1)]
    """Share of all requests, by a hash of their key, that the challenger answers."""
    bands: Annotated[list[float], Field(min_length=1)]
    """Upper bounds, rising, by which /metrics counts the numbers that are answered."""

    @model_validator(mode="after")
    def _rising(self) -> Serve:
        if sorted(set(self.bands)) != self.bands:
            raise ValueError(f"bands {self.bands} do not rise")
        return self
