"""Every candidate on the same rows: metrics, the winner, and a page for people.

Reads train, validation and test of artifacts/curate, artifacts/baseline/predictions.parquet, the base, the
adapters in artifacts/sft and artifacts/align/<method> and the reports of their training, the blend in
artifacts/blend, artifacts/scrape/law.parquet; where params.yaml names some, the answers of people and
endpoints and listings of another catalogue. Writes artifacts/evaluate/ (predictions of all candidates,
winner.json, pictures, report.html) and reports/evaluate.json. Whatever is chosen is chosen on validation;
test is only reported.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from components.blending import blended
from components.blending.blended import Answers, Blend
from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.align import Align
from components.core.params.curate import Curate
from components.core.params.evaluate import Evaluate
from components.core.params.section import load_section
from components.core.schemas import BLEND, SCORED, Prediction
from components.curation.columnar import cleaned
from components.evaluation import external, forgetting, out_of_domain, prompt_injection, scoring
from components.evaluation.align_reports import against_sft, learning_curves, worse_than_sft
from components.evaluation.elsewhere import elsewhere
from components.evaluation.intervals import calibrate, columns, observed
from components.evaluation.leaderboard import BASELINE, EXTERNAL, MODEL, leaderboard, worst
from components.evaluation.resampling import Floats
from components.model import adapters, loading
from components.model.distribution import listing_distribution
from components.model.label_head import LABEL_HEAD, label_distribution, load_head
from components.model.labels import Labels
from components.regression.regressions import Regressions
from components.reporting import evaluation_page
from components.reporting.evaluation_figures import draw
from components.tasks import AnyTask, load_task

LEVELS = [level / 10 for level in range(1, 10)]
"""Nominal levels at which the page shows what intervals hold."""


class Evaluation(NamedTuple):
    """What `evaluate` finds."""

    predictions: pd.DataFrame
    """Rows of `Prediction`, of every candidate on validation and test."""
    result: dict[str, Any]
    """The report: figures by candidate and split, winner, comparisons, calibration, forgetting, injection."""


def evaluate(
    items: pd.DataFrame,
    law: pd.DataFrame,
    baselines: pd.DataFrame,
    models: dict[str, Path],
    blend: Blend,
    base: Path,
    section: Evaluate,
    task: AnyTask,
    *,
    barred: frozenset[str] = frozenset(),
) -> Evaluation:
    """Score every candidate on the same rows and pick the winner on validation.

    `items` are rows of `Item` of validation and test, `law` rows of `Law` (none for a real source),
    `baselines` rows of `Prediction`. `models` gives the adapter of each tuned model by its name, `sft` among
    them, `blend` how that one is blended, `barred` those that may not win. Raises PricewrightError where two
    candidates have the same name.
    """
    texts = items["text"].tolist()
    distributions, general = measure(texts, models, blend, base, section, task)
    general[BLEND] = general["sft"]  # what a blend says beyond numbers is its language model's
    others, cost = external_answers(items[items["split"] == "test"], section, task)
    own = [predict(name, items, read, section, task) for name, read in distributions.items()]
    rows, kinds = all_predictions({BASELINE: [baselines], MODEL: own, EXTERNAL: others})
    result = leaderboard(rows, kinds, items, law, section, task, barred)
    winner = result["winner"]
    result["cost"] = cost
    result["forgetting"] = forgetting.compared(general, "base")
    predictor = reader(winner, models, blend, base, section, task)
    result["prompt_injection"] = injected(items, predictor, section, task)
    result["calibration"] = coverage(items, distributions[winner], section, task)
    return Evaluation(rows, result)


def measure(
    texts: list[str], models: dict[str, Path], blend: Blend, base: Path, section: Evaluate, task: AnyTask
) -> tuple[dict[str, Floats], dict[str, dict[str, Any]]]:
    """(distributions by model, those of the blend too; figures on general text by model, those of
    `base` itself too).
    """
    tokenizer, distributions, general = loading.load_tokenizer(base), {}, {}
    for name, adapter in models.items():
        model: Any = adapters.load_adapted(base, adapter)
        general[name] = forgetting.measure(model, tokenizer) | forgetting.generate(model, tokenizer)
        read = read_by(model, tokenizer, adapter, section, task)
        distributions[name] = read(texts, title=name)
        del model, read
        gc.collect()
    untuned = adapters.load_adapted(base, None)
    general["base"] = forgetting.measure(untuned, tokenizer) | forgetting.generate(untuned, tokenizer)
    own = blended.untuned(untuned, tokenizer, texts, blend.depths, task, section.batch_size)
    blended_one = blend.distribution(Answers(texts, distributions["sft"], *own), task.answers)
    return distributions | {BLEND: blended_one}, general


def read_by(
    model: Any, tokenizer: Any, adapter: Path, section: Evaluate, task: AnyTask
) -> Callable[..., Floats]:
    """What reads the distributions of texts, (n, answers), under a `title`, by a model with an adapter: by
    the head beside the adapter where there is one, else by its completions.
    """
    options: dict[str, Any] = {"task": task, "batch_size": section.batch_size}
    if (head := load_head(adapter)) is not None:
        return partial(label_distribution, model, head, tokenizer, **options)
    return partial(listing_distribution, model, tokenizer, **options)


def reader(
    name: str, models: dict[str, Path], blend: Blend, base: Path, section: Evaluate, task: AnyTask
) -> Callable[[list[str]], Floats]:
    """What reads the distributions of texts, (n, numbers), by the model of that name."""
    tokenizer = loading.load_tokenizer(base)
    tuned = adapters.load_adapted(base, models["sft" if name == BLEND else name])

    adapter = models["sft" if name == BLEND else name]
    read = partial(read_by(tuned, tokenizer, adapter, section, task), title="prompt injection")
    if name != BLEND:
        return read
    untuned = adapters.load_adapted(base, None)
    depths, size = blend.depths, section.batch_size

    def blended_answers(texts: list[str]) -> Floats:
        own = blended.untuned(untuned, tokenizer, texts, depths, task, size)
        return blend.distribution(Answers(texts, read(texts), *own), task.answers)

    return blended_answers


def injected(
    items: pd.DataFrame, read: Callable[[list[str]], Floats], section: Evaluate, task: AnyTask
) -> list[dict[str, Any]]:
    """What attacks in test listings do to the answers of a model, read by `reader`; see
    `prompt_injection.attack`.
    """
    texts = items.loc[items["split"] == "test", "text"].head(section.injection_rows).tolist()
    return prompt_injection.attack(
        lambda attacked: task.answers.point(read(attacked)), texts, task, moved=section.injection_share
    )


def predict(
    name: str, items: pd.DataFrame, distribution: Floats, section: Evaluate, task: AnyTask
) -> pd.DataFrame:
    """Rows of `Prediction`: the best answer by each distribution, and the interval or set of labels
    calibrated on validation.
    """
    validation, true = (items["split"] == "validation").to_numpy(), items["target"].to_numpy(float)
    calibration = calibrate(
        distribution[validation],
        true[validation],
        task,
        coverage=section.interval,
        rows_min=section.calibration_rows,
    )
    more = columns(calibration, distribution, true, task)
    if isinstance(task.answers, Labels):
        more["log_loss"] = scoring.log_losses(distribution, true, task.answers)
    return scoring.predictions(name, items, task.answers.point(distribution), task, **more)


def external_answers(
    test: pd.DataFrame, section: Evaluate, task: AnyTask
) -> tuple[list[pd.DataFrame], dict[str, Any]]:
    """What people and chat endpoints answer for test items, and what each endpoint's answers cost."""
    people = [external.guessed(guesses, test, task) for guesses in section.guesses]
    answered = {chat.name: external.answered(chat, test, task) for chat in section.endpoints}
    costs = {name: cost for name, (_, cost) in answered.items()}
    return [*people, *(rows for rows, _ in answered.values())], costs


def all_predictions(tables: dict[str, list[pd.DataFrame]]) -> tuple[pd.DataFrame, dict[str, str]]:
    """All predictions in one table, but for the gate's rows, and the kind of each candidate in it.

    Raises PricewrightError where two candidates have the same name.
    """
    kinds: dict[str, str] = {}
    for kind, parts in tables.items():
        for name in (name for part in parts for name in part["candidate"].unique()):
            if name in kinds:
                raise PricewrightError(f"two candidates are called {name}: rename one in params.yaml")
            kinds[name] = kind
    rows = pd.concat([part for parts in tables.values() for part in parts])
    return rows[rows["split"].isin(SCORED)].reset_index(drop=True), kinds


def coverage(items: pd.DataFrame, distribution: Floats, section: Evaluate, task: AnyTask) -> dict[str, Any]:
    """What a model's intervals or sets hold on test, calibrated on validation; see `intervals.observed`."""
    return observed(
        distribution,
        items["target"].to_numpy(float),
        items["product"].to_numpy(),
        (items["split"] == "validation").to_numpy(),
        task,
        LEVELS,
        coverage=section.interval,
        rows_min=section.calibration_rows,
    )


def unlike(
    train: pd.DataFrame,
    items: pd.DataFrame,
    rows: pd.DataFrame,
    name: str,
    section: Evaluate,
    task: AnyTask,
    answered: Callable[[list[str]], dict[str, Floats]],
    clean: Callable[[pa.Table], pa.Table],
) -> dict[str, Any]:
    """What the winner `name` is worth on listings unlike those it learned from.

    `train` and `items` are rows of `Item`, `rows` those of `Prediction` of all candidates; `answered` gives
    the answers of each rival to texts. Of the test listings least like any in `train`
    (`out_of_domain.by_likeness`), and, in `elsewhere`, of another catalogue where the section names one,
    whose listings `clean` cleans.
    """
    figures = out_of_domain.by_likeness(
        train["text"].tolist(), items, rows[rows["candidate"] == name], section, task
    )
    if section.elsewhere is None:
        return {**figures, "elsewhere": None}
    if task.kind == "label":
        raise PricewrightError(
            "evaluate.elsewhere is made for numbers only, and task.kind is label: set it to null"
        )
    listings, rejected = elsewhere(Path(section.elsewhere), clean)
    listings = listings.assign(id=listings.index.astype(str), split="test", product=listings.index)
    answers = answered(listings["text"].tolist()) | {
        "median": np.full(len(listings), train["target"].median())
    }
    tables = {rival: scoring.predictions(rival, listings, answer, task) for rival, answer in answers.items()}
    scored = {
        rival: scoring.score(scoring.with_products(table, listings), section, task)
        for rival, table in tables.items()
    }
    return {**figures, "elsewhere": {"path": section.elsewhere, "rejected": rejected, "candidates": scored}}


def answering(
    name: str, models: dict[str, Path], blend: Blend, base: Path, section: Evaluate, task: AnyTask
) -> Callable[[list[str]], dict[str, Floats]]:
    """What answers texts by the candidate of that name and by `hidden_states_ridge`, (n,) each."""

    def answered(texts: list[str]) -> dict[str, Floats]:
        winner = reader(name, models, blend, base, section, task)(texts)
        model: Any = adapters.load_adapted(base, None)
        tokenizer, depths, grid = loading.load_tokenizer(base), blend.depths, task.answers
        assert isinstance(blend.regressions, Regressions)
        assert not isinstance(grid, Labels)
        known, states = blended.untuned(model, tokenizer, texts, depths, task, section.batch_size)
        ridge = blend.regressions.ridge.predict(texts, grid.scaled(grid.median(known)), states)
        return {name: grid.median(winner), "hidden_states_ridge": grid.unscaled(ridge)}

    return answered


def tuned_models(artifacts: Path, methods: Sequence[str], task: AnyTask) -> dict[str, Path]:
    """The folder of the adapter of each candidate that was tuned, by its name."""
    models = {"sft": artifacts / "sft"} | {method: artifacts / "align" / method for method in methods}
    return models | ({LABEL_HEAD: artifacts / "sft" / LABEL_HEAD} if task.kind == "label" else {})


def made_of(winner: str, models: dict[str, Path]) -> dict[str, str | None]:
    """The winner, the folder of its adapter, and that of the blend where it is one."""
    blended = winner == BLEND
    adapter = models["sft" if blended else winner]
    return {
        "winner": winner,
        "adapter": adapter.as_posix(),
        "blend": "artifacts/blend" if blended else None,
    }


def main() -> None:
    """Read every candidate, evaluate, write tables, figures and the page."""
    with stage.run(Evaluate) as frame:
        artifacts, methods = Path("artifacts"), load_section(Align).methods
        curated = [stage.read(artifacts / "curate" / f"{split}.parquet") for split in SCORED]
        items = pd.concat(curated, ignore_index=True)
        outcomes = against_sft(methods, artifacts / "align")
        law = stage.read(artifacts / "scrape" / "law.parquet")
        baselines = stage.read(artifacts / "baseline" / "predictions.parquet")
        blend, base, task = Blend.load(artifacts / "blend"), artifacts / "base", load_task()
        models = tuned_models(artifacts, methods, task)
        barred = worse_than_sft(outcomes)
        rows, result = evaluate(
            items, law, baselines, models, blend, base, frame.section, task, barred=barred
        )
        result["alignment"] = outcomes
        train = stage.read(artifacts / "curate" / "train.parquet")
        answered = answering(result["winner"], models, blend, base, frame.section, task)
        clean = partial(cleaned, section=load_section(Curate), task=task.section, names=[])
        result["out_of_domain"] = unlike(
            train, items, rows, result["winner"], frame.section, task, answered, clean
        )
        frame.save("predictions.parquet", rows, Prediction)
        charts = draw(rows, result, learning_curves(methods, Path("reports")), task)
        pictures = {name: frame.picture(figure, name) for name, figure in charts.items()}
        shown = worst(rows, items, result["winner"])
        page = evaluation_page.page(result, shown, pictures, frame.section, task.question)
        frame.write("report.html", page)
        frame.write("winner.json", json.dumps(made_of(result["winner"], models), indent=2) + "\n")
        frame.report(result)


if __name__ == "__main__":
    main()
