"""The profile of a source's usual data, and how far new data has drifted from it. For `validate`.

A profile is committed as `reference/<source>.json`: quantiles of target and text length and the share of each
category. Where a label is predicted, its column is in the name of the file, and in place of the quantiles of
targets stand the shares of labels. `python -m components.quality.drift` makes or renews that of the curated
splits on the disk. A source without one is not checked for drift.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.section import load_section
from components.core.params.task import Task
from components.core.schemas import SPLITS

FOLDER = Path("reference")
NAMES = Path("artifacts/curate/names.json")
QUANTILES = np.linspace(0, 1, 101)
RARE = 1e-4  # share that a category without rows counts as: a logarithm has no zero
CHANCE = 0.01  # how often data of the same kind would drift further by chance alone


def path_of(items: pd.DataFrame, task: Task) -> Path:
    """The file with the profile of the items' source, or of all their sources together, for what the task
    predicts.
    """
    sources = "+".join(sorted(items["source"].dropna().astype(str).unique()))
    parts = [sources, task.label.column] if task.kind == "label" else [sources]
    return FOLDER / (".".join(re.sub(r"[^\w-]+", "_", part) for part in parts) + ".json")


def spelled(items: pd.DataFrame, task: Task) -> pd.DataFrame:
    """The items with the label that each target is the place of, null for none; as they are where a number is
    predicted. All labels of the task are known.
    """
    if task.kind != "label":
        return items
    return items.assign(target=items["target"].map(dict(enumerate(task.label.names))))


def profile(items: pd.DataFrame) -> dict[str, Any]:
    """Quantiles of target and text length (characters), and the share of each category; of labels (see
    `spelled`) the share of each.
    """
    numeric = pd.api.types.is_numeric_dtype(items["target"])
    return {
        "rows": len(items),
        "target": _quantiles(items["target"]) if numeric else _shares(items["target"]),
        "length": _quantiles(items["text"].str.len()),
        "categories": _shares(items["category"]),
    }


def _quantiles(values: pd.Series) -> list[float]:
    return list(np.quantile(values, QUANTILES).round(2).tolist())


def _shares(values: pd.Series) -> dict[str, float]:
    return dict(values.value_counts(normalize=True).sort_index().round(6).to_dict())


def drift(items: pd.DataFrame, reference: dict[str, Any]) -> dict[str, float]:
    """How far the items lie from the profile beyond what chance explains for so many rows; 0: not at all.

    `target` and `length`: the Kolmogorov-Smirnov distance of the distributions (0 to 1). `categories`, and
    `target` where it is a label: the population stability index, sum of (p - q) log(p / q); 0.1 is called
    small and 0.25 large.
    """
    rows = max(len(items), 1) * reference["rows"] / (max(len(items), 1) + reference["rows"])
    chance = float(stats.kstwobign.isf(CHANCE)) / rows**0.5
    if isinstance(reference["target"], dict):
        target = _instability(items["target"], reference["target"], rows)
    else:
        targets = pd.to_numeric(items["target"], errors="coerce").dropna()
        target = _distance(targets, reference["target"]) - chance
    distances = {
        "target": target,
        "length": _distance(items["text"].dropna().str.len(), reference["length"]) - chance,
        "categories": _instability(items["category"], reference["categories"], rows),
    }
    return {name: round(max(distance, 0.0), 4) for name, distance in distances.items()}


def _distance(values: pd.Series, quantiles: list[float]) -> float:
    """Kolmogorov-Smirnov distance of values from a distribution that is known by its quantiles."""
    expected = np.searchsorted(quantiles, quantiles, side="right") / len(quantiles)
    observed = np.searchsorted(np.sort(values.to_numpy(float)), quantiles, side="right") / max(len(values), 1)
    return float(np.abs(observed - expected).max())


def _instability(categories: pd.Series, reference: dict[str, float], rows: float) -> float:
    """Population stability index of categories against their reference shares, less what chance explains."""
    observed = categories.value_counts(normalize=True)
    names = observed.index.union(list(reference))
    p = observed.reindex(names).fillna(0).clip(lower=RARE).to_numpy(float)
    q = pd.Series(reference).reindex(names).fillna(0).clip(lower=RARE).to_numpy(float)
    chance = float(stats.chi2.isf(CHANCE, max(len(reference) - 1, 1))) / rows
    return float(((p - q) * np.log(p / q)).sum()) - chance


def load(path: Path) -> dict[str, Any] | None:
    """The profile, None where there is none. Raises PricewrightError for a file that is no profile."""
    if not path.is_file():
        return None
    try:
        profile = json.loads(path.read_text(encoding="utf-8"))
        if {"rows", "target", "length", "categories"} <= profile.keys():
            return dict(profile)
    except (ValueError, AttributeError):
        pass
    raise PricewrightError(f"{path} is no profile: make it again with `python -m components.quality.drift`")


def main() -> None:
    """Read the splits of artifacts/curate/, write the profile of their source."""
    items = pd.concat([stage.read(f"artifacts/curate/{split}.parquet") for split in SPLITS])
    names = json.loads(NAMES.read_text(encoding="utf-8"))
    task = load_section(Task)
    task = task.model_copy(update={"label": task.label.model_copy(update={"names": names})})
    path = path_of(items, task)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(profile(spelled(items, task)), indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {len(items)} items")


if __name__ == "__main__":
    main()
