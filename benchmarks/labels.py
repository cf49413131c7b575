"""From how many labelled listings on does fine-tuning help?

    python -m benchmarks.labels

The classification head of SFT beside logistic regression on TF-IDF and on the hidden states of the untuned
base, learning from 300, from 1,000 and from all rows of train, where `task.kind` is label; all of them answer
the same rows of test. The rival is the regression that is better on validation. Needs artifacts/curate and
artifacts/base: `dvc repro validate base`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from components.classification.classifiers import fit_classifiers
from components.core import stage
from components.core.params.file import Params, load_params
from components.evaluation.metrics import paired_difference
from components.evaluation.resampling import Floats
from components.model import adapters, loading, training
from components.model.hidden_states import hidden_states
from components.model.label_head import label_distribution, load_head
from components.sft import classify
from components.tasks import load_task
from components.tasks.label import LabelTask

ROWS = (300, 1000)
BASE = Path("artifacts/base")
HEAD, SPLITS = "label_head", ("validation", "test")
Distributions = dict[str, dict[str, Floats]]
"""By split and candidate, (n, labels)."""


def fine_tuned(
    train: pd.DataFrame, texts: dict[str, list[str]], params: Params, task: LabelTask
) -> dict[str, Floats]:
    """What a head that learned from `train` gives for the texts of each split."""
    curves: Any = training.Curves(SimpleNamespace(metric=lambda *_, **__: None))  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        model = classify(train, params.sft, task, BASE, Path(folder) / "scratch", curves)
        adapters.save_classifier(model, Path(folder) / "adapter")
        del model
        adapted = adapters.load_adapted(BASE, Path(folder) / "adapter")
        head = load_head(Path(folder) / "adapter")
    assert head is not None
    options: dict[str, Any] = {"batch_size": params.evaluate.batch_size, "title": HEAD}
    tokenizer = loading.load_tokenizer(BASE)
    return {
        name: label_distribution(adapted, head, tokenizer, part, task, **options)
        for name, part in texts.items()
    }


def states_of(tables: dict[str, pd.DataFrame], params: Params, task: LabelTask) -> dict[str, Floats]:
    """The hidden states of the untuned base for the rows of each split."""
    model, tokenizer = adapters.load_adapted(BASE, None), loading.load_tokenizer(BASE)
    options: dict[str, Any] = {
        "depths": params.baseline.hidden_depths,
        "batch_size": params.baseline.batch_size,
        "title": "hidden states",
    }
    return {
        name: hidden_states(model, tokenizer, rows["text"].tolist(), task, **options)
        for name, rows in tables.items()
    }


def answered(
    rows: int, tables: dict[str, pd.DataFrame], states: dict[str, Floats], params: Params, task: LabelTask
) -> Distributions:
    """What every candidate that learned from so many rows of train gives for validation and test."""
    chosen = np.random.default_rng(params.sft.seed).permutation(len(tables["train"]))[:rows]
    train, texts = tables["train"].iloc[chosen], {name: tables[name]["text"].tolist() for name in SPLITS}
    fitted = fit_classifiers(train, states["train"][chosen], task.answers, params.baseline)
    heads = fine_tuned(train, texts, params, task)
    return {
        name: {
            **dict(
                zip(
                    fitted.NAMES,
                    fitted.distributions(texts[name], states[name], states[name], task.answers),
                    strict=True,
                )
            ),
            HEAD: heads[name],
        }
        for name in SPLITS
    }


def row_of(
    rows: int, found: Distributions, tables: dict[str, pd.DataFrame], params: Params, task: LabelTask
) -> list[str]:
    """A row of the table: error rates on test, and how much less the head errs than the rival."""
    losses = {
        name: {
            candidate: task.answers.loss(tables[name]["target"], task.answers.point(distribution))
            for candidate, distribution in by.items()
        }
        for name, by in found.items()
    }
    rivals = [candidate for candidate in losses["test"] if candidate != HEAD]
    rival = min(rivals, key=lambda candidate: losses["validation"][candidate].mean())
    test, section = losses["test"], params.evaluate
    products, options = tables["test"]["product"].to_numpy(), {"seed": section.seed}
    gap = paired_difference(test[HEAD], test[rival], products, bootstrap=section.bootstrap, **options)
    shares = [f"{test[candidate].mean():.4f}" for candidate in (*rivals, HEAD)]
    return [f"{rows:,}", *shares, rival, f"{gap[0]:+.4f} ({gap[1]:+.4f} to {gap[2]:+.4f})"]


def main() -> None:
    """Train at every size and print the table."""
    params, task = load_params(), load_task()
    if not isinstance(task, LabelTask):
        raise SystemExit("error: task.kind is no label: `python -m flows.profile category` first")
    tables = {name: stage.read(f"artifacts/curate/{name}.parquet") for name in ("train", *SPLITS)}
    states = states_of(tables, params, task)
    sizes = [*(rows for rows in ROWS if rows < len(tables["train"])), len(tables["train"])]
    head = ("learned from", "TF-IDF", "hidden states", HEAD, "rival", f"{HEAD} minus rival")
    table = Table(*head, title=f"Error rate on {len(tables['test']):,} rows of test")
    for rows in sizes:
        table.add_row(*row_of(rows, answered(rows, tables, states, params, task), tables, params, task))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
