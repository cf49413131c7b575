"""What is predicted: a file for each kind of task."""

from __future__ import annotations

from components.core.params.section import load_section
from components.core.params.task import Task
from components.tasks.number import NumberTask


def task_of(section: Task) -> NumberTask:
    """The task that section `task` describes."""
    return NumberTask(section)


def load_task() -> NumberTask:
    """The task of params.yaml."""
    return task_of(load_section(Task))
