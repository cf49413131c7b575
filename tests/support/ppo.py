"""What the tests of proximal policy optimization share."""

from __future__ import annotations

from typing import Any

from components.core.params.align import Ppo
from components.core.params.file import Params


def small(params: Params, **changes: Any) -> Ppo:
    """The committed section with sizes for a tiny transformer."""
    sizes = {"steps": 2, "rollouts": 6, "max_completion_length": 4, "batch_size": 3, "save_steps": 1}
    return params.align.ppo.model_copy(update=sizes | changes)


def untracked(*_: Any) -> None:
    """A tracker that keeps nothing."""


def unmonitored(*_: Any) -> bool:
    """A monitor that never ends the run."""
    return False


class Killed(Exception):
    """Stands in for a kill of the process."""
