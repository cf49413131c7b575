"""The trial of a version: it is loaded afresh and answers rows, by its own code in a process of its own.

The process is needed: each version brings the code it was registered with, which would collide with this one
and is not to read the keys in its environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.core import registry
from components.core.errors import PricewrightError
from components.core.params.promote import Promote
from components.core.registry import CHAMPION, Version
from components.core.schemas import SERVED_INPUT
from components.evaluation.resampling import Floats
from components.promotion.environment import without_keys
from components.promotion.gate import Budget
from components.tasks import AnyTask
from components.tasks.served_answers import COLUMNS, measured

RECALL_ROWS_MIN = 10
"""Fewest rows of a label by which its recall is judged."""
EVALUATION, PARITY = "evaluate.json", "quantize.json"
"""Reports with a version by which it was evaluated."""
PREDICT = """
import json, sys, time
import mlflow, pandas
model, rows_file, answers_file = sys.argv[1:]
rows = pandas.DataFrame(**json.load(open(rows_file, encoding="utf-8")))
version = mlflow.pyfunc.load_model(model)
started = time.perf_counter()
answers = pandas.DataFrame(version.predict(rows))
seconds = time.perf_counter() - started
answers = json.loads(answers.to_json(orient="split", index=False, double_precision=15))
json.dump({"answers": answers, "seconds": seconds}, open(answers_file, "w", encoding="utf-8"))
"""
"""The process of a trial; no module of this project is loaded in it but those of the version."""


@dataclass(frozen=True)
class Trial:
    """How a version answered some rows."""

    answers: pd.DataFrame
    """Columns COLUMNS of the kind of the task, a number NaN where unreadable; one row for each row."""
    size: int
    """Bytes of the served model on the disk."""
    seconds: float
    """That the answers took, loading apart."""
    evidence: dict[str, dict[str, Any]]
    """The reports that lie with the version, by file name."""

    def measured(self, items: pd.DataFrame, task: AnyTask) -> pd.DataFrame:
        """The answers as floats beside the column `target` of the rows, see `served_answers.measured`."""
        return measured(self.answers, items["target"].to_numpy(float), task)


def run_trial(version: Version, items: pd.DataFrame, kind: str, evaluated_by: tuple[str, ...] = ()) -> Trial:
    """The answers of a version to the column `text`, once it is known to hold the reports `evaluated_by`.

    Raises PricewrightError, naming the mend, where it cannot be fetched whole, holds no such report, or does
    not answer every row as a task of this kind is answered.
    """
    needed = list(COLUMNS[kind])
    print(f"{len(items)} rows are answered by {version}", file=sys.stderr, flush=True)
    try:
        with registry.fetched(version) as folder:
            size = sum(file.stat().st_size for file in (folder / "data").rglob("*") if file.is_file())
            reports = (folder / registry.EVIDENCE).glob("*.json")
            evidence = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in reports}
            if missing := sorted(set(evaluated_by) - set(evidence)):
                raise PricewrightError(
                    f"it was registered without an evaluation (no {', '.join(missing)} with it): register it "
                    "anew with `dvc repro -f register`"
                )
            answers, seconds = predict(folder, pd.DataFrame({SERVED_INPUT: items["text"].tolist()}))
    except PricewrightError as error:
        raise PricewrightError(f"{version}: {error}. {_stays(version.model)}") from error
    if len(answers) != len(items) or not set(needed) <= set(answers.columns):
        raise PricewrightError(
            f"{version} gave {len(answers)} answers with the columns "
            f"{', '.join(map(str, answers.columns))} to {len(items)} rows; {', '.join(needed[:-1])} and "
            f"{needed[-1]} are needed. " + _stays(version.model)
        )
    answers = answers[needed]
    if kind == "number":
        answers = answers.astype(float)
        answers = answers.where(np.isfinite(answers))
    return Trial(answers, size, seconds, evidence)


def predict(model: Path, rows: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """(answers of a fetched version to `rows`, one for each; the seconds they took, loading apart).

    Raises PricewrightError with the last line of its output where it does not load or answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        rows_file, answers_file = Path(folder, "rows.json"), Path(folder, "answers.json")
        rows_file.write_text(json.dumps(rows.to_dict("split", index=False)), encoding="utf-8")
        command = [sys.executable, "-c", PREDICT, *map(str, (model, rows_file, answers_file))]
        child = subprocess.Popen(
            command, cwd=folder, env=without_keys(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            last_line = _progress(child)
            code = child.wait()
        finally:
            child.kill()  # where this process is stopped, its trial is too
        if code != 0 or not answers_file.is_file():
            raise PricewrightError(f"it does not load or answer: {last_line or f'exit code {code}'}")
        outcome = json.loads(answers_file.read_text(encoding="utf-8"))
        return pd.DataFrame(**outcome["answers"]), outcome["seconds"]


def _progress(child: subprocess.Popen[bytes]) -> str:
    """Pass a child's progress bars on to stderr until it closes its own; the last line of its output."""
    assert child.stderr is not None
    output = b""
    while piece := os.read(child.stderr.fileno(), 65536):
        if b"\r" in piece:
            sys.stderr.buffer.write(piece)
            sys.stderr.flush()
        output = (output + piece)[-4000:]
    lines = output.decode(errors="replace").split("\r")[-1].split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def budgets(items: pd.DataFrame, trial: Trial, section: Promote, task: AnyTask) -> list[Budget]:
    """The figures of a challenger that have to stay within limits, whatever its loss. `items` has the column
    `target`. What its evidence does not hold is NaN.
    """
    validation, nan = trial.evidence[PARITY].get("validation", {}), float("nan")
    evaluation = trial.evidence[EVALUATION]
    forgetting = evaluation.get("forgetting", {}).get(evaluation["winner"], {})
    answers, labels = trial.measured(items, task), task.kind == "label"
    beside = "coverage of the set" if labels else "coverage of the interval"
    coverage = Budget(beside, float(answers["held"].mean()), section.coverage_min, section.coverage_max)
    recall = Budget(
        "recall of the worst class",
        worst_recall(items["target"].to_numpy(float), answers["predicted"].to_numpy(float)),
        section.worst_recall_min,
        needed=False,
    )
    return [
        coverage,
        *([recall] if labels else []),
        Budget(
            "parity (rise of the mean loss)",
            validation.get("loss_served", nan) - validation.get("loss_merged", nan),
            at_most=section.parity_rise_max,
        ),
        Budget(
            "forgetting (ratio of the perplexity)",
            forgetting.get("perplexity_ratio", nan),
            at_most=section.forgetting_ratio_max,
            needed=False,
        ),
        Budget("size in MB", trial.size / 1e6, at_most=section.size_max_mb),
        Budget("latency in ms", 1000 * trial.seconds / max(len(items), 1), at_most=section.latency_max_ms),
    ]


def worst_recall(true: Floats, predicted: Floats) -> float:
    """The smallest share of the rows of a label that are answered with it, both (n,); labels of fewer than
    RECALL_ROWS_MIN rows are left out. NaN where none is left.
    """
    right = pd.Series(true == predicted).groupby(true)
    recalls = right.mean()[right.size() >= RECALL_ROWS_MIN]
    return float(recalls.min())


def _stays(model_name: str) -> str:
    champion = registry.aliases(model_name).get(CHAMPION)
    return f"The {CHAMPION} stays version {champion}." if champion else f"There is still no {CHAMPION}."
