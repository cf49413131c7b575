"""Decisions on gate rows that overlap share one error rate: alpha spending over the count of them.

Whoever compares one challenger after another on the same rows will promote a lucky one sooner or later. The
k-th comparison on some rows may err at the rate error_rate / (k (k + 1)); over all k these rates add up to
`error_rate` itself, so that by the union bound the chance that any of the decisions promotes wrongly is at
most that, however the comparisons depend on each other and on the outcomes before (alpha spending: Lan and
DeMets 1983; over a sequence of hypotheses: Foster and Stine 2008, section 2). tests/promotion/
test_spending.py simulates it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from components.core.errors import PricewrightError

TAIL = 20
"""Fewest resamples beyond either end of an interval: with fewer the end is that of chance."""

SAMPLE = 48
"""Rows in the sample by which two sets of rows are known to overlap."""


class FreshRowsNeeded(PricewrightError):
    """The error rate that the decisions on these gate rows share is spent, or too few rows are new."""


@dataclass(frozen=True)
class Part:
    """What one comparison spends of the error rate that all on its gate rows share."""

    position: int
    """Of the comparison among those on these rows, counted from 1."""
    decisions_max: int
    shared: float
    """Chance with which any of them may promote a challenger that is no better."""

    @property
    def error_rate(self) -> float:
        """Chance with which this one may."""
        return self.shared / (self.position * (self.position + 1))

    def resamples(self, least: int) -> int:
        """Bootstrap resamples for an interval of this error rate, `least` or more."""
        return max(least, ceil(TAIL / self.error_rate))

    def record(self) -> dict[str, Any]:
        """As it is kept with the decision."""
        return {**asdict(self), "error_rate": self.error_rate}


def sample_of(ids: Iterable[str]) -> list[str]:
    """The SAMPLE lowest hashes of the ids of some rows, 10 hex digits each: short enough to be kept with a
    decision, however many rows there are.

    A bottom-k sample (Cohen and Kaplan 2007): where a share j of the rows of two sets is in both, their
    samples have nothing in common with the probability (1 - j) ** SAMPLE, 0.6% for a tenth.
    """
    return sorted({hashlib.sha256(id_.encode()).hexdigest()[:10] for id_ in ids})[:SAMPLE]


def part(
    decisions: list[dict[str, Any]],
    rows_hash: str,
    rows_sample: list[str],
    challenger: str,
    champion: str | None,
    error_rate: float,
    decisions_max: int,
) -> Part:
    """The part that the comparison of these two versions on the gate rows of this hash and sample spends.

    `decisions` are the records before it; those on rows of which some are among these count, so that a row
    more does not make a new error rate. The same two on the same rows again spend nothing new: by the same
    data the answer is the same. Raises FreshRowsNeeded where the rows have carried `decisions_max` already.
    """
    compared = [
        (record["version"], record["champion"], record["gate_sha256"])
        for record in decisions
        if not set(rows_sample).isdisjoint(record.get("rows_sample", ()))
    ]
    different = list(dict.fromkeys(compared))
    own = (challenger, champion, rows_hash)
    position = different.index(own) + 1 if own in different else len(different) + 1
    if position > decisions_max:
        raise FreshRowsNeeded(
            f"fresh rows needed: {len(different)} comparisons were made on these gate rows, or on some of "
            f"them (SHA-256 {rows_hash[:12]}), as many as share one error rate (promote.decisions_max). New "
            "listings give new ones: `make fresh-test` draws them, then `make promote` again"
        )
    return Part(position, decisions_max, error_rate)
