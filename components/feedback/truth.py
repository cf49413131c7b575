"""Sampled completions, ranked by their distance to the true price."""

from __future__ import annotations

import pandas as pd

from components.feedback.result import Preferences
from components.model.prompt import parse_completion


def pairs(sampled: pd.DataFrame, prices: pd.Series, *, margin_min: float, most: int) -> Preferences:
    """At most `most` pairs of each row of `sampled` (columns of `Sampled`); `prices` are dollars by id."""
    result = Preferences("truth")
    for row in sampled.itertuples():
        ranked = ranked_pairs(list(row.completions), prices[row.id], margin_min=margin_min, most=most)
        for chosen, rejected, margin in ranked:
            result.pair(row.id, row.prompt, chosen, rejected, margin)
        if not ranked:
            result.reject(
                row.id, f"no two completions differ by {margin_min:g} dollars or more in their error"
            )
    margins = [pair.margin for pair in result.pairs if pair.margin is not None]
    result.figures = {"median_margin": float(pd.Series(margins).median())} if margins else {}
    return result


def ranked_pairs(
    completions: list[str], price: float, *, margin_min: float, most: int
) -> list[tuple[str, str, float]]:
    """(chosen, rejected, margin in dollars) of one prompt's completions, the widest margins first.

    An unreadable completion loses to every readable one: its error is the worst readable one (at least
    the price itself) plus the price. Equal completions and margins below `margin_min` give no pair.
    """
    errors = _errors(list(dict.fromkeys(completions)), price)
    best_first = sorted(errors, key=lambda text: errors[text])
    pairs = [
        (chosen, rejected, errors[rejected] - errors[chosen])
        for place, chosen in enumerate(best_first)
        for rejected in best_first[place + 1 :]
    ]
    wide = [pair for pair in pairs if pair[2] >= max(margin_min, 1e-9)]
    return sorted(wide, key=lambda pair: -pair[2])[:most]


def _errors(completions: list[str], price: float) -> dict[str, float]:
    prices = {text: parse_completion(text) for text in completions}
    errors = {text: abs(value - price) for text, value in prices.items() if value is not None}
    unreadable = max([price, *errors.values()]) + price
    return {text: errors.get(text, unreadable) for text in completions}
