"""The tables of `validate` about what is predicted: sizes of numbers, and how often a label stands where."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from components.core.params.task import Task
from components.core.schemas import Split
from components.quality import consistency
from components.quality.labels import label_figures, label_kappas
from components.quality.sampling import targets_of

Tables = dict[str, pd.DataFrame]


def target_tables(items: pd.DataFrame, task: Task) -> Tables:
    """The tables of all items (columns of `Item`) by name; of too few rows none says whether targets follow
    from the texts, and where labels are predicted none names paraphrases: that takes a number in common.
    """
    if task.kind == "label":
        targets = {split: rows["target"] for split, rows in items.groupby("split")}
        tables = {
            **label_counts(targets, task.label.names),
            "label_conflicts": consistency.labels_of_texts(items),
            "labels": label_kappas(items),
        }
    else:
        tables = {
            "medians": consistency.apart(items, task.number),
            "paraphrases": consistency.paraphrases(items),
            "repeated_texts": consistency.prices_of_texts(items),
            "labels": label_figures(items, logarithmic=task.number.logarithmic),
        }
    return {name: table for name, table in tables.items() if name != "labels" or len(table)}


def whole_label_counts(curated: Path, task: Task) -> Tables:
    """`label_counts` of all rows in the folder `curated`; no table where a number is predicted."""
    return label_counts(targets_of(curated), task.label.names) if task.kind == "label" else {}


def label_counts(targets: Mapping[Split, pd.Series], names: list[str]) -> Tables:
    """`split_labels` has a row for each split and each of the names: `split`, `label`, `rows`, and `share` of
    the split's rows; `label_rows` the `rows` of each `label` in all splits.

    `targets` are the places of labels among the names; what is none does not count.
    """
    counted = [_counted(values, names).assign(split=split) for split, values in targets.items()]
    of_splits = pd.concat(counted, ignore_index=True)[["split", "label", "rows", "share"]]
    together = of_splits.groupby("label", sort=False)["rows"].sum().reset_index()
    return {"split_labels": of_splits, "label_rows": together}


def _counted(targets: pd.Series, names: list[str]) -> pd.DataFrame:
    counts = pd.to_numeric(targets, errors="coerce").value_counts()
    rows = counts.reindex(range(len(names)), fill_value=0).to_numpy()
    return pd.DataFrame({"label": names, "rows": rows, "share": (rows / max(len(targets), 1)).round(4)})
