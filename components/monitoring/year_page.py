"""The page of a year that was played: what happened when, and how wrong the answers of each week were."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from components.reporting.html import document, picture, table

FIRST_DAY = date(2026, 1, 1)
COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:purple")


class Event(NamedTuple):
    """What happened in a week."""

    week: int
    name: str
    """A word or two, for the picture."""
    text: str
    """A sentence with its figures."""


def day(week: int) -> str:
    """The first day of a week, counted from 1, as `2 April`."""
    when = FIRST_DAY + timedelta(weeks=week - 1)
    return f"{when.day} {when:%B}"


def line(event: Event) -> str:
    """An event as a line for a terminal."""
    return f"{day(event.week):>12}  {event.text}"


def figure(weeks: pd.DataFrame, events: list[Event]) -> Figure:
    """Loss of each week by the version that answered, and the events; `weeks` is by `year.by_week`."""
    drawn = Figure(figsize=(11, 5), layout="constrained")
    axes = drawn.subplots()
    for colour, (versions, rows) in zip(COLOURS, weeks.groupby("versions"), strict=False):
        label = f"version {versions}" if " " not in str(versions) else f"versions {versions}"
        axes.plot(rows["week"], rows["loss"], "o", color=colour, label=label)
    axes.plot(weeks["week"], weeks["loss"], color="grey", linewidth=0.7, zorder=0)
    axes.set_ylim(bottom=0)
    top = axes.get_ylim()[1]
    for event in (event for event in events if event.name):
        axes.axvline(event.week, color="lightgrey", linewidth=0.8, zorder=0)
        axes.text(event.week, top, event.name, rotation=90, va="top", ha="right", fontsize=8)
    axes.set_xlabel("week")
    axes.set_ylabel("mean absolute error of what came true")
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return drawn


def page(weeks: pd.DataFrame, events: list[Event], seconds: float, image: Path) -> str:
    """The page as text; `image` is the file of `figure`."""
    rows = [
        (
            day(row.week),
            row.versions,
            row.requests,
            row.truths,
            "" if pd.isna(row.loss) else f"{row.loss:.1f}",
            "" if pd.isna(row.coverage) else f"{row.coverage:.0%}",
        )
        for row in weeks.itertuples()
    ]
    body = [
        "<h1>A year with Pricewright</h1>",
        f"<p>{weeks['requests'].sum():,} requests over HTTP, {weeks['truths'].sum():,} of them with truth, "
        f"in {seconds / 60:.1f} minutes.</p>",
        "<h2>What happened</h2>",
        table(("", ""), [(day(event.week), event.text) for event in events]),
        picture("Every week", "The error of what was answered in a week, once it came true.", image),
        "<h2>Week by week</h2>",
        table(("week of", "version", "requests", "truths", "error", "in the interval"), rows),
    ]
    return document("Pricewright: a year", "\n".join(body))
