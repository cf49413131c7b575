"""The figure of curate where a label is predicted: how often each split has each label."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from components.core.schemas import Split

LABELS = 30  # the commonest, as many as are legible
LABEL_LENGTH = 40


def label_shares(places: dict[Split, np.ndarray], names: list[str]) -> Figure:
    """A bar for each of the commonest labels in the training split, the commonest on top, and a mark for each
    other split; `places` are those of each split's labels among the names.
    """
    shares = {split: shares_of(column, len(names)) for split, column in places.items()}
    shown = np.argsort(-shares["train"], kind="stable")[:LABELS]
    figure = Figure(figsize=(8, 1.6 + 0.3 * len(shown)), layout="constrained")
    axes, rows = figure.subplots(), np.arange(len(shown))
    for split, share in shares.items():
        label = f"{split} ({len(places[split]):,})"
        if split == "train":
            axes.barh(rows, share[shown], alpha=0.35, label=label)
        else:
            axes.plot(
                share[shown], rows, linestyle="", marker="|", markersize=9, markeredgewidth=2, label=label
            )
    axes.set_yticks(rows, [names[place][:LABEL_LENGTH].replace("$", r"\$") for place in shown])
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("share of the rows")
    more = f", the {LABELS} commonest of {len(names):,}" if len(names) > LABELS else ""
    axes.set_title(f"Labels of each split{more}")
    figure.legend(loc="outside lower center", ncols=len(shares), frameon=False)
    return figure


def shares_of(places: np.ndarray, labels: int) -> np.ndarray:
    """The share of each of so many labels, (labels,)."""
    return np.bincount(places.astype(int), minlength=labels) / max(len(places), 1)
