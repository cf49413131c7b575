"""How a model does on what is unlike its training: error and coverage on the test listings farthest from it.

Likeness is the cosine of a listing to the nearest training listing, by TF-IDF of words (Salton and Buckley
1988, Term-weighting approaches in automatic text retrieval): 1 for the same words, 0 for none in common.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

from components.core.params.evaluate import Evaluate
from components.evaluation import scoring
from components.evaluation.metrics import share_interval
from components.evaluation.resampling import Floats
from components.tasks import AnyTask

BLOCK_ROWS, BLOCK_COLUMNS = 200, 20_000  # listings whose cosines are in memory at a time
DIGITS = 6  # so that two machines rank the same
SHOWN = ("n", "unparsed", "loss", "loss_low", "loss_high", "coverage", "coverage_low", "coverage_high")


def likeness(train: list[str], texts: list[str]) -> Floats:
    """The cosine of each of `texts` to the nearest text in `train`, (n,), 0 to 1.

    Sparse matrices are multiplied in blocks, so memory does not grow with the number of texts.
    """
    words = TfidfVectorizer(dtype=np.float32)
    known, new = words.fit_transform(train), words.transform(texts)
    nearest = np.zeros(new.shape[0])
    for start in range(0, new.shape[0], BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        for first in range(0, known.shape[0], BLOCK_COLUMNS):
            cosines = new[rows] @ known[first : first + BLOCK_COLUMNS].T
            nearest[rows] = np.maximum(nearest[rows], cosines.max(axis=1).toarray().ravel())
    return np.round(nearest.clip(0, 1), DIGITS)


def by_likeness(
    train: list[str], items: pd.DataFrame, rows: pd.DataFrame, section: Evaluate, task: AnyTask
) -> dict[str, Any]:
    """The figures of a candidate on the share `section.unlike_share` of test that is least like `train`.

    `items` are rows of `Item`, `rows` the candidate's rows of `Prediction`. `likeness_below` is the largest
    likeness in that share, `least_like` and `rest` hold count, mean loss and coverage of the interval or set
    on either side, each with its 95% interval over products. Listings of equal likeness stand by their ids.
    """
    test = items[items["split"] == "test"].sort_values("id", kind="stable")
    near = pd.Series(likeness(train, test["text"].tolist()), index=test["id"].to_numpy()).sort_values(
        kind="stable"
    )
    unlike = near.index[: ceil(section.unlike_share * len(near))]
    own = scoring.with_products(rows[rows["split"] == "test"], items)
    inside = own["id"].isin(unlike)
    return {
        "share": section.unlike_share,
        "likeness_below": float(near[unlike].iloc[-1]),
        "least_like": _figures(own[inside], section, task),
        "rest": _figures(own[~inside], section, task),
    }


def _figures(rows: pd.DataFrame, section: Evaluate, task: AnyTask) -> dict[str, Any]:
    figures = scoring.score(rows, section, task)
    if "coverage" in figures:
        held = (rows["held"] == 1).to_numpy()
        ends = share_interval(held, rows["product"].to_numpy())
        figures |= dict(zip(("coverage_low", "coverage_high"), ends, strict=True))
    return {name: figures[name] for name in SHOWN if name in figures}
