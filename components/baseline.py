"""What a model has to beat: constants, classical models, the base model before any tuning, and classical
models that know what that base holds.

Reads the splits of artifacts/curate and the base model in artifacts/base. Everything is fitted on the train
split alone. Writes artifacts/baseline/predictions.parquet (validation, gate and test), the classical models
that are blended (regressions/), a picture, and reports/baseline.json with the loss of each candidate on
validation and test. A tuned model that does no better than these has learned nothing worth serving. What is
fitted depends on the kind of the task: components/regression/ for a number, components/classification/ for a
label.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from components.classification import baselines as of_labels
from components.classification.classifiers import Classifiers
from components.core import stage
from components.core.params.baseline import Baseline
from components.core.schemas import HELD_OUT, SCORED, Prediction
from components.evaluation import scoring
from components.evaluation.resampling import Floats
from components.model import loading
from components.model.distribution import answer_distribution
from components.model.hidden_states import Known, hidden_states
from components.model.prompt import few_shot_prompt
from components.model.sampling import room_for
from components.model.tokens import require_apart
from components.regression import baselines as of_numbers
from components.regression.regressions import Regressions
from components.reporting import figures
from components.reporting.loss import Loss
from components.tasks import AnyTask, load_task

KINDS: dict[str, Any] = {"number": of_numbers, "label": of_labels}
"""The baselines of each kind of task: `plain` and `knowing`."""


class Fitted(NamedTuple):
    """What `baseline` fits."""

    predicted: dict[str, Floats]
    """What each candidate answers to the scored rows: numbers, (n,), or a distribution, (n, answers); NaN
    where it has no answer."""
    regressions: Regressions | Classifiers
    """Those that are blended."""


def baseline(
    train: pd.DataFrame, scored: pd.DataFrame, base: Path, section: Baseline, task: AnyTask
) -> Fitted:
    """Fit every baseline on `train` and let it answer the rows of `scored`; those that know the base, on the
    rows of `train` that it has read.

    Both tables have the columns of `Item`; `base` is the folder of the base model.
    """
    kind = KINDS[task.kind]
    plain = kind.plain(train, scored, section, task.answers)
    train = train.sample(min(len(train), section.read_rows_max), random_state=section.seed).sort_index()
    prompted, known_train, known = untuned(base, train, scored, section, task)
    own, blended = kind.knowing(train, scored, known_train, known, section, task.answers)
    return Fitted(plain | own | prompted, blended)


def untuned(
    base: Path, train: pd.DataFrame, scored: pd.DataFrame, section: Baseline, task: AnyTask
) -> tuple[dict[str, Floats], Known, Known]:
    """(the distributions of the base model for `scored` before any tuning, without and after one or some
    examples from `train`, by candidate; what it gives without examples for `train`; the same for `scored`).

    A prompt with examples may fill the model's whole context, so that the listing in question is never cut
    for them.
    """
    model, tokenizer = loading.load_model(base), loading.load_tokenizer(base)
    require_apart(tokenizer, task.answer, task.spelled)
    context = model.config.max_position_embeddings - room_for(tokenizer, task.spelled)

    def read(items: pd.DataFrame, shots: list[tuple[str, str]], title: str) -> Floats:
        prompts = [few_shot_prompt(text, shots, task) for text in items["text"]]
        limit = context if shots else min(task.tokens, context)
        options: dict[str, Any] = {"prompt_tokens": limit, "batch_size": section.batch_size, "title": title}
        return answer_distribution(model, tokenizer, prompts, task.spelled, **options)

    def states(items: pd.DataFrame) -> Floats:
        options: dict[str, Any] = {"depths": section.hidden_depths, "batch_size": section.batch_size}
        texts = items["text"].tolist()
        return hidden_states(model, tokenizer, texts, task, title="hidden states", **options)

    shots = examples(tokenizer, train, section, task, tokens=context - task.tokens)
    prompted = {"base_zero_shot": [], "base_one_shot": shots[:1], "base_few_shot": shots}
    answers = {name: read(scored, used, name) for name, used in prompted.items()}
    known_train, known = states(train), states(scored)
    on_train = read(train, [], "base_zero_shot on train")
    return answers, Known(on_train, known_train), Known(answers["base_zero_shot"], known)


def examples(
    tokenizer: Any, train: pd.DataFrame, section: Baseline, task: AnyTask, *, tokens: int
) -> list[tuple[str, str]]:
    """Up to `section.shots` rows of `train` with their completions, shuffled by the seed, that fit into
    `tokens` together.
    """
    chosen: list[tuple[str, str]] = []
    shuffled = train.sample(frac=1, random_state=section.seed)
    for text, target in zip(shuffled["text"], shuffled["target"], strict=True):
        if len(chosen) == section.shots:
            break
        longer = [*chosen, (text, task.completion(target))]
        if len(tokenizer(few_shot_prompt("", longer, task)).input_ids) <= tokens:
            chosen = longer
    return chosen


def main() -> None:
    """Fit, predict, write the predictions and their errors."""
    with stage.run(Baseline) as frame:
        task, folder = load_task(), Path("artifacts/curate")
        train = stage.read(folder / "train.parquet")
        scored = pd.concat([stage.read(folder / f"{split}.parquet") for split in HELD_OUT], ignore_index=True)
        fitted = baseline(train, scored, Path("artifacts/base"), frame.section, task)
        rows = pd.concat(
            [scoring.answered(name, scored, answers, task) for name, answers in fitted.predicted.items()]
        )
        shown = Loss(task.measure, task.measured, task.unit, task.digits)
        errors = scoring.mean_losses(rows[rows["split"].isin(SCORED)])
        frame.save("predictions.parquet", rows, Prediction)
        fitted.regressions.save(frame.folder / "regressions")
        frame.picture(figures.mean_losses(errors, "validation", shown), "losses.png")
        frame.report({"rows_train": len(train), "candidates": errors})


if __name__ == "__main__":
    main()
