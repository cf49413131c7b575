"""Section `promote` of params.yaml: the gate before the alias `champion`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from components.core.params.section import Section, Seed, Share


class Promote(Section):
    """The gate before the alias `champion`. No stage reads it: the flow of promotion does."""

    seed: Seed
    bootstrap: Annotated[int, Field(ge=1000)]
    """Resamples for the interval of the difference."""
    error_rate: Annotated[float, Field(gt=0, lt=0.5)]
    """Chance with which any of the decisions on the same gate rows, or on some of them, promotes a challenger
    that is better by no more than `minimum_effect`; the k-th of them spends error_rate / (k (k + 1))."""
    decisions_max: Annotated[int, Field(ge=1)]
    """Comparisons that one set of gate rows carries; then fresh rows are needed."""
    power: Share
    """Chance with which a difference like the observed one would be found on `rows_needed` products."""
    minimum_effect: Annotated[float, Field(ge=0)]
    """Of the mean loss, in the unit of the task; a challenger has to be better by more."""
    rows_min: Annotated[int, Field(ge=2)]
    """Fewest products of gate rows that both could answer: on fewer a bootstrap interval is too narrow to be
    trusted."""
    unparsed_share_max: Annotated[float, Field(ge=0, lt=1)]
    """Largest share of answers of the challenger that cannot be read."""
    coverage_min: Annotated[float, Field(ge=0, le=1)]
    """Smallest share of true answers that the challenger's interval or set of labels may hold."""
    coverage_max: Annotated[float, Field(ge=0, le=1)]
    """Largest such share: one that holds everything says nothing."""
    worst_recall_min: Annotated[float, Field(ge=0, le=1)]
    """Smallest share of the gate rows of a label that the challenger may answer with it, labels of fewer than
    10 rows left out; read where the kind of the task is `label`."""
    size_max_mb: Annotated[float, Field(gt=0)]
    """Largest served model, millions of bytes on the disk."""
    latency_max_ms: Annotated[float, Field(gt=0)]
    """Most milliseconds that a listing may take on the machine that decides, in batches."""
    parity_rise_max: Annotated[float, Field(ge=0)]
    """In the unit of the task, by which the mean loss on validation may rise from the merged to the served
    model."""
    forgetting_ratio_max: Annotated[float, Field(gt=0)]
    """Most by which the perplexity on general text may have grown, as a ratio to the base model's."""
    approval: bool
    """Whether a person has to approve what makes a version champion, promotion or rollback: in the terminal,
    or by the form of the deployment's run (Prefect: pause and resume)."""
    approval_hours: Annotated[float, Field(gt=0)]
    """Hours after which a proposal that nobody approved lapses."""

    @model_validator(mode="after")
    def _ordered(self) -> Promote:
        if self.coverage_min > self.coverage_max:
            raise ValueError(
                f"coverage_min {self.coverage_min:g} is above coverage_max {self.coverage_max:g}"
            )
        return self
