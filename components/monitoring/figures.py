"""The figures of the page about the champion in service."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from components.reporting.figures import FLOOR, INK, WINNER

AXES = {
    "number": ("loss: distance from the truth", "share of truths in the interval"),
    "label": ("loss: share of wrong labels", "share of truths in the set"),
}
"""What loss and coverage are, by the kind of the task."""


def periods(rows: list[dict[str, Any]], coverage: float, kind: str) -> Figure:
    """Loss and coverage in time of a task of this kind, each with its 95% interval; `rows` are by
    `errors_in_time.periods`, `coverage` is what was promised.
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _series(left, rows, "loss")
    left.set_ylabel(AXES[kind][0])
    left.set_ylim(bottom=0)
    _series(right, rows, "coverage")
    right.axhline(coverage, color=FLOOR, linestyle="--", linewidth=1.2, label="promised")
    right.set(ylim=(0, 1.02), ylabel=AXES[kind][1])
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    right.legend(loc="lower left", frameon=False)
    return figure


def sequence(points: list[dict[str, float]], minimum_effect: float) -> Figure:
    """The interval of challenger against champion as truths came in; `points` are by `live.sequence`."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.add_subplot()
    counts = [point["rows"] for point in points]
    lows, highs = [point["low"] for point in points], [point["high"] for point in points]
    axes.fill_between(counts, lows, highs, color=WINNER, alpha=0.25, linewidth=0)
    axes.plot(counts, lows, color=WINNER, linewidth=1.2)
    axes.plot(counts, highs, color=WINNER, linewidth=1.2)
    label = f"minimum effect {minimum_effect:g}"
    axes.axhline(minimum_effect, color=FLOOR, linestyle="--", linewidth=1.2, label=label)
    most = max(max(abs(low), abs(high)) for low, high in zip(lows, highs, strict=True))
    axes.set_yscale("symlog", linthresh=max(most / 20, 1.0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="requests with truth", ylabel="challenger better by")
    axes.legend(loc="upper right", frameon=False)
    _plain(axes)
    return figure


def _series(axes: Axes, rows: list[dict[str, Any]], name: str) -> None:
    known = [(place, row) for place, row in enumerate(rows) if row[name] is not None]
    places = [place for place, _ in known]
    for place, row in known:
        axes.plot([place, place], [row[f"{name}_low"], row[f"{name}_high"]], color=INK, linewidth=1.2)
    axes.plot(places, [row[name] for _, row in known], color=WINNER, marker="o", markersize=4)
    axes.set_xticks(places, [row["until"][:10] for _, row in known], rotation=30, ha="right", fontsize=8)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
