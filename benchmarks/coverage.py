"""What the served interval really holds: on thousands of fresh listings of the demo shop's law.

The test split has too few rows to tell 76% from 84% in a price band; the law can draw any number. None of
these listings was seen in training or calibration. Prints the share that low to high holds, overall and by
band of the predicted price, beside the raw interval of the same model.

    python -m benchmarks.coverage [--rows 4000] [--seed 12345]
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from components.core import stage
from components.core.params.file import load_params
from components.core.schemas import SPLITS
from components.evaluation.calibration import Calibration
from components.evaluation.metrics import share_interval
from components.model.grid import Grid
from components.model.listing_text import listing_text
from components.serving.pyfunc import Predictor
from components.synthetic.catalogue import catalogue


def fresh(rows: int, seed: int, noise: float, price_max: float) -> tuple[list[str], np.ndarray]:
    """Texts and prices of listings that are in no split."""
    known = {text for split in SPLITS for text in stage.read(f"artifacts/curate/{split}.parquet")["text"]}
    result: dict[str, float] = {}
    for product in catalogue(seed, 2 * rows, noise):
        text = listing_text(product.title, product.brand, product.details, product.description)
        if product.price is not None and text not in known and 1 <= float(product.price) <= price_max:
            result[text] = float(product.price)
    return list(result)[:rows], np.array(list(result.values()))[:rows]


def main() -> None:
    """Price fresh listings with the served model and count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=12345)
    arguments = parser.parse_args()
    params, pricer = load_params(), Predictor(Path("artifacts/quantize"))
    texts, true = fresh(arguments.rows, arguments.seed, params.scrape.demo_shop.noise, params.task.number.max)
    distribution = pricer.served.distribution(texts, "fresh listings")
    grid, calibration = pricer.settings.asked.answers, pricer.settings.calibration
    if not isinstance(grid, Grid) or not isinstance(calibration, Calibration):
        raise SystemExit("error: artifacts/quantize/ answers with labels; this counts intervals of numbers")
    predicted = grid.median(distribution)
    edges = [-np.inf, *np.quantile(predicted, [0.2, 0.4, 0.6, 0.8]), np.inf]
    groups = {"overall": np.ones(len(true), bool)}
    own = [-np.inf, *calibration.edges, np.inf]
    for grouping, bounds in (("calibrated band", own), ("fifth", edges)):
        for low, high in pairwise(bounds):
            groups[f"{grouping} ${max(low, 0):.0f} to ${high:.0f}"] = (predicted >= low) & (predicted < high)
    for name, rows in groups.items():
        line = f"{name:<32} n={rows.sum():<5}"
        for title, intervals in (
            ("served", calibration),
            ("raw", Calibration.uncalibrated(calibration.coverage)),
        ):
            low_end, high_end = intervals.interval(distribution[rows], grid)
            inside = (true[rows] >= low_end) & (true[rows] <= high_end)
            ends = share_interval(inside, np.flatnonzero(rows))  # each listing is a product of its own
            line += f"  {title} {inside.mean():.1%} ({ends[0]:.1%} to {ends[1]:.1%})"
        print(line)


if __name__ == "__main__":
    main()
