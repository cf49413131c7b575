"""Requests that wait for a person: those that the champion was the least certain about.

They come before the sampled completions on the ranking page, so that ten minutes of a person go where they
help the most (uncertainty sampling: Lewis and Gale 1994).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from components.core.schemas import SERVED_INPUT
from components.model.answers import Floats
from components.model.labels import Labels
from components.model.prompt import prompt_of
from components.tasks import AnyTask

QUEUE = Path("work/queue.parquet")
"""Columns of `Sampled`; `make retrain` writes it. In a folder that no stage reads."""


def least_certain(answered: pd.DataFrame, rows: int, task: AnyTask) -> pd.DataFrame:
    """The `rows` requests with the widest interval on the scale of the task, or with the least probable
    label, each text once: columns of `Sampled`.

    `answered` is by `truth.answered`. What came true needs no person, and is left out, as is what was not
    kept or has no readable answer. The completions are the lower end, the answer and the upper end; or the
    labels of the set.
    """
    texts = [str((record or {}).get(SERVED_INPUT) or "").strip() for record in answered["input"]]
    open_rows = answered.assign(text=texts).dropna(subset=["predicted", "width"])
    if task.kind == "label":
        open_rows = open_rows[open_rows["width"] > 1]  # else there is nothing to choose between
    open_rows = open_rows[open_rows["value"].isna() & (open_rows["text"] != "")]
    order = np.argsort(_certainty(open_rows, task), kind="stable")
    chosen = open_rows.iloc[order].drop_duplicates("text").head(rows)
    return pd.DataFrame(
        {
            "id": chosen["key"] + " " + chosen["row"].astype(str),
            "prompt": [prompt_of(text, task) for text in chosen["text"]],
            "completions": [list(dict.fromkeys(map(task.completion, row))) for row in _offered(chosen, task)],
        }
    ).reset_index(drop=True)


def _certainty(rows: pd.DataFrame, task: AnyTask) -> Floats:
    """The larger, the surer an answer is, (n,)."""
    if isinstance(task.answers, Labels):
        return np.array([answer.get("probability") for answer in rows["answer"]], float)
    low, high = (task.answers.scaled(rows[end] + task.answers.step) for end in ("low", "high"))
    return low - high


def _offered(rows: pd.DataFrame, task: AnyTask) -> list[list[float]]:
    """The answers of each row between which a person is to choose."""
    if isinstance(task.answers, Labels):
        places = [[task.answers.place(name) for name in answer["labels"]] for answer in rows["answer"]]
        return [[place for place in row if place is not None] for row in places]
    return rows[["low", "predicted", "high"]].to_numpy(float).tolist()  # type: ignore[no-any-return]
