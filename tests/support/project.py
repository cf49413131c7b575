"""The project as committed, and its params.yaml with sizes for a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from components.core.params.file import load_params
from components.model.grid import Grid
from components.tasks import task_of
from components.tasks.label import LabelTask
from components.tasks.number import NumberTask

ROOT = Path(__file__).resolve().parents[2]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
QUESTION: str = PARAMS["task"]["question"]
TASK = task_of(load_params(ROOT / "params.yaml").task)
TRACKED_BY = ("PRICEWRIGHT_PARENT_RUN", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID")


def asked(tokens: int, maximum: int) -> NumberTask:
    """The committed question, with a limit of its own for the prompt and for the answers."""
    number = TASK.section.number.model_copy(update={"max": float(maximum)})
    return task_of(TASK.section.model_copy(update={"tokens": tokens, "number": number}))


def named(*names: str) -> LabelTask:
    """The committed params, asking for one of these labels."""
    label = TASK.section.label.model_copy(update={"names": list(names)})
    changed = {"kind": "label", "label": label, "answer": "Category:", "tokens": 64}
    task = task_of(TASK.section.model_copy(update=changed))
    assert isinstance(task, LabelTask)
    return task


def whole(maximum: int) -> Grid:
    """The whole numbers from 0, compared by their logarithms."""
    return Grid(0.0, float(maximum), 1.0, logarithmic=True)


def tiny_yaml() -> str:
    """The committed params.yaml with a small shop, a small base and little training."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["scrape"]["demo_shop"]["listings"] = 480
    raw["validate"]["rows_min"] = 5
    raw["base"]["pretraining"] |= {
        "texts": 300,
        "vocabulary": 1600,
        "hidden_size": 64,
        "layers": 1,
        "heads": 2,
        "intermediate_size": 64,
        "epochs": 1,
        "price_weight": 1.0,
    }
    raw["baseline"] |= {
        "vocabulary": 300,
        "landmarks": 20,
        "boosting_iterations": 20,
        "boosting_components": 8,
    }
    raw["sft"] |= {"epochs": 1.0, "save_steps": 4}
    raw["reward"] |= {"epochs": 1.0}
    raw["align"]["monitor"] |= {"rows": 20, "snapshots": 1, "bootstrap": 100}
    raw["evaluate"] |= {"bootstrap": 200}
    raw["quantize"] |= {"loss_tolerance": 50.0, "moved_share_max": 1.0}
    return yaml.safe_dump(raw, sort_keys=False)


@contextmanager
def environment_kept() -> Iterator[None]:
    """Without the variables by which a store is found; they are as before after the block."""
    before = {name: os.environ.pop(name, None) for name in TRACKED_BY}
    yield
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
