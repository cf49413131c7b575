"""Section `evaluate` of params.yaml: how every candidate is measured."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from components.core.params.section import Count, Section, Seed, Share


class Endpoint(Section):
    """An OpenAI-compatible chat endpoint whose answers are compared."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][\w.-]*$")]
    """Of the candidate in the tables."""
    url: Annotated[str, Field(pattern=r"^https?://")]
    """What stands before `/chat/completions`."""
    model: str
    key_variable: str | None
    """Environment variable that holds the key; null where none is needed."""
    options: dict[str, Any]
    """Further fields of the request, such as `temperature` or `max_completion_tokens`."""
    rows: Count
    """Test rows that it answers, from the first on."""
    requests_per_minute: Annotated[float, Field(gt=0)]
    concurrency: Count
    """Requests under way at a time."""
    timeout_seconds: Annotated[float, Field(gt=0)]
    attempts: Count
    """Before an answer is given up, and the stage with it."""
    cost_in: Annotated[float, Field(ge=0)]
    """For a million tokens of prompts, in one currency for all endpoints."""
    cost_out: Annotated[float, Field(ge=0)]
    """For a million tokens of answers."""


class Guesses(Section):
    """What people guessed for test listings."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][\w.-]*$")]
    """Of the candidate in the tables."""
    path: Annotated[str, Field(pattern=r"^data/")]
    """CSV file with the columns `id` and `value`, in `data/`, which DVC watches."""


class Evaluate(Section):
    """How every candidate is measured."""

    seed: Seed
    batch_size: Count
    bootstrap: Annotated[int, Field(ge=100)]
    """Resamples for each 95% interval."""
    interval: Share
    """Probability that the interval low..high is to hold."""
    calibration_rows: Annotated[int, Field(ge=20)]
    """Fewest validation rows in a band of predictions whose intervals are calibrated on their own; with 250
    the coverage of an 80% interval stays within 4 points of it nine times in ten.
    """
    hit_error: Annotated[float, Field(gt=0)]
    hit_share: Share
    """A prediction hits if it is off by at most `hit_error` or by this share of the true number."""
    bands: Count
    """Bands of about equal row count in the picture of errors by what is true."""
    categories: Count
    """Commonest categories in the picture of errors by category; the others share one bar."""
    injection_rows: Count
    """Test listings into which each attack is put (evaluation/prompt_injection.py)."""
    injection_share: Share
    """An answer has moved if it changed by more than this share."""
    unlike_share: Share
    """Share of the test listings, those least like any training listing, whose figures stand apart."""
    elsewhere: Annotated[str, Field(pattern=r"^data/.+\.(csv|jsonl|parquet)$")] | None
    """File in `data/` with the columns `title`, `description` and `price` (what is predicted, a number):
    listings of another catalogue, on which the winner is held against what knows the training alone."""
    endpoints: list[Endpoint]
    guesses: list[Guesses]

    @model_validator(mode="after")
    def _distinct(self) -> Evaluate:
        names = [endpoint.name for endpoint in self.endpoints] + [guess.name for guess in self.guesses]
        if len(set(names)) < len(names):
            raise ValueError("two endpoints or guesses have the same name")
        return self
