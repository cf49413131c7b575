"""Pricing the test split: one pass for the whole distribution against `generate` and a parser.

The other way is that of the course "LLM engineering": generate up to five tokens for one listing after the
other and read the text as a price. It is timed three times: to the end of the answer, where our model stops
by itself; always five tokens, as with the course's model, which has learned no end; and to its end in batches
of the same size and order as the distribution's. The same weights, rows, processor and run, each way warmed
up on a few rows, and all taking turns over blocks of rows; prints each, and the ratios.

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
from components.model import formats, loading, sampling
from components.model.distribution import listing_distribution
from components.model.prompt import parse_number, prompt_of
from components.tasks import task_of

NEW_TOKENS = 5  # of the course
WARM_UP = 16
BLOCKS = 10  # of rows, over which the ways take turns: what else runs on the machine slows all of them
NO_TOKEN = -1  # an end-of-text token that no model generates


def main() -> None:
    """Time both ways on the served model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=None, help="of the test split; all by default")
    items = stage.read("artifacts/curate/test.parquet").head(parser.parse_args().rows)
    params, folder = load_params(), Path("artifacts/quantize")
    task = task_of(params.task)
    tokenizer = loading.load_tokenizer(folder)
    model: Any = formats.load_served(folder)
    texts, sizes = items["text"].tolist(), {"batch_size": params.quantize.batch_size}
    true = items["target"].to_numpy(float)

    def one_pass(texts: list[str]) -> np.ndarray:
        distribution = listing_distribution(model, tokenizer, texts, task, title="distribution", **sizes)
        return task.answers.point(distribution)

    def batched(texts: list[str]) -> np.ndarray:
        generated = sampling.sample(
            model,
            tokenizer,
            [prompt_of(text, task) for text in texts],
            prompt_tokens=task.tokens,
            completions=1,
            temperature=0.0,
            new_tokens=NEW_TOKENS,
            title="generate",
            **sizes,
        )
        return np.array([parse_number(completion) for [completion] in generated], dtype=float)

    def one_by_one(texts: list[str], end: int) -> np.ndarray:
        prices = []
        for text in texts:
            ids = tokenizer(prompt_of(text, task), return_tensors="pt").input_ids
            with torch.inference_mode():
                output = model.generate(
                    ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=NEW_TOKENS,
                    do_sample=False,
                    eos_token_id=end,
                    pad_token_id=tokenizer.eos_token_id,
                )
            price = parse_number(str(tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)))
            prices.append(np.nan if price is None else price)
        return np.array(prices)

    ways: dict[str, Callable[[list[str]], np.ndarray]] = {
        "one pass, the distribution's median": one_pass,
        "one generate each, to its end": lambda texts: one_by_one(texts, tokenizer.eos_token_id),
        "one generate each, five tokens": lambda texts: one_by_one(texts, NO_TOKEN),
        "generate in batches, to its end": batched,
    }
    for way in ways.values():
        way(texts[:WARM_UP])
    seconds, predicted = dict.fromkeys(ways, 0.0), {name: np.empty(len(texts)) for name in ways}
    for rows in np.array_split(np.arange(len(texts)), BLOCKS):
        for name, way in ways.items():
            start = time.perf_counter()
            predicted[name][rows] = way([texts[row] for row in rows])
            seconds[name] += time.perf_counter() - start
    speeds, maes = [], []
    for name, prices in predicted.items():
        speeds.append(len(items) / seconds[name])
        maes.append(float(np.nanmean(np.abs(prices - true))))
        unparsed = int(np.isnan(prices).sum())
        print(f"{name:<36} {speeds[-1]:8.1f} listings/s  MAE {maes[-1]:.2f}  unparsed {unparsed}")
    to_its_end, five, in_batches = (speeds[0] / speed for speed in speeds[1:])
    print(f"times the listings per second: {to_its_end:.1f} of one generate each to its end, ", end="")
    print(f"{five:.1f} of five tokens each, {in_batches:.2f} of generate in batches; ", end="")
    print(f"MAE lower by {maes[1] - maes[0]:.2f}")


if __name__ == "__main__":
    main()
