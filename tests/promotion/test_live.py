"""A challenger judged by what came true of requests that champion and challenger both answered."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from components.core.params.file import load_params
from components.core.params.promote import Promote
from components.promotion.gate import Budget
from components.promotion.live import compared_live, decide_live, sequence
from tests.support.project import ROOT, TASK

BOUND = 200.0


@pytest.fixture(scope="module")
def section() -> Promote:
    return load_params(ROOT / "params.yaml").promote


def answered(rows: int, champion: float, challenger: float, seed: int = 0) -> pd.DataFrame:
    """Requests with truth, and answers that are off by these on average."""
    rng = np.random.default_rng(seed)
    value = np.exp(rng.normal(4, 0.6, rows))
    noise = rng.normal(0, 1.25, (2, rows))
    time = pd.Timestamp("2026-01-01")
    return pd.DataFrame(
        {
            "key": [f"k{number}" for number in range(rows)],
            "row": 0,
            "input": [{"description": f"thing {number}"} for number in range(rows)],
            "version": "1",
            "predicted": value + champion * noise[0],
            "shadow_version": "2",
            "shadow_predicted": value + challenger * noise[1],
            "value": value,
            "truth_time": [time + pd.Timedelta(hours=number) for number in range(rows)],
        }
    )


@pytest.mark.parametrize(
    ("champion", "challenger", "verdict"),
    [(15.0, 8.0, "promoted"), (8.0, 15.0, "rejected"), (10.0, 9.5, "not enough evidence")],
)
def test_the_better_one_is_known_in_time(
    section: Promote, champion: float, challenger: float, verdict: str
) -> None:
    decision = decide_live(answered(1500, champion, challenger), section, BOUND, TASK)
    assert decision.verdict == verdict
    assert decision.difference is not None
    assert decision.low is not None
    assert decision.high is not None
    assert decision.low < decision.difference < decision.high
    assert (decision.rows_needed is None) == (verdict != "not enough evidence")


def test_few_truths_promote_nothing_whatever_they_say(section: Promote) -> None:
    decision = decide_live(answered(section.rows_min - 1, 60.0, 1.0), section, BOUND, TASK)
    assert decision.verdict == "not enough evidence"
    assert f"{section.rows_min} are needed" in decision.reasons[0]
    nothing = decide_live(answered(0, 1.0, 1.0), section, BOUND, TASK)
    assert (nothing.verdict, nothing.difference, nothing.low) == ("not enough evidence", None, None)


def test_a_challenger_that_falls_silent_or_breaks_a_budget_is_rejected(section: Promote) -> None:
    rows = answered(1500, 15.0, 8.0)
    silent = rows.assign(shadow_predicted=rows["shadow_predicted"].where(rows.index % 10 > 0))
    decision = decide_live(silent, section, BOUND, TASK)
    assert decision.verdict == "rejected"
    assert "unparsed share" in decision.reasons[0]
    slow = decide_live(rows, section, BOUND, TASK, [Budget("latency in ms", 900.0, at_most=250.0)])
    assert slow.verdict == "rejected"


def test_a_loss_counts_as_the_bound_at_most(section: Promote) -> None:
    rows = answered(1500, 15.0, 8.0)
    wild = rows.assign(predicted=rows["predicted"].mask(rows.index == 3, 1e9))
    difference = decide_live(wild, section, BOUND, TASK).difference
    assert difference is not None
    assert difference < BOUND


def test_only_requests_that_both_have_answered_count_and_each_input_once() -> None:
    rows = answered(8, 5.0, 5.0)
    rows.loc[0, "value"] = np.nan
    rows.loc[1, "shadow_version"] = "3"
    rows.loc[2, "version"] = "2"
    rows["input"] = [rows["input"][3 if place == 4 else place] for place in range(8)]
    rows.loc[3, "truth_time"] = rows.loc[4, "truth_time"] + pd.Timedelta(days=9)  # its truth came later
    assert compared_live(rows, "1", "2")["key"].tolist() == ["k4", "k5", "k6", "k7"]


def test_the_last_point_of_the_picture_is_the_interval_of_the_decision(section: Promote) -> None:
    rows = answered(400, 15.0, 8.0)
    points = sequence(rows, section, BOUND, TASK, 10)
    decision = decide_live(rows, section, BOUND, TASK)
    assert [point["rows"] for point in points] == list(range(40, 401, 40))
    assert (points[-1]["low"], points[-1]["high"]) == (decision.low, decision.high)
    assert sequence(rows.head(0), section, BOUND, TASK, 10) == []
