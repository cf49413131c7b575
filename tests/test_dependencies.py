"""dvc.yaml lists what a stage reads and nothing else; a change reaches only what it changes."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from components.core.params.align import Method
from tests.support.project import ROOT
from tests.support.source import (
    DVC,
    FRAME,
    STAGES,
    covers,
    is_empty,
    listed,
    modules,
    needed,
    sections,
    strings,
)

# --- lists that cover what they list -----------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_module_that_it_needs_and_on_no_other(stage: str) -> None:
    below = needed(f"components.{stage}") | frozenset(
        module for method in methods(stage) for module in needed(f"components.alignment.{method}")
    )
    wanted = {
        modules()[module].relative_to(ROOT).as_posix() for module in below if is_dependency(module, stage)
    }
    named = {path for path in listed(stage, "deps") if path.startswith(("components/", "flows/"))}
    uncovered = {path for path in wanted if not any(covers(name, path) for name in named)}
    assert uncovered == set(), "not listed in dvc.yaml"
    files = {
        file.relative_to(ROOT).as_posix()
        for name in named
        for file in ((ROOT / name).rglob("*.py") if (ROOT / name).is_dir() else [ROOT / name])
        if file.name != "__init__.py" and "${" not in name
    }
    assert files - wanted == set(), "listed in dvc.yaml for nothing"


def is_dependency(module: str, stage: str) -> bool:
    """Of the classes of params.yaml a stage depends on its own; of other sections, on their values alone. The
    base depends on the values of its own too: it is trained again only where its weights would differ.
    """
    if (
        module == "components"
        or module in FRAME
        or is_empty(module)
        or module.split(".")[-1] in methods(stage)
    ):
        return False
    if module.startswith("components.core.params."):
        return module == f"components.core.params.{stage}" and stage != "base"
    return True


def methods(stage: str) -> list[str]:
    """The files of a matrix stage, of which each child depends on its own."""
    listed_file = "components/alignment/${item.method}.py" in listed(stage, "deps")
    return list(get_args(Method)) if listed_file else []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_artifact_and_report_that_it_reads(stage: str) -> None:
    own = (f"artifacts/{stage}", f"reports/{stage}")
    read = {
        text.rstrip("/")
        for module in needed(f"components.{stage}")
        for text in strings(module)
        if re.fullmatch(r"(artifacts|reports)/[\w./-]+", text) and not text.startswith(own)
    }
    deps = listed(stage, "deps")
    assert {path for path in read if not any(covers(name, path) for name in deps)} == set()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_section_of_the_params_that_it_reads(stage: str) -> None:
    named = {key.split(".")[0] for key in DVC[stage]["params"]}
    assert sections(f"components.{stage}") == named


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_depends_on_is_a_file_or_the_output_of_an_earlier_stage(stage: str) -> None:
    earlier = STAGES[: STAGES.index(stage)]
    made = [
        path.split("/${")[0] for name in earlier for key in ("outs", "metrics") for path in listed(name, key)
    ]
    unknown = [
        path
        for path in listed(stage, "deps")
        if not any(covers(name, path) or covers(path, name) for name in made)
        and (
            path.startswith(("artifacts/", "reports/"))
            or not list(ROOT.glob(path.replace("${item.method}", "*")))
        )
    ]
    assert unknown == []
