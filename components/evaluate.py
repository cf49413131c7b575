"""Every candidate on the same rows: measures, the winner, and a page for people.

Reads validation and test of artifacts/curate, artifacts/baseline/predictions.parquet, the base, the
adapters in artifacts/sft and artifacts/align/<method>, and artifacts/scrape/law.parquet. Writes
artifacts/evaluate/ (predictions of all candidates, winner.json, pictures, report.html) and
reports/evaluate.json. Whatever is chosen is chosen on validation; test is only reported.
"""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pandas as pd

from components import modeling, pictures, pricing, report, scoring, stage
from components.calibration import calibrate, observed
from components.judging import judge, worst
from components.measures import Floats
from components.params import Evaluate
from components.records import SCORED, Prediction

LEVELS = [level / 10 for level in range(1, 10)]
"""Nominal levels at which the page shows what intervals hold."""


def distribution(
    name: str,
    items: pd.DataFrame,
    base: Path,
    adapter: Path,
    section: Evaluate,
    *,
    price_max: int,
    prompt_tokens: int,
) -> Floats:
    """The price distribution of one adapter for each item, (n, price_max + 1); the model is gone from
    memory when this returns.
    """
    model, tokenizer = modeling.load_model(base, adapter), modeling.load_tokenizer(base)
    asked = pricing.price_distribution(
        model,
        tokenizer,
        [pricing.prompt(text) for text in items["text"]],
        price_max=price_max,
        prompt_tokens=prompt_tokens,
        batch_size=section.batch_size,
        title=name,
    )
    del model
    gc.collect()
    return asked


def answers(name: str, items: pd.DataFrame, distribution: Floats, section: Evaluate) -> pd.DataFrame:
    """Rows of `Prediction`: the median of each distribution, and the interval calibrated on validation."""
    validation = (items["split"] == "validation").to_numpy()
    calibration = calibrate(
        distribution[validation],
        items["price"].to_numpy(float)[validation],
        coverage=section.interval,
        rows_min=section.calibration_rows,
    )
    predicted = pricing.quantile(distribution, 0.5)
    return scoring.predictions(name, items, predicted, *calibration.interval(distribution))


def coverage(items: pd.DataFrame, distribution: Floats, section: Evaluate) -> dict[str, Any]:
    """What the intervals of one model hold on test, calibrated on validation; see `calibration.observed`."""
    return observed(
        distribution,
        items["price"].to_numpy(float),
        (items["split"] == "validation").to_numpy(),
        LEVELS,
        coverage=section.interval,
        rows_min=section.calibration_rows,
    )


def draw(rows: pd.DataFrame, result: dict[str, Any]) -> dict[str, Any]:
    """The figures of the page, by file name."""
    winner, baseline = result["winner"], result["best_baseline"]
    test = rows[rows["split"] == "test"]
    panels = {name: test[test["candidate"] == name] for name in (winner, baseline)}
    return {
        "candidates.png": pictures.candidates(result, "test"),
        "predicted_true.png": pictures.predicted_true(panels, "test"),
        "error_by_band.png": pictures.errors_by_group(
            result["error_by_band"], "band", f"Error of {winner} on test by true price"
        ),
        "error_by_category.png": pictures.errors_by_group(
            result["error_by_category"], "category", f"Error of {winner} on test by category"
        ),
        "calibration.png": pictures.calibration(
            result["calibration"]["levels"], f"Intervals of {winner} on test"
        ),
    }


def main() -> None:
    """Score every candidate, judge, draw, write."""
    with stage.run("evaluate") as frame:
        params, artifacts = frame.params, Path("artifacts")
        curated = [stage.read(artifacts / "curate" / f"{split}.parquet") for split in SCORED]
        items = pd.concat(curated, ignore_index=True)
        adapters = {"sft": artifacts / "sft"}
        adapters |= {method: artifacts / "align" / method for method in params.align.methods}
        options = {"price_max": int(params.curate.price_max), "prompt_tokens": params.sft.prompt_tokens}
        tables = [stage.read(artifacts / "baseline" / "predictions.parquet")]
        said = {
            name: distribution(name, items, artifacts / "base", adapter, params.evaluate, **options)
            for name, adapter in adapters.items()
        }
        tables += [answers(name, items, one, params.evaluate) for name, one in said.items()]
        rows = pd.concat(tables, ignore_index=True)
        law = stage.read(artifacts / "scrape" / "law.parquet")
        result = judge(rows, list(adapters), items, law, params.evaluate)
        result["calibration"] = coverage(items, said[result["winner"]], params.evaluate)

        frame.save("predictions.parquet", rows, Prediction)
        drawn = {name: frame.picture(figure, name) for name, figure in draw(rows, result).items()}
        page = report.page(result, worst(rows, items, result["winner"]), drawn, params.evaluate)
        (frame.folder / "report.html").write_text(page, encoding="utf-8")
        winner = {"winner": result["winner"], "adapter": adapters[result["winner"]].as_posix()}
        (frame.folder / "winner.json").write_text(json.dumps(winner, indent=2) + "\n", encoding="utf-8")
        frame.tracked.artifact(frame.folder / "report.html")
        frame.report(result)


if __name__ == "__main__":
    main()
