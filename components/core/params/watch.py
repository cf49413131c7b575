"""Section `watch` of params.yaml: what is found out about the champion while it serves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.core.params.section import Count, Section, Seed


class Watch(Section):
    """Drift, errors and the challenger on live truth. No stage reads it: the flow `watch` does."""

    seed: Seed
    alarm_rate: Annotated[float, Field(gt=0, lt=0.5)]
    """Chance with which traffic that is like training ever raises an alarm, however long and however often it
    is looked at; half is spent on requests and answers, half on what came true."""
    batch_rows: Annotated[int, Field(ge=20)]
    """Different inputs of a batch: each batch is compared with training, and each run of 2, 4, 8 ...
    batches.
    """
    reference_rows: Annotated[int, Field(ge=100)]
    """Most rows of training, and of held-out listings, that the traffic is compared with; drawn by chance."""
    components: Annotated[int, Field(ge=0)]
    """Principal components of the base model's hidden states that are compared; 0 leaves these out."""
    batch_size: Count
    """Texts that the base model reads together."""
    coverage_tolerance: Annotated[float, Field(ge=0, lt=0.5)]
    """By how much the share of truths in the interval may differ from `evaluate.interval`: what was
    calibrated on few rows is itself off by some percent."""
    loss_max: Annotated[float, Field(gt=0)]
    """Loss of one answer from which a larger one counts as this much, where challenger and champion are
    compared on live truth: what is bounded can be tested at all times."""
    bootstrap: Annotated[int, Field(ge=100)]
    """Resamples for the intervals of the page."""
    periods: Count
    """Most periods in which loss and coverage are shown."""
    recalibration_rows: Annotated[int, Field(ge=40)]
    """Latest truths by which an interval that no longer holds is recalibrated, the older half, and tried, the
    later half."""
