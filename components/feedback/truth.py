"""Sampled completions, ranked by what their distance to the truth costs."""

from __future__ import annotations

import pandas as pd

from components.feedback.result import Preferences
from components.model.answers import AnswerSet


def pairs(
    sampled: pd.DataFrame,
    targets: pd.Series,
    answers: AnswerSet,
    *,
    margin_min: float,
    most: int,
    under_cost: float,
) -> Preferences:
    """At most `most` pairs of each row of `sampled` (columns of `Sampled`); `targets` are by id, and an
    answer below its target costs `under_cost` times as much as one above it.
    """
    result = Preferences("truth")
    for row in sampled.itertuples():
        ranked = ranked_pairs(
            list(row.completions),
            targets[row.id],
            answers,
            margin_min=margin_min,
            most=most,
            under_cost=under_cost,
        )
        for chosen, rejected, margin in ranked:
            result.pair(row.id, row.prompt, chosen, rejected, margin)
        if not ranked:
            result.reject(row.id, f"no two completions differ by {margin_min:g} or more in their error")
    margins = [pair.margin for pair in result.pairs if pair.margin is not None]
    result.figures = {"median_margin": float(pd.Series(margins).median())} if margins else {}
    return result


def ranked_pairs(
    completions: list[str],
    target: float,
    answers: AnswerSet,
    *,
    margin_min: float,
    most: int,
    under_cost: float,
) -> list[tuple[str, str, float]]:
    """(chosen, rejected, margin) of one prompt's completions, the widest margins first.

    The error of a completion below the target counts `under_cost` times: above 1, too low is the worse
    mistake. An unreadable completion loses to every readable one: its error is the worst readable one (at
    least the size of the target itself) plus that size, the size of a label being that of a mistake. Equal
    completions and margins below `margin_min` give no pair.
    """
    errors = _errors(list(dict.fromkeys(completions)), target, answers, under_cost)
    best_first = sorted(errors, key=lambda text: errors[text])
    pairs = [
        (chosen, rejected, errors[rejected] - errors[chosen])
        for place, chosen in enumerate(best_first)
        for rejected in best_first[place + 1 :]
    ]
    wide = [pair for pair in pairs if pair[2] >= max(margin_min, 1e-9)]
    return sorted(wide, key=lambda pair: -pair[2])[:most]


def _errors(completions: list[str], target: float, answers: AnswerSet, under_cost: float) -> dict[str, float]:
    read = {text: answers.read(text) for text in completions}
    errors = {
        text: float(answers.loss(target, answer, under_cost))
        for text, answer in read.items()
        if answer is not None
    }
    size = answers.size(target)
    unreadable = max([size, *errors.values()]) + size
    return {text: errors.get(text, unreadable) for text in completions}
