"""Pricing the test split: one pass for the whole distribution against one `generate` per listing.

The other way is that of the course "LLM engineering": generate up to five tokens for one listing after the
other and read the text as a price. It is timed twice: to the end-of-text token of our model, and always five
tokens, as with the course's model, which has learned no end. The same weights, rows, processor and
run, each way warmed up on a few rows; prints each, and the ratios.

    python -m benchmarks.pricing [--rows 540]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from components.core import stage
from components.core.params.file import load_params
from components.model import formats, loading
from components.model.distribution import price_distribution, quantile
from components.model.prompt import parse_completion, price_prompt

NEW_TOKENS = 5  # of the course
WARM_UP = 16
NO_TOKEN = -1  # an end-of-text token that no model generates


def main() -> None:
    """Time both ways on the served model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=None, help="of the test split; all by default")
    items = stage.read("artifacts/curate/test.parquet").head(parser.parse_args().rows)
    params, folder = load_params(), Path("artifacts/quantize")
    tokenizer = loading.load_tokenizer(folder)
    model: Any = formats.load_served(folder)
    prompts = [price_prompt(text, params.prompt.question) for text in items["text"]]
    true = items["price"].to_numpy(float)

    def one_pass(prompts: list[str]) -> np.ndarray:
        distribution = price_distribution(
            model,
            tokenizer,
            prompts,
            price_max=params.prompt.price_max,
            prompt_tokens=params.prompt.tokens,
            batch_size=params.quantize.batch_size,
            title="distribution",
        )
        return quantile(distribution, 0.5)

    def one_by_one(prompts: list[str], end: int) -> np.ndarray:
        prices = []
        for prompt in prompts:
            ids = tokenizer(prompt, return_tensors="pt").input_ids
            with torch.inference_mode():
                output = model.generate(
                    ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=NEW_TOKENS,
                    do_sample=False,
                    eos_token_id=end,
                    pad_token_id=tokenizer.eos_token_id,
                )
            price = parse_completion(
                str(tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True))
            )
            prices.append(np.nan if price is None else price)
        return np.array(prices)

    ways: dict[str, Callable[[list[str]], np.ndarray]] = {
        "one pass, the distribution's median": one_pass,
        "one generate each, to its end": lambda texts: one_by_one(texts, tokenizer.eos_token_id),
        "one generate each, five tokens": lambda texts: one_by_one(texts, NO_TOKEN),
    }
    speeds, maes = [], []
    for name, way in ways.items():
        way(prompts[:WARM_UP])
        start = time.perf_counter()
        predicted = way(prompts)
        speeds.append(len(items) / (time.perf_counter() - start))
        maes.append(float(np.nanmean(np.abs(predicted - true))))
        unparsed = int(np.isnan(predicted).sum())
        print(f"{name:<36} {speeds[-1]:8.1f} listings/s  MAE ${maes[-1]:.2f}  unparsed {unparsed}")
    to_its_end, five = (speeds[0] / speed for speed in speeds[1:])
    print(
        f"ratio: {to_its_end:.1f} times the listings per second, {five:.1f} times those of five tokens; ",
        end="",
    )
    print(f"MAE lower by ${maes[1] - maes[0]:.2f}")


if __name__ == "__main__":
    main()
