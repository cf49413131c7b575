"""Every candidate on the same rows: measures, the winner, and a page for people.

Reads validation and test of artifacts/curate, artifacts/baseline/predictions.parquet, the base, the
adapters in artifacts/sft and artifacts/align/<method> and the reports of their training,
artifacts/scrape/law.parquet, and what people and endpoints say where params.yaml names some. Writes
artifacts/evaluate/ (predictions of all candidates, winner.json, pictures, report.html) and
reports/evaluate.json. Whatever is chosen is chosen on validation; test is only reported.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from components import forgetting, modeling, pictures, pricing, references, report, scoring, stage, steering
from components.calibration import calibrate, observed
from components.judging import BASELINE, MODEL, REFERENCE, judge, worst
from components.measures import Floats
from components.params import Evaluate
from components.records import SCORED, Prediction, PricewrightError

LEVELS = [level / 10 for level in range(1, 10)]
"""Nominal levels at which the page shows what intervals hold."""


def distribution(
    title: str,
    texts: list[str],
    model: Any,
    tokenizer: Any,
    section: Evaluate,
    *,
    price_max: int,
    prompt_tokens: int,
) -> Floats:
    """The price distribution of a model for each listing, (n, price_max + 1)."""
    return pricing.price_distribution(
        model,
        tokenizer,
        [pricing.prompt(text) for text in texts],
        price_max=price_max,
        prompt_tokens=prompt_tokens,
        batch_size=section.batch_size,
        title=title,
    )


def steered(
    items: pd.DataFrame, base: Path, adapter: Path, section: Evaluate, **options: int
) -> list[dict[str, Any]]:
    """What attacks in the text of test listings do to the answers of one model; see `steering.measure`."""
    model, tokenizer = modeling.load_model(base, adapter), modeling.load_tokenizer(base)
    texts = items.loc[items["split"] == "test", "text"].head(section.steered_rows).tolist()

    def ask(texts: list[str]) -> Floats:
        return pricing.quantile(distribution("steering", texts, model, tokenizer, section, **options), 0.5)

    return steering.measure(ask, texts, moved=section.steered_share)


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


def outside(test: pd.DataFrame, section: Evaluate) -> tuple[list[pd.DataFrame], dict[str, Any]]:
    """What people and endpoints say of test items, and what each endpoint's answers cost."""
    people = [references.guessed(one, test) for one in section.guesses]
    asked = {one.name: references.answered(one, test) for one in section.endpoints}
    return [*people, *(rows for rows, _ in asked.values())], {name: cost for name, (_, cost) in asked.items()}


def together(tables: dict[str, list[pd.DataFrame]]) -> tuple[pd.DataFrame, dict[str, str]]:
    """All predictions in one table, and the kind of each candidate in it.

    Raises PricewrightError where two candidates have the same name.
    """
    kinds: dict[str, str] = {}
    for kind, parts in tables.items():
        for name in (name for part in parts for name in part["candidate"].unique()):
            if name in kinds:
                raise PricewrightError(f"two candidates are called {name}: rename one in params.yaml")
            kinds[name] = kind
    return pd.concat([part for parts in tables.values() for part in parts], ignore_index=True), kinds


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


def worse_than_sft(methods: Iterable[str], folder: Path) -> frozenset[str]:
    """The aligned candidates whose verdict says that they may not win."""
    verdicts = {name: json.loads((folder / name / "verdict.json").read_text("utf-8")) for name in methods}
    return frozenset(name for name, one in verdicts.items() if not one["may_win"])


def learned(methods: Iterable[str], folder: Path) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """The losses of SFT, and the looks at each aligned policy, out of the reports of those stages."""
    looks = {one: json.loads((folder / "align" / f"{one}.json").read_text("utf-8")) for one in methods}
    losses = json.loads((folder / "sft.json").read_text("utf-8"))["losses"]
    return losses, {name: one["watch"]["looks"] for name, one in looks.items()}


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
        texts = items["text"].tolist()
        baselines = stage.read(artifacts / "baseline" / "predictions.parquet")
        references, cost = outside(items[items["split"] == "test"], params.evaluate)
        base, said, general = artifacts / "base", {}, {}
        tokenizer = modeling.load_tokenizer(base)
        for name, adapter in {"base": None, **adapters}.items():
            model = modeling.load_model(base, adapter)
            general[name] = forgetting.measure(model, tokenizer) | forgetting.written(model, tokenizer)
            if adapter is not None:
                said[name] = distribution(name, texts, model, tokenizer, params.evaluate, **options)
            del model
            gc.collect()
        models = [answers(name, items, one, params.evaluate) for name, one in said.items()]
        rows, kinds = together({BASELINE: [baselines], MODEL: models, REFERENCE: references})
        law = stage.read(artifacts / "scrape" / "law.parquet")
        barred = worse_than_sft(params.align.methods, artifacts / "align")
        result = judge(rows, kinds, items, law, params.evaluate, barred)
        result["cost"] = cost
        result["forgetting"] = forgetting.compared(general, "base")
        won = adapters[result["winner"]]
        result["steering"] = steered(items, base, won, params.evaluate, **options)
        result["calibration"] = coverage(items, said[result["winner"]], params.evaluate)

        frame.save("predictions.parquet", rows, Prediction)
        figures = draw(rows, result)
        figures[report.LEARNING] = pictures.learning(*learned(params.align.methods, Path("reports")))
        drawn = {name: frame.picture(figure, name) for name, figure in figures.items()}
        page = report.page(result, worst(rows, items, result["winner"]), drawn, params.evaluate)
        (frame.folder / "report.html").write_text(page, encoding="utf-8")
        winner = {"winner": result["winner"], "adapter": won.as_posix()}
        (frame.folder / "winner.json").write_text(json.dumps(winner, indent=2) + "\n", encoding="utf-8")
        frame.tracked.artifact(frame.folder / "report.html")
        frame.report(result)


if __name__ == "__main__":
    main()
