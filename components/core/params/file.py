"""The whole of params.yaml, for whoever checks all of it at once: the flows and the tests."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from components.core.params.align import Align
from components.core.params.base import Base
from components.core.params.baseline import Baseline
from components.core.params.blend import Blend
from components.core.params.curate import Curate
from components.core.params.evaluate import Evaluate
from components.core.params.preferences import Preferences
from components.core.params.promote import Promote
from components.core.params.quantize import Quantize
from components.core.params.register import Register
from components.core.params.retrain import Retrain
from components.core.params.reward import Reward
from components.core.params.scrape import Scrape
from components.core.params.section import PARAMS, faults, read
from components.core.params.serve import Serve
from components.core.params.sft import Sft
from components.core.params.task import Task
from components.core.params.validate import Validate
from components.core.params.watch import Watch


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Params:
    """The whole of params.yaml: a section for each stage, for what is predicted, and for flows alone."""

    scrape: Scrape
    task: Task
    curate: Curate
    validate: Validate
    base: Base
    baseline: Baseline
    sft: Sft
    blend: Blend
    preferences: Preferences
    reward: Reward
    align: Align
    evaluate: Evaluate
    quantize: Quantize
    register: Register
    promote: Promote
    serve: Serve
    watch: Watch
    retrain: Retrain


def load_params(path: Path = PARAMS) -> Params:
    """Read and check every section. Raises ParamsError as `load_section` does."""
    try:
        return TypeAdapter(Params).validate_python(read(path))
    except ValidationError as error:
        raise faults(error, Params, path) from error
