"""Register: the served model as a version of the MLflow registry.

Reads artifacts/quantize/, the reports of evaluate and quantize, and the test split for its hash alone, by
which the gate knows the rows that the version was measured on (components/promotion.py). The new version
is the `challenger`; it becomes `champion` too where there is no champion yet and it beats the constant
baselines.
"""

from __future__ import annotations

import json
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import pandas as pd

from components import serving, stage, tracking

CONSTANTS = ("mean", "median")
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


def beats_constants(evaluation: dict[str, Any], quantization: dict[str, Any]) -> bool:
    """Whether the served model's validation MAE is below that of the best constant; a NaN never is."""
    constants = [evaluation["candidates"][name]["validation"]["mae"] for name in CONSTANTS]
    return bool(quantization["validation"]["mae_served"] < min(constants))


def _rise(validation: dict[str, float]) -> float:
    """Dollars by which the served model errs more than the merged one."""
    return validation["mae_served"] - validation["mae_merged"]


def main() -> None:
    """Make the version, tag it with where it came from, set its aliases."""
    with stage.run("register") as frame:
        evaluation = json.loads(Path("reports/evaluate.json").read_text(encoding="utf-8"))
        quantization = json.loads(Path("reports/quantize.json").read_text(encoding="utf-8"))
        name = frame.params.register.model_name
        version = tracking.register_version(
            frame.tracked,
            name,
            data_path=Path("artifacts/quantize"),
            loader_module="components.serving",
            code_path=Path("components"),
            example=EXAMPLE,
            answer=serving.Pricer(Path("artifacts/quantize")).predict(EXAMPLE),
            requirements=[f"{package}=={installed(package).split('+')[0]}" for package in SERVED_WITH],
            tags={
                "dvc.digest": frame.digest,
                "candidate": evaluation["winner"],
                "test_mae": f"{quantization['test']['mae_served']:.4f}",
                "test_sha256": tracking.sha256(Path("artifacts/curate/test.parquet")),
                "parity_rise": f"{_rise(quantization['validation']):.4f}",
                **tracking.git_state(),
            },
        )
        aliases = ["challenger"]
        if tracking.aliased_version(name, "champion") is None and beats_constants(evaluation, quantization):
            aliases.append("champion")
        for alias in aliases:
            tracking.set_alias(name, alias, version)
        for path in ("reports/evaluate.json", "dvc.lock", "params.yaml"):
            frame.tracked.artifact(Path(path))
        frame.report({"model": name, "version": version, "aliases": aliases})


if __name__ == "__main__":
    main()
