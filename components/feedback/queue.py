"""Requests that wait for a person: those that the champion was the least certain about.

They come before the sampled completions on the ranking page, so that ten minutes of a person go where they
help the most (uncertainty sampling: Lewis and Gale 1994).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from components.core.schemas import SERVED_INPUT
from components.model.prompt import prompt_of
from components.tasks.number import NumberTask

QUEUE = Path("work/queue.parquet")
"""Columns of `Sampled`; `make retrain` writes it. In a folder that no stage reads."""


def least_certain(answered: pd.DataFrame, rows: int, task: NumberTask) -> pd.DataFrame:
    """The `rows` requests with the widest interval on the scale of the task, each text once: columns of
    `Sampled`.

    `answered` is by `truth.answered`. What came true needs no person, and is left out, as is what was not
    kept or has no readable answer. The completions are the lower end, the answer and the upper end.
    """
    texts = [str((record or {}).get(SERVED_INPUT) or "").strip() for record in answered["input"]]
    open_rows = answered.assign(text=texts).dropna(subset=["predicted", "low", "high"])
    open_rows = open_rows[open_rows["value"].isna() & (open_rows["text"] != "")]
    low, high = (task.grid.scaled(open_rows[end] + task.grid.step) for end in ("low", "high"))
    order = np.argsort(low - high, kind="stable")
    chosen = open_rows.iloc[order].drop_duplicates("text").head(rows)
    ends = chosen[["low", "predicted", "high"]].to_numpy(float)
    return pd.DataFrame(
        {
            "id": chosen["key"] + " " + chosen["row"].astype(str),
            "prompt": [prompt_of(text, task) for text in chosen["text"]],
            "completions": [list(dict.fromkeys(map(task.completion, row))) for row in ends],
        }
    ).reset_index(drop=True)
