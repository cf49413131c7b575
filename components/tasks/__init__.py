"""What is predicted: a file for each kind of task."""

from __future__ import annotations

import json
from pathlib import Path

from components.core.errors import PricewrightError
from components.core.params.section import load_section
from components.core.params.task import Task
from components.tasks.label import LabelTask
from components.tasks.number import NumberTask

AnyTask = NumberTask | LabelTask
KINDS: dict[str, type[NumberTask] | type[LabelTask]] = {"number": NumberTask, "label": LabelTask}
NAMES = Path("artifacts/curate/names.json")
"""The labels as curate found them, in the order of their places; an empty list where a number is predicted.
"""


def task_of(section: Task) -> AnyTask:
    """The task that section `task` describes, the names of its labels included."""
    return KINDS[section.kind](section)


def load_task() -> AnyTask:
    """The task of params.yaml, its labels those of NAMES. Raises PricewrightError where these are missing."""
    section = load_section(Task)
    if section.kind != "label":
        return task_of(section)
    try:
        names = json.loads(NAMES.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PricewrightError(f"{NAMES} does not load: {error}. Run `dvc repro curate`") from error
    label = section.label.model_copy(update={"names": names})
    return task_of(section.model_copy(update={"label": label}))
