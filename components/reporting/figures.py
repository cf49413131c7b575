"""The figures of curate, baseline and evaluate. Each function takes plain tables and returns a figure; none
writes a file or keeps state (no pyplot), so that they can be called from a notebook and drawn in any order.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from components.core.schemas import Split
from components.reporting.loss import Loss

WINNER, MODEL, BASELINE, EXTERNAL, FLOOR = "#1b6ca8", "#7fb2d6", "#b9b9b9", "#d8b365", "#c0392b"
KINDS = {"language-model": MODEL, "baseline": BASELINE, "external": EXTERNAL}
KEPT, INK = "#2e7d32", "#333333"
LEGIBLE = 0.5  # a prediction of nothing is drawn here, for a logarithm has no zero
LABEL_LENGTH = 32
Corner = Literal["upper left", "lower right"]
LEGIBLE_LABELS = 30  # of more the shares are not written into the cells


def mean_losses(losses: dict[str, dict[str, dict[str, Any]]], split: str, shown: Loss) -> Figure:
    """Horizontal bars of the mean loss on one split, best on top; `losses` as from `scoring.mean_losses`."""
    measured = {name: by[split]["loss"] for name, by in losses.items() if by[split]["loss"] is not None}
    ranked = sorted(measured.items(), key=lambda entry: -entry[1])
    figure, axes = _canvas(7.5, 1.2 + 0.4 * len(ranked))
    bars = axes.barh([name for name, _ in ranked], [loss for _, loss in ranked], color=BASELINE, height=0.65)
    axes.bar_label(bars, fmt=f"%.{shown.digits - 1}f", padding=4, color=INK)
    axes.margins(x=0.1)
    axes.set_xlabel(_plain(shown.axis))
    _title(axes, f"Baselines on {split}")
    return figure


def candidates(report: dict[str, Any], split: str) -> Figure:
    """Mean loss of every candidate with its 95% interval, best on top, and the noise floor as a line.

    `report` is that of evaluate. A candidate without one readable answer is left out.
    """
    measured = {
        name: {**candidate[split], "kind": candidate["kind"]}
        for name, candidate in report["candidates"].items()
    }
    readable = {name: metrics for name, metrics in measured.items() if metrics["loss"] is not None}
    ranked, digits = sorted(readable.items(), key=lambda entry: -entry[1]["loss"]), report["digits"] - 1
    figure, axes = _canvas(8, 1.5 + 0.42 * len(ranked))
    for place, (name, metrics) in enumerate(ranked):
        color = WINNER if name == report["winner"] else KINDS[metrics["kind"]]
        axes.barh(place, metrics["loss"], color=color, height=0.65)
        axes.plot([metrics["loss_low"], metrics["loss_high"]], [place, place], color=INK, linewidth=1.4)
        axes.text(metrics["loss_high"], place, f"  {metrics['loss']:.{digits}f}", va="center", color=INK)
    axes.set_yticks(range(len(ranked)), [name for name, _ in ranked])
    if report["noise_floor"]:
        floor = report["noise_floor"][split]["loss"]
        axes.axvline(
            floor, color=FLOOR, linestyle="--", linewidth=1.4, label=f"noise floor {floor:.{digits}f}"
        )
    axes.barh([0], [0], color=WINNER, label="winner")
    for kind, color in KINDS.items():
        if any(metrics["kind"] == kind for _, metrics in ranked):
            axes.barh([0], [0], color=color, label=kind.replace("-", " "))
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    axes.set_xlim(0, 1.12 * max((metrics["loss_high"] for _, metrics in ranked), default=1))
    axes.set_xlabel(_plain(f"{Loss.of(report).axis} (line: 95% bootstrap interval)"))
    _title(axes, f"Every candidate on {split}")
    return figure


def predicted_true(panels: dict[str, pd.DataFrame], split: str, unit: str, *, logarithmic: bool) -> Figure:
    """Predicted against true, on logarithmic axes where ratios count, a panel for each candidate.

    `panels` maps a title to rows of `Prediction`; unreadable answers are left out.
    """
    figure = Figure(figsize=(5 * len(panels), 5.2), layout="constrained")
    shown = {title: rows.dropna(subset="predicted") for title, rows in panels.items()}
    least = LEGIBLE if logarithmic else None
    numbers = pd.concat([rows[["target", "predicted"]] for rows in shown.values()]).clip(lower=least)
    low, high = float(numbers.min().min()), float(numbers.max().max())
    room = 0.05 * (high - low)
    low, high = (low / 1.3, high * 1.3) if logarithmic else (low - room, high + room)
    for place, (title, rows) in enumerate(shown.items(), start=1):
        axes = figure.add_subplot(1, len(panels), place)
        axes.plot([low, high], [low, high], color=FLOOR, linewidth=1.2, label="exact")
        axes.scatter(
            rows["target"],
            rows["predicted"].clip(lower=least),
            s=12,
            color=WINNER,
            alpha=0.35,
            linewidths=0,
        )
        scale = "log" if logarithmic else "linear"
        axes.set(xscale=scale, yscale=scale, xlim=(low, high), ylim=(low, high), aspect="equal")
        axes.set_xlabel(_plain(f"true, {unit}"))
        axes.set_ylabel(_plain(f"predicted, {unit}") if place == 1 else "")
        for axis in (axes.xaxis, axes.yaxis) if logarithmic else ():
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
        axes.grid(color="#e6e6e6", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.legend(loc="upper left", frameon=False)
        _title(axes, f"{title} on {split}")
    return figure


def errors_by_group(groups: list[dict[str, Any]], key: str, title: str, shown: Loss) -> Figure:
    """Mean loss by group, in the order given; each of `groups` has its name under `key`, with `n`, `loss`."""
    figure, axes = _canvas(8, 1.3 + 0.42 * len(groups))
    names = [_short(str(group[key])) + f"  (n={group['n']})" for group in groups]
    losses = [np.nan if group["loss"] is None else group["loss"] for group in groups]
    places = np.arange(len(groups))[::-1]
    bars = axes.barh(places, losses, color=MODEL, height=0.65)
    axes.bar_label(bars, [_error_label(group, shown.digits - 1) for group in groups], padding=4, color=INK)
    axes.set_yticks(places, names)
    axes.margins(x=0.22)
    axes.set_xlim(left=0)
    axes.set_xlabel(
        _plain(shown.axis + (" (and as a share of the mean)" if "share_of_target" in groups[0] else ""))
    )
    _title(axes, title)
    return figure


def waterfall(report: dict[str, Any]) -> Figure:
    """From the listings that came in to the rows of the splits: how many each rule rejected."""
    figure = Figure(figsize=(9, 4.5))
    axes = figure.subplots()
    left = report["listings"]
    labels, bars, colours = ["listings"], [(0, left)], [WINNER]
    for rule, rejected in report["rejected"].items():
        left -= rejected
        labels.append(rule.replace("_", " "))
        bars.append((left, rejected))
        colours.append(FLOOR)
    labels.append("kept")
    bars.append((0, left))
    colours.append(KEPT)
    rectangles = axes.barh(
        labels, [height for _, height in bars], left=[start for start, _ in bars], color=colours
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.bar_label(rectangles, labels=[f"{height:,}" for _, height in bars], padding=3)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * report["listings"])  # room for the last label
    axes.set_xlabel("listings")
    axes.set_title("What each rule rejected")
    return figure


def histograms(values: dict[Split, np.ndarray], label: str, title: str) -> Figure:
    """One density per split over the same 40 bins."""
    figure = Figure(figsize=(8, 4.5))
    axes = figure.subplots()
    bins = np.histogram_bin_edges(np.concatenate(list(values.values())), bins=40).tolist()
    for split, column in values.items():
        filled = {"alpha": 0.35} if split == "train" else {"histtype": "step", "linewidth": 1.4}
        axes.hist(column, bins=bins, density=True, label=f"{split} ({len(column):,})", **filled)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(label)
    axes.set_ylabel("density")
    axes.set_title(title)
    axes.legend()
    return figure


def calibration(levels: list[dict[str, Any]], title: str, legend: Corner) -> Figure:
    """What intervals hold against what they promise; `levels` as from `calibration.observed`. `legend` is the
    corner where it stands.
    """
    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=FLOOR, linewidth=1.2, label="kept to the letter")
    nominal = [level["nominal"] for level in levels]
    for name, color in (("raw", BASELINE), ("calibrated", WINNER)):
        label = "calibrated on validation" if name == "calibrated" else "as the model gives them"
        axes.plot(
            nominal, [level[name] for level in levels], color=color, marker="o", markersize=4, label=label
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set(xlabel="share of answers that the interval is to hold", ylabel="share that it holds")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(loc=legend, frameon=False)
    _title(axes, title)
    return figure


def learning(
    losses: list[dict[str, float]], snapshots: dict[str, list[dict[str, Any]]], shown: Loss
) -> Figure:
    """How training went: the loss of SFT at each step, and the snapshots of each aligned policy, by the
    share of its steps; `losses` as sft reports them, `snapshots` as align does, by method.
    """
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(
        [line["step"] for line in losses], [line["loss"] for line in losses], color=WINNER, linewidth=1.4
    )
    left.set(xlabel="step", ylabel="loss per token of the answer, nats")
    _title(left, "SFT on the training split")
    for method, series in snapshots.items():
        steps = np.array([snapshot["step"] for snapshot in series]) / max(series[-1]["step"], 1)
        right.plot(steps, [snapshot["error"] for snapshot in series], marker="o", markersize=4, label=method)
    right.xaxis.set_major_formatter(PercentFormatter(1.0))
    right.set(
        xlabel="share of the steps",
        ylabel=_plain(f"error of a sampled answer, {shown.unit}".removesuffix(", ")),
    )
    if snapshots:
        right.legend(frameon=False)
    _title(right, "Alignment, monitored on validation")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e6e6", linewidth=0.6)
    return figure


def confusion(counts: list[list[int]], names: list[str], title: str) -> Figure:
    """Shares of the rows of each true label by the answer, (labels, labels + 1) counts, the last column for
    none.
    """
    matrix = np.asarray(counts, float)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size, short = 3.0 + 0.45 * len(names), [_short(name) for name in names]
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names) + 1), [*short, "(no answer)"], rotation=45, ha="right")
    axes.set_yticks(range(len(names)), short)
    if len(names) <= LEGIBLE_LABELS:
        for (true, answer), share in np.ndenumerate(shares):
            if share >= 0.005:
                color = "white" if share > 0.5 else INK
                axes.text(answer, true, f"{share:.0%}", ha="center", va="center", fontsize=7, color=color)
    axes.set(xlabel="answer", ylabel="true")
    _title(axes, title)
    return figure


def _error_label(group: dict[str, Any], digits: int) -> str:
    if group["loss"] is None:
        return "no readable answer"
    share = f" ({group['share_of_target']:.0%})" if "share_of_target" in group else ""
    return f"{group['loss']:.{digits}f}{share}"


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _title(axes: Axes, text: str) -> None:
    axes.set_title(_plain(text), loc="left", fontsize=12, color=INK)


def _short(text: str) -> str:
    """At most LABEL_LENGTH characters, and nothing that matplotlib would read as a formula."""
    return _plain(text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1].rstrip() + "…")


def _plain(text: str) -> str:
    return text.replace("$", r"\$")
