"""The clock of a year that is played, and what a week of it comes to."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pandas as pd

from components.monitoring.year import by_week, key_of, pass_week
from components.monitoring.year_page import Event, day, figure, line, page
from components.serving.request_store import REQUESTS, opened
from tests.monitoring.test_truth import read
from tests.support.project import TASK
from tests.support.requests import NOW, asked, stored, true

WEEK = timedelta(days=7)


def test_a_week_passes_for_everything_and_its_own_requests_are_spread_over_it(tmp_path: Path) -> None:
    own = [asked(key_of(3, number), hours=0) for number in range(50)]
    address = stored(
        tmp_path / "requests.db", asked("w02-0000", hours=1), true("w02-0000", 5, hours=0.5), *own
    )
    began = NOW
    with opened(address) as engine:
        pass_week(engine, 3, Random(1))
        with engine.connect() as connection:
            times: dict[str, datetime] = {row.key: row.time for row in connection.execute(REQUESTS.select())}
    earlier = times.pop("w02-0000")
    assert abs(earlier - (began - timedelta(hours=1) - WEEK)) < timedelta(minutes=10)
    assert all(began - WEEK - timedelta(minutes=10) < when <= began for when in times.values())
    assert max(times.values()) - min(times.values()) > timedelta(days=5)
    [known] = read(address)["truth_time"].dropna()
    assert known > earlier


def test_a_week_has_its_loss_its_coverage_and_the_versions_that_answered() -> None:
    rows = pd.DataFrame(
        {
            "key": ["w01-0000", "w01-0001", "w02-0000", "move-7", "w02-0001"],
            "predicted": [10.0, 20.0, 30.0, 1.0, 40.0],
            "low": [9.0, 19.0, 29.0, 1.0, 39.0],
            "high": [11.0, 21.0, 31.0, 1.0, 41.0],
            "value": [13.0, 20.0, float("nan"), 9.0, float("nan")],
            "held": [0.0, 1.0, float("nan"), 1.0, float("nan")],
            "version": ["1", "1", "2", "1", "1"],
        }
    )
    weeks = by_week(rows, TASK)
    assert weeks["week"].tolist() == [1, 2]
    assert weeks["requests"].tolist() == [2, 2]
    assert weeks["truths"].tolist() == [2, 0]
    assert (weeks["loss"][0], weeks["coverage"][0]) == (1.5, 0.5)
    assert weeks[["loss", "coverage"]].isna().iloc[1].all()
    assert weeks["versions"].tolist() == ["1", "1 2"]


def test_the_page_shows_what_happened_and_every_week(tmp_path: Path) -> None:
    weeks = pd.DataFrame(
        {"week": [1, 2], "requests": [2, 2], "truths": [2, 0], "loss": [1.5, None], "coverage": [0.5, None]}
    ).assign(versions=["1", "1 2"])
    events = [Event(1, "", "It begins."), Event(2, "alarm", "<b>Found</b>.")]
    figure(weeks, events).savefig(tmp_path / "weeks.png")
    text = page(weeks, events, 90.0, tmp_path / "weeks.png")
    assert "4 requests over HTTP, 2 of them with truth, in 1.5 minutes" in text
    assert "&lt;b&gt;Found" in text
    assert "<td>8 January</td><td>1 2</td><td>2</td><td>0</td><td></td><td></td>" in text
    assert (day(14), line(events[0])) == ("2 April", "   1 January  It begins.")
