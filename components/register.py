"""Register: the served model as a version of the MLflow registry.

Reads artifacts/quantize/, the reports that tell of data and quality, the raw listings for the terms of their
source, and the test split for its hash alone, by which the gate knows the rows that the version was measured
on (components/proposal.py). The version holds the model, its evidence (those reports, dvc.lock, dvc.yaml,
params.yaml) and its card. It is the `challenger`; what makes it champion is the gate.
"""

from __future__ import annotations

from importlib.metadata import version as installed
from pathlib import Path

import pandas as pd

from components import card, lockfile, registry, serving, stage, tracking

CHALLENGER = "challenger"
REPORTS = {
    "scrape": Path("reports/scrape.json"),
    "curate": Path("reports/curate.json"),
    "evaluate": Path("reports/evaluate.json"),
    "quantize": Path("reports/quantize.json"),
}
GRAPH = (lockfile.LOCK, Path("dvc.yaml"), Path("params.yaml"))
SERVED_WITH = (
    "mlflow",
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "accelerate",
    "pandas",
    "psutil",
    "pydantic",
    "pyyaml",
    "tqdm",
)
EXAMPLE = pd.DataFrame(
    {
        serving.INPUT: [
            "Over-ear headphones with noise cancelling and 40 hours of battery life",
            "Cast iron skillet, 12 inches, pre-seasoned",
        ]
    }
)


def main() -> None:
    """Make the version, with its evidence and its card, and give it the alias."""
    with stage.run("register") as frame:
        reports = {name: lockfile.report(path) for name, path in REPORTS.items()}
        name = frame.params.register.model_name
        made_from = {
            "candidate": reports["evaluate"]["winner"],
            "dvc.digest": frame.digest,
            "test_sha256": registry.sha256(Path("artifacts/curate/test.parquet")),
            **tracking.git_state(),
        }
        terms = card.terms(stage.read("artifacts/scrape/listings.parquet"))
        version = registry.register_version(
            frame.tracked.id,
            name,
            data_path=Path("artifacts/quantize"),
            loader_module="components.serving",
            code_path=Path("components"),
            example=EXAMPLE,
            answer=serving.Pricer(Path("artifacts/quantize")).predict(EXAMPLE),
            requirements=[f"{package}=={installed(package).split('+')[0]}" for package in SERVED_WITH],
            evidence=[*REPORTS.values(), *GRAPH],
            card=card.card(frame.params, reports, terms, made_from),
            tags=made_from,
        )
        registry.set_alias(name, CHALLENGER, version)
        frame.report({"model": name, "version": version, "aliases": [CHALLENGER]})


if __name__ == "__main__":
    main()
