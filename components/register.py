"""Register: the served model as a version of the MLflow registry.

Reads artifacts/quantize/, the reports that tell of data and quality, the raw listings for the terms of their
source, and the test split for its hash alone, by which the gate knows the rows that the version was measured
on (components/proposal.py). The version holds the model, its evidence (those reports, dvc.lock, dvc.yaml,
params.yaml) and its card. It is the `challenger`; it becomes the champion too where there is none yet and it
beats the constant baselines. Every later champion is the gate's choice.
"""

from __future__ import annotations

from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import pandas as pd

from components import aliases, card, lockfile, registry, serving, stage, tracking
from components.aliases import CHALLENGER, CHAMPION

CONSTANTS = ("mean", "median")
REPORTS = {
    "scrape": Path("reports/scrape.json"),
    "curate": Path("reports/curate.json"),
    "evaluate": Path("reports/evaluate.json"),
    "quantize": Path("reports/quantize.json"),
}
GRAPH = (lockfile.LOCK, Path("dvc.yaml"), Path("params.yaml"))
SERVED_WITH = [
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
]
FORMAT_NEEDS = {"w4a16": ["compressed-tensors"], "gguf": ["gguf"]}
EXAMPLE = pd.DataFrame(
    {
        serving.INPUT: [
            "Over-ear headphones with noise cancelling and 40 hours of battery life",
            "Cast iron skillet, 12 inches, pre-seasoned",
        ]
    }
)


def beats_constants(evaluation: dict[str, Any], quantization: dict[str, Any]) -> bool:
    """Whether the served model's validation MAE is below that of the best constant; a NaN never is."""
    constants = [evaluation["candidates"][name]["validation"]["mae"] for name in CONSTANTS]
    return bool(quantization["validation"]["mae_served"] < min(constants))


def requirements(kind: str) -> list[str]:
    """What a server of a model in the format `kind` needs, with the versions that are installed here."""
    packages = SERVED_WITH + FORMAT_NEEDS.get(kind, [])
    return [f"{package}=={installed(package).split('+')[0]}" for package in packages]


def crown(model_name: str, version: str) -> bool:
    """Make the version champion where there is none yet, by a recorded decision; whether it was made so."""
    with aliases.locked(model_name):
        if CHAMPION in registry.aliases(model_name):
            return False
        reason = "there was no champion, and on validation it beats the constant baselines"
        record = aliases.entry("register", model_name, version, None)
        aliases.commit(
            model_name, {**record, "verdict": "promoted", "reasons": [reason]}, {CHAMPION: version}
        )
    return True


def main() -> None:
    """Make the version, with its evidence and its card, and give it its aliases."""
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
            options={"point": serving.POINT},
            requirements=requirements(reports["quantize"]["format"]),
            evidence=[*REPORTS.values(), *GRAPH],
            card=card.card(frame.params, reports, terms, made_from),
            tags=made_from,
        )
        registry.set_alias(name, CHALLENGER, version)
        first = beats_constants(reports["evaluate"], reports["quantize"]) and crown(name, version)
        given = [CHALLENGER, CHAMPION] if first else [CHALLENGER]
        frame.report({"model": name, "version": version, "aliases": given})


if __name__ == "__main__":
    main()
