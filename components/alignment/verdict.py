"""What an alignment run came to: the kept policy against the SFT model on validation, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np

from components import modeling, pricing, scoring
from components.alignment.rewards import said
from components.alignment.watch import Look
from components.measures import paired_difference

WAYS = ("median", "greedy")
"""How a price is read off a model without drawing: of its distribution, or its likeliest completion."""


def answers(
    model: Any, tokenizer: Any, part: str, prompts: list[str], *, price_max: int, batch_size: int
) -> dict[str, np.ndarray]:
    """Dollars that one adapter answers, (rows,), by each of WAYS; NaN where that is no price."""
    common: dict[str, Any] = {"prompt_tokens": tokenizer.model_max_length, "batch_size": batch_size}
    with modeling.answering(model, part):
        medians = scoring.ask(model, tokenizer, prompts, [0.5], price_max=price_max, title="median", **common)
        greedy = pricing.sample(
            model, tokenizer, prompts, completions=1, temperature=0.0, title="greedy", **common
        )
    return {"median": medians[:, 0], "greedy": said([texts[0] for texts in greedy])}


def verdict(
    prices: np.ndarray,
    price_max: int,
    sft: dict[str, np.ndarray],
    aligned: dict[str, np.ndarray],
    start: Look,
    kept: Look,
    *,
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """Mean errors in dollars and their paired difference, aligned minus SFT, with its 95% interval: by
    median, greedily, and `sampled` at temperature 1; rows without a price on either side count as
    `malformed`, whose shares are compared alike. An answer above `price_max` counts as that: a single one
    in millions would be all that a mean shows.

    `may_win`: neither by median nor greedily is the aligned policy worse, in error or in readable answers.
    What is worse at either is never picked, however well it samples.
    """
    options: dict[str, Any] = {"bootstrap": bootstrap, "seed": seed}
    answered = {way: (sft[way], aligned[way]) for way in WAYS}
    answered["sampled"] = (said(start.completions), said(kept.completions))
    compared = {
        way: compare(prices, *(np.minimum(one, price_max) for one in both), **options)
        for way, both in answered.items()
    }
    malformed = (start.malformed().astype(float), kept.malformed().astype(float))
    compared["malformed"] = compare(np.zeros(len(prices)), *malformed, **options)
    not_worse = [
        compared[way]["difference"]["mean"] <= 0 and np.isnan(aligned[way]).sum() <= np.isnan(sft[way]).sum()
        for way in WAYS
    ]
    return {**compared, "may_win": bool(all(not_worse))}


def compare(true: np.ndarray, sft: np.ndarray, aligned: np.ndarray, **options: Any) -> dict[str, Any]:
    """Mean absolute errors over the rows that both have, and their paired difference."""
    both = ~(np.isnan(sft) | np.isnan(aligned))
    mean, low, high = paired_difference(true, aligned, sft, **options)
    return {
        "sft": float(np.abs(sft - true)[both].mean()),
        "aligned": float(np.abs(aligned - true)[both].mean()),
        "difference": {"mean": mean, "low": low, "high": high},
    }
