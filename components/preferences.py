"""Preferences: sampled completions of the SFT model, ranked by their distance to the true price.

Reads artifacts/base/, artifacts/sft/ and the preference split, which no other stage trains on, and writes
artifacts/preferences/pairs.parquet. Pairs are what the reward model and DPO learn from.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from components import modeling, pricing, stage
from components.params import Preferences
from components.records import Pair, PricewrightError


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
    read = {text: pricing.parse(text) for text in completions}
    errors = {text: abs(value - price) for text, value in read.items() if value is not None}
    unreadable = max([price, *errors.values()]) + price
    return {text: errors.get(text, unreadable) for text in completions}


def preferences(
    items: pd.DataFrame, sampled: list[list[str]], prompts: list[str], section: Preferences
) -> pd.DataFrame:
    """The pairs of all items, columns of `Pair`.

    Raises PricewrightError where not one pair is left.
    """
    rows = [
        Pair(
            id=item.id, prompt=prompt, chosen=chosen, rejected=rejected, margin=margin, origin="truth"
        ).model_dump()
        for item, prompt, completions in zip(items.itertuples(), prompts, sampled, strict=True)
        for chosen, rejected, margin in ranked_pairs(
            completions, item.price, margin_min=section.margin_min, most=section.pairs_per_prompt
        )
    ]
    if not rows:
        raise PricewrightError(
            f"no pair of completions of {len(items)} prompts differs by {section.margin_min:g} dollars "
            "or more: raise preferences.temperature or completions, or lower margin_min"
        )
    return pd.DataFrame(rows, columns=Pair.columns())


def main() -> None:
    """Sample from the SFT model on the preference split, write the pairs."""
    with stage.run("preferences") as frame:
        section, limit = frame.params.preferences, frame.params.sft.prompt_tokens
        items = stage.read("artifacts/curate/preference.parquet")
        tokenizer = modeling.load_tokenizer(Path("artifacts/base"))
        model = modeling.load_model(Path("artifacts/base"), Path("artifacts/sft"))
        prompts = [pricing.cut(tokenizer, pricing.prompt(text), limit) for text in items["text"]]
        modeling.seed_everything(section.seed)
        sampled = pricing.sample(
            model,
            tokenizer,
            prompts,
            completions=section.completions,
            temperature=section.temperature,
            prompt_tokens=limit,
            batch_size=section.batch_size,
            title="sampling",
        )
        pairs = preferences(items, sampled, prompts, section)
        frame.save("pairs.parquet", pairs, Pair)
        texts = [text for completions in sampled for text in completions]
        frame.report(
            {
                "prompts": len(items),
                "completions": len(texts),
                "unparsed": sum(pricing.parse(text) is None for text in texts),
                "pairs": len(pairs),
                "prompts_without_a_pair": len(items) - pairs["id"].nunique(),
                "median_margin": float(pairs["margin"].median()),
            }
        )


if __name__ == "__main__":
    main()
