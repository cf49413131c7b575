"""A registry with two versions that answer differently, and the rows to compare them on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from components import register
from components.core import dvc, intakes, registry, tracking
from components.core.params.file import load_params
from components.core.params.promote import Promote
from components.core.schemas import SERVED_INPUT
from components.evaluation import scoring
from components.evaluation.calibration import Calibration
from components.promotion import aliases, decision, decision_log, gate_rows, promote, trial
from tests.support.project import ROOT, TASK, asked, environment_kept

NAME = "pricer"
TEXTS, TRAINED = 40, 12
"""Gate rows, the first of the 48 items, and training rows, the last of them."""
SHARED = TEXTS + TRAINED - 48
ANSWER = pd.DataFrame({"value": [1.0], "low": [1.0], "high": [1.0]})
EVIDENCE: dict[str, Any] = {
    "evaluate.json": {"winner": "sft", "forgetting": {"sft": {"perplexity_ratio": 1.2}}},
    "quantize.json": {"validation": {"loss_served": 30.1, "loss_merged": 30.0}},
}
OPTIONS = {"point": "median", "quantiles": 0}
FILES = (*EVIDENCE, "dvc.lock", "dvc.yaml", "params.yaml")
"""The evidence of a version."""


def make_graph(items: pd.DataFrame, names: tuple[str, ...] = ()) -> None:
    """params.yaml, reports, and a DVC repository that keeps the curated rows, the last of them train rows,
    and the names of their labels.
    """
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["promote"] |= {"minimum_effect": 1.0, "rows_min": 20, "coverage_min": 0.0, "coverage_max": 1.0}
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    intakes.write({})
    Path("source").mkdir()
    Path("source/names.json").write_text(json.dumps(names))
    for split, rows in {"gate": items.head(TEXTS), "train": items.tail(TRAINED)}.items():
        rows.assign(split=split).to_parquet(f"source/{split}.parquet", index=False)
    for split in ("preference", "validation", "test"):
        items.head(0).to_parquet(f"source/{split}.parquet", index=False)
    stages = {"curate": {"cmd": "cp -r source artifacts/curate", "outs": ["artifacts/curate"]}}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    Path("artifacts").mkdir()
    for arguments in (["init", "--no-scm"], ["repro"]):
        subprocess.run([sys.executable, "-m", "dvc", *arguments, "-q"], check=True)
    for name, report in EVIDENCE.items():
        Path(name).write_text(json.dumps(report))
    baselines("mean", mean=5000.0)


def register_served(
    served: Path,
    answer: pd.DataFrame,
    evidence: tuple[str, ...] = FILES,
    options: dict[str, Any] = OPTIONS,
) -> str:
    with tracking.stage_run("register", {}, "abc") as run:
        return registry.register_version(
            run.id,
            NAME,
            data_path=served,
            loader_module="components.serving.pyfunc",
            code_path=ROOT / "components",
            example=register.EXAMPLE,
            answer=answer,
            options=options,
            requirements=["pandas"],
            evidence=[Path(name) for name in evidence],
            card="# A card",
            tags={gate_rows.ROWS: registry.sha256(gate_rows.GATE)},
        )


def copy_project(made: Path, folder: Path) -> None:
    for name in ("mlflow.db", "artifacts", ".dvc", "intakes.csv", *FILES):
        source = made / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)


def relabel(made: Path, prices: Any) -> None:
    """Gate rows with these true prices, with which both versions count as registered."""
    items = pd.read_parquet(made / gate_rows.GATE)
    items.assign(target=np.asarray(prices, float)).to_parquet(gate_rows.GATE, index=False)
    for version in ("1", "2"):
        registry.tag_version(NAME, version, gate_rows.ROWS, registry.sha256(gate_rows.GATE))


def label(**versions: str) -> None:
    for alias, version in versions.items():
        registry.set_alias(NAME, alias, version)


def crown(*versions: str) -> None:
    """Make each of these champion in turn, by a proposal that is stored and settled."""
    for version in versions:
        champion = aliases.standing(NAME).get("champion")
        promote.conclude(decided(version=version, champion=champion))


def roll_back(number: str | None = None) -> dict[str, Any]:
    """Propose to go back to a version, and settle it; the record that is kept."""
    return promote.conclude(promote.propose_rollback(NAME, number, approval=False, kind="number"))


def baselines(best: str, **prices: Any) -> None:
    """The answers of the baselines to the gate rows as their stage wrote them; `best` is it on validation."""
    rows = pd.read_parquet(gate_rows.GATE)
    tables = []
    for name, predicted in prices.items():
        gate = scoring.predictions(name, rows.assign(split="gate"), np.full(len(rows), predicted), TASK)
        error = 1.0 if name == best else 9.0
        scored = pd.DataFrame([{"split": "validation", "id": "0", "target": 50.0}])
        tables += [gate, scoring.predictions(name, scored, np.array([50.0 + error]), TASK)]
    decision.PREDICTIONS.parent.mkdir(exist_ok=True)
    pd.concat(tables).to_parquet(decision.PREDICTIONS)
    lock("baseline")


def lock(stage: str) -> None:
    """Have dvc.lock say that the folder of a stage is what it wrote."""
    stages = yaml.safe_load(dvc.LOCK.read_text())["stages"]
    out = {"path": f"artifacts/{stage}", "md5": dvc.md5(Path("artifacts", stage))}
    dvc.LOCK.write_text(yaml.safe_dump({"stages": stages | {stage: {"cmd": "-", "outs": [out]}}}))


def came_in(rows: pd.DataFrame, name: str = "new") -> pd.DataFrame:
    """Rows with ids, texts and products that no other has."""
    return rows.assign(
        **{column: f"{name} " + rows[column].astype(str) for column in ("id", "text", "product")}
    )


def curated(**splits: pd.DataFrame) -> None:
    """Splits as another curation would have left them, with a baseline that has answered the gate's rows."""
    for split, rows in splits.items():
        rows.assign(split=split).to_parquet(gate_rows.GATE.with_stem(split), index=False)
    lock("curate")
    baselines("mean", mean=5000.0)


def decided(**changed: Any) -> dict[str, Any]:
    """A stored proposal to promote version 2 over version 1, with these changes; also in a file."""
    record = aliases.new_record("promote", NAME, "2", "1") | {"verdict": "promoted"} | changed
    Path("decided.json").write_text(json.dumps(record))
    return decision_log.store(record)


def decisions(number: str) -> list[dict[str, Any]]:
    """The records that are kept with a version."""
    return aliases.decisions(registry.open_version(NAME, number))


def logged_model(made: Path, source: str) -> Path:
    """Folder of a logged model in the artifact store, by the source of its version."""
    [folder] = made.glob(f"mlruns/**/{source.rsplit('/', 1)[-1]}/artifacts")
    return folder


# --- two promotions at once --------------------------------------------------------------------------

CONCLUDE = """
import json, sys, time
from pathlib import Path
from components.core import registry
from components.core.errors import PricewrightError
from components.promotion.promote import conclude

Path("ready").touch()
while not Path("../go").exists():
    time.sleep(0.01)
try:
    with registry.connected():
        conclude(json.loads(Path("decided.json").read_text()))
except PricewrightError as error:
    sys.exit(f"error: {error}")
"""


def conclude_at_once(
    folder: Path, versions: tuple[str, str], environment: dict[str, str]
) -> tuple[str, str, str]:
    """Promote both versions over version 1 at the same moment, each in a process and a clone of its own.

    The clones are made in `folder`. Returns (the version that won, the one that was rejected, its error).
    """
    clones = {version: folder / f"clone-{version}" for version in versions}
    running: dict[str, subprocess.Popen[str]] = {}
    for version, clone in clones.items():
        clone.mkdir()
        (clone / "decided.json").write_text(json.dumps(decided(version=version)))
        running[version] = subprocess.Popen(
            [sys.executable, "-c", CONCLUDE],
            cwd=clone,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
    until = time.monotonic() + 120
    while not all((clone / "ready").exists() for clone in clones.values()):
        assert time.monotonic() < until
        time.sleep(0.05)
    (folder / "go").touch()
    errors = {version: process.communicate(timeout=120)[1] for version, process in running.items()}
    codes = {version: process.returncode for version, process in running.items()}
    assert sorted(codes.values()) == [0, 1], errors
    winner, loser = sorted(codes, key=lambda version: codes[version])
    return winner, loser, errors[loser]


# --- fixtures, for the conftest.py of whoever needs them -----------------------------------------------


@pytest.fixture(scope="session")
def made(
    tiny_base: Path,
    tiny_adapter: Path,
    tiny_items: pd.DataFrame,
    empty_store: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A project folder whose registry has version 1 (prices to 999) and version 2 (prices to 300)."""
    from components import quantize
    from components.serving import pyfunc

    folder = tmp_path_factory.mktemp("project")
    served = folder / "served"
    quantize.merge(tiny_base, tiny_adapter, folder / "merged")
    quantize.write_format(folder / "merged", served, "nf4")
    with environment_kept(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PRICEWRIGHT_BY", "tester")
        shutil.copy(empty_store, "mlflow.db")
        make_graph(tiny_items)
        items = pd.read_parquet(gate_rows.GATE)
        for maximum in (999, 300):
            pyfunc.Settings(
                task=asked(tokens=64, maximum=maximum).section,
                batch_size=16,
                calibration=Calibration.uncalibrated(0.8),
            ).write(served)
            pricer = pyfunc.Predictor(served)
            version = register_served(served, pricer.predict(register.EXAMPLE))
            answers = pricer.predict(pd.DataFrame({SERVED_INPUT: items["text"]}))
            answers.to_parquet(f"answers-{version}.parquet")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the registry's tables for each test; the models' files are shared."""
    copy_project(made, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRICEWRIGHT_BY", "tester")
    tracking.connect()
    return tmp_path


@pytest.fixture
def answers(made: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, pd.DataFrame]:
    """What the two versions answer, given again without waiting for their processes."""
    known = {version: pd.read_parquet(made / f"answers-{version}.parquet") for version in ("1", "2")}
    texts = pd.read_parquet(made / gate_rows.GATE)["text"].tolist()

    def run_trial(
        version: registry.Version, items: pd.DataFrame, kind: str, evaluated_by: tuple[str, ...] = ()
    ) -> trial.Trial:
        assert kind == "number"
        places = [texts.index(text) if text in texts else 0 for text in items["text"]]
        return trial.Trial(
            known[version.number].iloc[places].reset_index(drop=True), 2_000_000, 0.1, EVIDENCE
        )

    monkeypatch.setattr(decision, "run_trial", run_trial)
    monkeypatch.setattr(promote, "run_trial", run_trial)
    return known


@pytest.fixture
def better(made: Path, project: Path, answers: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Version 1 is champion, and its challenger, version 2, is better by far; what the two answer."""
    crown("1")
    label(challenger="2")
    relabel(made, answers["2"]["value"] + 0.5)
    return answers


@pytest.fixture
def section(project: Path) -> Promote:
    return load_params().promote


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """What is served by a version that is quickly registered, and does not load."""
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "serving.json").write_text("{}")
    return folder
