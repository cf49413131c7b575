"""Section `register` of params.yaml: the version in the MLflow registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.core.params.section import Section


class Register(Section):
    """The version in the MLflow registry."""

    model_name: Annotated[str, Field(min_length=1)]
