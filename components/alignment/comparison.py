"""The outcome of an alignment run: the kept policy against the SFT model, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np

from components.alignment.rewards import expected, prices_of
from components.evaluation.metrics import paired_difference
from components.evaluation.resampling import Products
from components.model import adapters, loading, sampling
from components.model.distribution import price_masses, quantile

WAYS = ("median", "greedy")
"""Ways to a price without sampling: the median of the distribution, and the likeliest completion."""


def measure(
    model: Any,
    tokenizer: Any,
    adapter: str,
    prompts: list[str],
    prices: np.ndarray,
    *,
    price_max: int,
    batch_size: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Errors of an adapter in dollars, each (rows,): of the `median`, of the `greedy` completion (NaN where
    that is no price), and of a completion `sampled` at temperature 1, in expectation; and the probability
    that such a completion is `malformed`.
    """
    common: dict[str, Any] = {"prompt_tokens": tokenizer.model_max_length, "batch_size": batch_size}
    with adapters.use_adapter(model, adapter):
        masses = price_masses(model, tokenizer, prompts, price_max=price_max, title="pricing", **common)
        greedy = sampling.sample(
            model, tokenizer, prompts, completions=1, temperature=0.0, title="greedy", **common
        )
        loading.seed_everything(seed)
        sampled = sampling.sample(
            model, tokenizer, prompts, completions=1, temperature=1.0, title="sampling", **common
        )
    medians = quantile(masses / masses.sum(axis=1, keepdims=True), 0.5)
    likeliest = prices_of([texts[0] for texts in greedy])
    error, malformed = expected(masses, [texts[0] for texts in sampled], prices, price_max)
    highest = np.minimum(likeliest, price_max)  # else one answer in millions would decide the mean
    answers = {"median": medians, "greedy": highest}
    errors = {way: np.abs(answer - prices) for way, answer in answers.items()}
    return {**errors, "sampled": error, "malformed": malformed}


def against_sft(
    sft: dict[str, np.ndarray],
    aligned: dict[str, np.ndarray],
    products: Products,
    *,
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """Means of what `measure` gives and their paired differences, aligned minus SFT, with 95% intervals
    over `products`, (rows,).

    `may_win`: neither by median nor greedily is the aligned policy worse, in error or in readable answers.
    What is worse at either is never picked, however well it samples.
    """
    options: dict[str, Any] = {"bootstrap": bootstrap, "seed": seed}
    compared = {name: compare(sft[name], aligned[name], products, **options) for name in sft}
    return {**compared, "may_win": not any(_is_worse(compared[way], sft[way], aligned[way]) for way in WAYS)}


def _is_worse(compared: dict[str, Any], sft: np.ndarray, aligned: np.ndarray) -> bool:
    fewer_answers = bool(np.isnan(aligned).sum() > np.isnan(sft).sum())
    return fewer_answers or (compared["difference"] is not None and compared["difference"]["mean"] > 0)


def compare(
    sft: np.ndarray, aligned: np.ndarray, products: Products, *, bootstrap: int, seed: int
) -> dict[str, Any]:
    """Means over the rows that both have, that of the aligned policy with its interval, and their paired
    difference; None where there is no such row.
    """
    both = ~(np.isnan(sft) | np.isnan(aligned))
    if not both.any():
        return {"sft": None, "aligned": None, "aligned_low": None, "aligned_high": None, "difference": None}
    nothing = np.zeros(int(both.sum()))
    options: dict[str, Any] = {"bootstrap": bootstrap, "seed": seed}
    own = paired_difference(nothing, aligned[both], nothing, products[both], **options)
    gap = paired_difference(nothing, aligned[both], sft[both], products[both], **options)
    return {
        "sft": float(sft[both].mean()),
        "aligned": float(aligned[both].mean()),
        "aligned_low": own[1],
        "aligned_high": own[2],
        "difference": dict(zip(("mean", "low", "high"), gap, strict=True)),
    }
