"""Pricing the test split: one pass for the whole distribution against one `generate` per listing.

The other way is that of the course "LLM engineering": generate a few tokens for one listing after the other
and read the text as a price. The same model, rows, processor and run; prints both, and the ratio.

    python -m benchmarks.pricing [--rows 540]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from components import modeling, pricing, stage
from components.params import load

NEW_TOKENS = 5  # of the course


def main() -> None:
    """Time both ways on the served model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=None, help="of the test split; all by default")
    items = stage.read("artifacts/curate/test.parquet").head(parser.parse_args().rows)
    params, folder = load(), Path("artifacts/quantize")
    tokenizer, model = modeling.load_tokenizer(folder), modeling.load_served(folder)
    prompts = [pricing.prompt(text) for text in items["text"]]
    true = items["price"].to_numpy(float)

    def together() -> np.ndarray:
        distribution = pricing.price_distribution(
            model,
            tokenizer,
            prompts,
            price_max=int(params.curate.price_max),
            prompt_tokens=params.sft.prompt_tokens,
            batch_size=params.quantize.batch_size,
            title="distribution",
        )
        return pricing.quantile(distribution, 0.5)

    def one_by_one() -> np.ndarray:
        said = []
        for prompt in prompts:
            ids = tokenizer(prompt, return_tensors="pt").input_ids
            with torch.inference_mode():
                output = model.generate(
                    ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=NEW_TOKENS,
                    do_sample=False,
                    pad_token_id=tokenizer.eos_token_id,
                )
            price = pricing.parse(tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True))
            said.append(np.nan if price is None else price)
        return np.array(said)

    speeds, maes = [], []
    for name, way in (
        ("one pass, the distribution's median", together),
        ("one generate each, parsed", one_by_one),
    ):
        start = time.perf_counter()
        said = way()
        speeds.append(len(items) / (time.perf_counter() - start))
        maes.append(float(np.nanmean(np.abs(said - true))))
        unparsed = int(np.isnan(said).sum())
        print(f"{name:<26} {speeds[-1]:8.1f} listings/s  MAE ${maes[-1]:.2f}  unparsed {unparsed}")
    lower = maes[1] - maes[0]
    print(f"ratio: {speeds[0] / speeds[1]:.1f} times the listings per second, MAE lower by ${lower:.2f}")


if __name__ == "__main__":
    main()
