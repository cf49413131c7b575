"""The figures of reward and align, from plain numbers. Like figures.py: no file, no state."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from components.reporting.figures import FLOOR, INK, MODEL, WINNER

RIVALS = {"sft": MODEL, "sft_tempered": INK, "sft_continued": WINNER}


def reliability(calibration: dict[str, Any]) -> Figure:
    """How often the favoured side was the chosen one, against how sure the rewards were; the area of a
    point is its share of the pairs. `calibration` is that of `reward_quality.calibration`.
    """
    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    axes = _plain(figure.add_subplot())
    bins = calibration["bins"]
    pairs = np.array([bin_["pairs"] for bin_ in bins])
    axes.plot([0.5, 1], [0.5, 1], color=FLOOR, linewidth=1.2, label="as sure as right")
    axes.scatter(
        [bin_["confidence"] for bin_ in bins],
        [bin_["came_true"] for bin_ in bins],
        s=600 * pairs / pairs.sum(),
        color=WINNER,
        alpha=0.7,
        label="pairs of like confidence",
    )
    axes.set(xlim=(0.48, 1.02), ylim=(-0.02, 1.02))
    axes.set(xlabel="Bradley-Terry probability of the favoured side", ylabel="share that was right")
    axes.set_title(
        f"Reward model: expected calibration error {calibration['expected_error']:.2f}",
        loc="left",
        fontsize=11,
        color=INK,
    )
    axes.legend(loc="lower right", frameon=False, markerscale=0.5)
    return figure


def rewards_by_error(rewards: np.ndarray, errors: np.ndarray, lengths: np.ndarray, unit: str) -> Figure:
    """Reward of each completion against its true error, and against its length in tokens."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = (_plain(axes) for axes in figure.subplots(1, 2, sharey=True))
    left.scatter(errors, rewards, s=14, color=MODEL, alpha=0.6, linewidths=0)
    left.set(xlabel=f"true error, {unit}", ylabel="reward", xscale="symlog", xlim=(0, None))
    right.scatter(lengths, rewards, s=14, color=MODEL, alpha=0.6, linewidths=0)
    right.set(xlabel="length of the completion, tokens")
    left.set_title("Reward against error and length, held-out pairs", loc="left", fontsize=11, color=INK)
    return figure


def against_sft(table: dict[str, dict[str, Any]], unit: str) -> Figure:
    """Differences to SFT and to the controls with their 95% intervals, a panel for each way to answer.

    `table` maps each method to `comparison.against_sft`; what helps has its name in bold.
    """
    titles = {
        "point": f"without sampling, {unit}",
        "greedy": f"greedy, {unit}",
        "sampled": f"sampled, {unit}",
        "malformed": "malformed, share",
    }
    methods = [name for name in table if name != "sft"][::-1]
    figure = Figure(figsize=(13, 1.8 + 0.7 * len(methods)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(titles), sharey=True))
    for axes, (way, title) in zip(panels, titles.items(), strict=True):
        _plain(axes).axvline(0, color=FLOOR, linewidth=1.2)
        for place, name in enumerate(methods):
            rivals = {"sft": table[name], **table[name]["controls"]}
            for offset, (rival, color) in zip((0.2, 0.0, -0.2), RIVALS.items(), strict=True):
                gap, height = rivals[rival][way]["difference"], place + offset
                if gap is None:
                    continue
                label = rival if place == 0 else None
                axes.plot([gap["low"], gap["high"]], [height, height], color=color, linewidth=1.4)
                axes.plot(gap["mean"], height, "o", color=color, label=label)
        axes.set_yticks(range(len(methods)), methods)
        axes.set_xlabel(title)
    for label, name in zip(panels[0].get_yticklabels(), methods, strict=True):
        label.set_fontweight("bold" if table[name]["helps"] is True else "normal")
    panels[-1].legend(title="minus", frameon=False)
    figure.suptitle(
        "Aligned minus SFT and its controls, with 95% intervals (left of the line is better)",
        x=0.01,
        ha="left",
        color=INK,
    )
    return figure


def _plain(axes: Axes) -> Axes:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    return axes
