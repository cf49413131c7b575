"""What can be learned from requests, and when there is a reason to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from components.monitoring.retraining import learnable, reasons
from tests.support.project import TASK

NOON = datetime(2026, 6, 1, 12)


def asked(*rows: dict[str, Any]) -> pd.DataFrame:
    """Columns of `answered` that are read here."""
    whole = {"row": 0, "input": {"description": "a lamp"}, "value": 12.0, "truth_time": NOON}
    return pd.DataFrame([whole | row for row in rows])


def alarm(feature: str, hours: float, detail: str = "more") -> dict[str, Any]:
    return {"feature": feature, "detail": detail, "to": (NOON + timedelta(hours=hours)).isoformat()}


def test_what_came_true_is_learned_from_once_where_its_text_is_kept() -> None:
    rows = asked(
        {"key": "b", "value": 1250000.5},
        {"key": "a", "row": 1, "value": 0.00001},
        {"key": "a", "value": 12.0, "input": {"description": " first "}},
        {"key": "a", "value": 12.0, "input": {"description": "last"}},
        {"key": "c", "value": float("nan")},
        {"key": "d", "input": None},
        {"key": "e", "input": {"description": "  "}},
        {"key": "f", "input": {"other": "a lamp"}},
    )
    known = learnable(rows, TASK)
    assert known[["key", "row", "text", "value"]].values.tolist() == [
        ["a", 0, "last", "12"],
        ["a", 1, "a lamp", "0.00001"],
        ["b", 0, "a lamp", "1250000.5"],
    ]


def test_a_reason_is_an_alarm_or_enough_truth_since_the_newest_version_learned() -> None:
    known = learnable(
        asked(*({"key": str(hour), "truth_time": NOON + timedelta(hours=hour)} for hour in range(5))), TASK
    )
    alarms = [alarm("loss", -1), alarm("length", 1, "longer"), alarm("length", 2, "longer still")]
    assert reasons(known, alarms, NOON, 4) == [
        "alarm: length, longer",
        "4 requests whose answer came true since the newest version learned",
    ]
    assert reasons(known, alarms, NOON + timedelta(hours=2), 4) == []
    assert len(reasons(known, alarms, None, 6)) == 2, "nobody knows what it has learned"
    assert reasons(known.head(0), [], None, 1) == []
