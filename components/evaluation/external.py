"""Candidates from outside that answer some of the test rows: people's guesses, and endpoints.

They stand in the table for comparison. None of them can win or be the best baseline, for neither can be
served from here, and they may have answered other rows than the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.core.errors import PricewrightError
from components.core.params.evaluate import Endpoint, Guesses
from components.evaluation import chat_endpoint, scoring
from components.tasks import AnyTask

CACHE = Path("work/endpoints")
"""Outside DVC's outputs: what was paid for outlives a run."""


def guessed(guesses: Guesses, test: pd.DataFrame, task: AnyTask) -> pd.DataFrame:
    """Rows of `Prediction` for the test items (`Item`) that a CSV file with the columns `id` and `value`
    names; a value that is no answer of the task is an unreadable one.

    Raises PricewrightError where the file is missing, lacks a column, or names an id twice or one that is
    not among the test items.
    """
    mend = f"mend it, or take it out of evaluate.guesses ({guesses.name})"
    try:
        table = pd.read_csv(guesses.path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise PricewrightError(f"{guesses.path} is not readable as CSV ({error}): {mend}") from error
    if not {"id", "value"} <= set(table.columns):
        raise PricewrightError(f"{guesses.path} needs the columns id and value: {mend}")
    unknown = set(table["id"]) - set(test["id"])
    if unknown or table["id"].duplicated().any() or table.empty:
        fault = (
            f"no test listing has the id {min(unknown)}" if unknown else "it is empty or names an id twice"
        )
        raise PricewrightError(f"{guesses.path}: {fault}; {mend}")
    read = [task.answers.read(text) for text in table["value"]]
    predicted = pd.Series(read, index=table["id"], dtype=float)
    rows = test[test["id"].isin(predicted.index)]
    return scoring.predictions(guesses.name, rows, predicted.reindex(rows["id"]).to_numpy(float), task)


def answered(endpoint: Endpoint, test: pd.DataFrame, task: AnyTask) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows of `Prediction` for the first `endpoint.rows` test items, and what the answers cost.

    Raises PricewrightError as `chat_endpoint.ask` does.
    """
    rows = test.head(endpoint.rows)
    answers = chat_endpoint.ask(endpoint, rows["text"].tolist(), task, CACHE / endpoint.name)
    predicted = np.array([task.answers.read(text) for text in answers.texts], float)
    cost = {
        "requests": len(rows),
        "prompt_tokens": answers.prompt_tokens,
        "completion_tokens": answers.completion_tokens,
        "cost": answers.cost,
    }
    return scoring.predictions(endpoint.name, rows, predicted, task), cost
