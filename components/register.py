"""Register: the served model as a version of the MLflow registry.

Reads artifacts/quantize/, the reports that tell of data and quality, the raw listings for the terms of their
source, and the split of the gate for its hash alone, by which the gate knows the rows that the version is to
be judged on (promotion/decision.py). The version holds the model, its evidence (those reports, dvc.lock,
dvc.yaml, params.yaml) and its card. It is the `challenger`; every champion, the first one too, is the choice
of the gate.
"""

from __future__ import annotations

from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import pandas as pd

from components.core import dvc, registry, stage, tracking
from components.core.params.base import Base
from components.core.params.evaluate import Evaluate
from components.core.params.register import Register
from components.core.params.scrape import Scrape
from components.core.params.section import load_section
from components.core.params.sft import Sft
from components.core.params.task import Task
from components.core.schemas import SERVED_INPUT
from components.reporting import model_card
from components.serving import pyfunc

REPORTS = {
    "scrape": Path("reports/scrape.json"),
    "curate": Path("reports/curate.json"),
    "evaluate": Path("reports/evaluate.json"),
    "quantize": Path("reports/quantize.json"),
}
DESCRIBED = (Scrape, Task, Base, Sft, Evaluate)
"""Sections of params.yaml that the model card tells of."""
GRAPH = (dvc.LOCK, Path("dvc.yaml"), Path("params.yaml"))
SERVED_WITH = [
    "mlflow",
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "accelerate",
    "lightgbm",
    "pandas",
    "psutil",
    "pydantic",
    "pyyaml",
    "scikit-learn",
    "scipy",
    "tqdm",
]
FORMAT_NEEDS = {"w4a16": ["compressed-tensors"], "gguf": ["gguf"]}
EXAMPLE = pd.DataFrame(
    {
        SERVED_INPUT: [
            "Over-ear headphones with noise cancelling and 40 hours of battery life",
            "Cast iron skillet, 12 inches, pre-seasoned",
        ]
    }
)


def requirements(kind: str) -> list[str]:
    """What a server of a model in the format `kind` needs, with the versions that are installed here."""
    packages = SERVED_WITH + FORMAT_NEEDS.get(kind, [])
    return [f"{package}=={installed(package).split('+')[0]}" for package in packages]


def register(
    run_id: str, name: str, served_format: str, evidence: list[Path], card: str, tags: dict[str, str]
) -> dict[str, Any]:
    """Make the served model in artifacts/quantize a version of the registered model `name`; returns its
    number and the alias that it was given.

    `served_format` is that of quantize; `tags` what the version is traced by.
    """
    served = Path("artifacts/quantize")
    predictor = pyfunc.Predictor(served)
    version = registry.register_version(
        run_id,
        name,
        data_path=served,
        loader_module="components.serving.pyfunc",
        code_path=Path("components"),
        example=EXAMPLE,
        answer=predictor.predict(EXAMPLE),
        options=pyfunc.OPTIONS[predictor.settings.task.kind],
        requirements=requirements(served_format),
        evidence=evidence,
        card=card,
        tags=tags,
    )
    registry.set_alias(name, registry.CHALLENGER, version)
    return {"model": name, "version": version, "aliases": [registry.CHALLENGER]}


def main() -> None:
    """Read the reports, write the card, register."""
    with stage.run(Register) as frame:
        reports = {name: dvc.report(path) for name, path in REPORTS.items()}
        made_from = {
            "candidate": reports["evaluate"]["winner"],
            "dvc.digest": frame.digest,
            "gate_sha256": registry.sha256(Path("artifacts/curate/gate.parquet")),
            **tracking.git_state(),
        }
        name, evidence = frame.section.model_name, [*REPORTS.values(), *GRAPH]
        terms = model_card.terms(stage.read("artifacts/scrape/listings.parquet"))
        settings: dict[str, Any] = {kind.__name__.lower(): load_section(kind) for kind in DESCRIBED}
        card = model_card.card(name, reports, terms, made_from, **settings)
        served_format = reports["quantize"]["format"]
        frame.report(register(frame.tracked.id, name, served_format, evidence, card, made_from))


if __name__ == "__main__":
    main()
