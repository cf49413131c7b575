"""The decision about a challenger on live truth: it has answered the same requests as the champion, unheard.

The gate's bootstrap interval holds for one look at rows that were laid aside. Here truths come in day by day
and whoever waits looks every day: an interval that holds at all times at once (monitoring/
confidence_sequence.py) lets them, and stop as soon as it is clear. The verdicts are those of the gate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from components.core.params.promote import Promote
from components.evaluation.resampling import Floats
from components.monitoring.confidence_sequence import confidence_sequence
from components.monitoring.watching import first_of_each_input
from components.promotion.gate import Budget, Decision, by_interval, faults, rows_needed, shown
from components.tasks import AnyTask


def compared_live(answered: pd.DataFrame, champion: str, challenger: str) -> pd.DataFrame:
    """The rows that the version `champion` answered and `challenger` shadowed, and whose truth is known: of
    each input the first, by the time of its truth. `answered` is by `truth.answered`.
    """
    shadowed = (answered["version"] == champion) & (answered["shadow_version"] == challenger)
    known = answered[shadowed].dropna(subset=["value"]).sort_values("truth_time", kind="stable")
    return first_of_each_input(known)


def decide_live(
    rows: pd.DataFrame, section: Promote, loss_max: float, task: AnyTask, budgets: Sequence[Budget] = ()
) -> Decision:
    """Promoted, rejected, or not enough evidence yet; `rows` are by `compared_live`.

    The difference is that of the mean losses, champion less challenger, a loss above `loss_max` counted as
    `loss_max`; the interval that of a confidence sequence with `section.error_rate` on either side, for all
    looks together. Otherwise as `gate.decide`: a challenger that breaks a budget, or leaves more rows
    unreadable than the champion, is rejected.
    """
    champion, challenger = (rows[column].to_numpy(float) for column in ("predicted", "shadow_predicted"))
    broken = faults(challenger, champion, section.unparsed_share_max, budgets)
    gains = _gains(rows, loss_max, task)
    low, high = confidence_sequence(gains, -loss_max, loss_max, error_rate=section.error_rate)
    ends = f"from {shown(low, task.unit)} to {shown(high, task.unit)}"
    between = f"on live truth the interval {ends}, which holds at every look,"
    limits = section.minimum_effect, len(gains), section.rows_min
    verdict, reason = by_interval(low, high, *limits, between, "requests with truth")
    needed = None if broken or verdict != "not enough evidence" else _needed(gains, section)
    difference = round(float(gains.mean()), 4) if len(gains) else None
    return Decision(
        "rejected" if broken else verdict,
        difference,
        round(low, 4) if len(gains) else None,
        round(high, 4) if len(gains) else None,
        len(gains),
        len(gains),
        needed,
        (*broken, reason),
    )


def sequence(
    rows: pd.DataFrame, section: Promote, loss_max: float, task: AnyTask, looks: int
) -> list[dict[str, float]]:
    """The interval as it was at so many looks in equal steps: `rows`, `low`, `high`, for a picture."""
    gains = _gains(rows, loss_max, task)
    counts = {len(gains) * look // looks for look in range(1, looks + 1)} - {0}
    ends = [
        confidence_sequence(gains[:count], -loss_max, loss_max, error_rate=section.error_rate)
        for count in sorted(counts)
    ]
    return [
        {"rows": count, "low": round(low, 4), "high": round(high, 4)}
        for count, (low, high) in zip(sorted(counts), ends, strict=True)
    ]


def _gains(rows: pd.DataFrame, loss_max: float, task: AnyTask) -> Floats:
    """Loss of the champion less that of the challenger on each row that both could answer, losses clipped."""
    value = rows["value"].to_numpy(float)
    ours, theirs = (
        np.minimum(task.answers.loss(value, rows[column].to_numpy(float)), loss_max)
        for column in ("predicted", "shadow_predicted")
    )
    gains = ours - theirs
    return gains[~np.isnan(gains)]


def _needed(gains: Floats, section: Promote) -> int | None:
    """Truths from which a difference like this one would be seen by one look; some more for many."""
    least = max(section.rows_min, len(gains) + 1)
    if len(gains) < 2:
        return least
    return rows_needed(
        float(gains.mean()),
        float(gains.std(ddof=1)),
        section.minimum_effect,
        least,
        error_rate=section.error_rate,
        power=section.power,
    )
