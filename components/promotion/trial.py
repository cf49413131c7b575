"""A version asked afresh: what it answers, how fast and how large it is, and the evidence that lies with it.

Used by the gate's process (components/promotion/promote.py) for challenger and champion alike.
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
from components.evaluation.metrics import Floats
from components.promotion.aliases import CHAMPION
from components.promotion.gate import Budget

INPUT = "description"
"""Column in which a version takes a text (components/serving/pyfunc.py)."""
ANSWER = ["price", "low", "high"]
EVALUATION, PARITY = "evaluate.json", "quantize.json"
"""Reports with a version by which it was evaluated."""
ASK = """
import json, sys, time
import mlflow, pandas
model, asked, answered = sys.argv[1:]
rows = pandas.DataFrame(**json.load(open(asked, encoding="utf-8")))
pricer = mlflow.pyfunc.load_model(model)
started = time.perf_counter()
answers = pandas.DataFrame(pricer.predict(rows))
seconds = time.perf_counter() - started
answers = json.loads(answers.to_json(orient="split", index=False, double_precision=15))
json.dump({"answers": answers, "seconds": seconds}, open(answered, "w", encoding="utf-8"))
"""
"""The process that asks a version; no module of this project is loaded in it but the version's own."""


@dataclass(frozen=True)
class Asked:
    """What one version answered to some rows."""

    answers: pd.DataFrame
    """Columns price, low and high in dollars, NaN where unreadable; one row for each that was asked."""
    size: int
    """Bytes of the served model on the disk."""
    seconds: float
    """That the answers took, loading apart."""
    evidence: dict[str, dict[str, Any]]
    """The reports that lie with the version, by file name."""

    @property
    def prices(self) -> Floats:
        """Point estimates, (n,) dollars."""
        return self.answers["price"].to_numpy(float)


def ask(model_name: str, version: str, items: pd.DataFrame, evaluated_by: tuple[str, ...] = ()) -> Asked:
    """What a version answers to the column `text`, once it is known to hold the reports `evaluated_by`.

    Raises PricewrightError, naming the mend, where it cannot be fetched whole, holds no such report, or does
    not answer every row.
    """
    registry.version_tags(model_name, version)
    print(f"asking {model_name} version {version} for {len(items)} prices", file=sys.stderr, flush=True)
    try:
        with registry.fetched(model_name, version) as folder:
            size = sum(file.stat().st_size for file in (folder / "data").rglob("*") if file.is_file())
            reports = (folder / registry.EVIDENCE).glob("*.json")
            evidence = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in reports}
            if missing := sorted(set(evaluated_by) - set(evidence)):
                raise PricewrightError(
                    f"it was registered without an evaluation (no {', '.join(missing)} with it): register it "
                    "anew with `dvc repro -f register`"
                )
            answers, seconds = predict(folder, pd.DataFrame({INPUT: items["text"].tolist()}))
    except PricewrightError as error:
        raise PricewrightError(f"{model_name} version {version}: {error}. {_stays(model_name)}") from error
    if len(answers) != len(items) or not set(ANSWER) <= set(answers.columns):
        raise PricewrightError(
            f"{model_name} version {version} gave {len(answers)} answers with the columns "
            f"{', '.join(map(str, answers.columns))} to {len(items)} rows; price, low and high are needed. "
            + _stays(model_name)
        )
    prices = answers[ANSWER].astype(float)
    return Asked(prices.where(np.isfinite(prices)), size, seconds, evidence)


def predict(model: Path, rows: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """What a fetched version answers to `rows`, one row each, in a process of its own and by its own code;
    and the seconds that the answers took, loading apart.

    Raises PricewrightError with the last line of what it said where it does not load or answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "rows.json"), Path(folder, "answers.json")
        asked.write_text(json.dumps(rows.to_dict("split", index=False)), encoding="utf-8")
        command = [sys.executable, "-c", ASK, *map(str, (model, asked, answered))]
        child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = _progress(child)
        if child.wait() != 0 or not answered.is_file():
            raise PricewrightError(f"it does not load or answer: {said or f'exit code {child.returncode}'}")
        answer = json.loads(answered.read_text(encoding="utf-8"))
        return pd.DataFrame(**answer["answers"]), answer["seconds"]


def _progress(child: subprocess.Popen[bytes]) -> str:
    """Pass a child's progress bars on to stderr until it closes its own; the last line that it said."""
    assert child.stderr is not None
    said = b""
    while piece := os.read(child.stderr.fileno(), 65536):
        if b"\r" in piece:
            sys.stderr.buffer.write(piece)
            sys.stderr.flush()
        said = (said + piece)[-4000:]
    lines = said.decode(errors="replace").split("\r")[-1].split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def budgets(items: pd.DataFrame, asked: Asked, section: Promote) -> list[Budget]:
    """The figures of a challenger that have to stay within limits, whatever its MAE. `items` has the column
    `price`. What its evidence does not hold is NaN.
    """
    validation, nan = asked.evidence[PARITY].get("validation", {}), float("nan")
    evaluation = asked.evidence[EVALUATION]
    forgetting = evaluation.get("forgetting", {}).get(evaluation["winner"], {})
    coverage = _coverage(items, asked)
    return [
        Budget("coverage of the interval", coverage, section.coverage_min, section.coverage_max),
        Budget(
            "parity (rise of the MAE)",
            validation.get("mae_served", nan) - validation.get("mae_merged", nan),
            at_most=section.parity_rise_max,
        ),
        Budget(
            "forgetting (ratio of the perplexity)",
            forgetting.get("perplexity_ratio", nan),
            at_most=section.forgetting_ratio_max,
            needed=False,
        ),
        Budget("size in MB", asked.size / 1e6, at_most=section.size_max_mb),
        Budget("latency in ms", 1000 * asked.seconds / max(len(items), 1), at_most=section.latency_max_ms),
    ]


def _coverage(items: pd.DataFrame, asked: Asked) -> float:
    """Share of the true prices that the answered intervals hold; NaN where none was answered."""
    held, answers = items["price"].to_numpy(float), asked.answers
    answered = (answers["low"].notna() & answers["high"].notna()).to_numpy()
    inside = (held >= answers["low"].to_numpy()) & (held <= answers["high"].to_numpy())
    return float(inside[answered].mean()) if answered.any() else float("nan")


def _stays(model_name: str) -> str:
    champion = registry.aliases(model_name).get(CHAMPION)
    return f"The {CHAMPION} stays version {champion}." if champion else f"There is still no {CHAMPION}."
