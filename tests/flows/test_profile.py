"""Profiles: they change what they name in params.yaml, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.core.errors import PricewrightError
from components.core.params.file import load_params
from flows.profile import apply
from tests.support.project import PARAMS, ROOT

COMMITTED = sorted((ROOT / "profiles").glob("*.yaml"))


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml"))


def leaves(values: Any, above: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        return {above: values}
    return {
        name: leaf
        for key, value in values.items()
        for name, leaf in leaves(value, f"{above}.{key}" if above else key).items()
    }


@pytest.mark.parametrize("profile", COMMITTED, ids=lambda path: path.stem)
def test_a_profile_parses_and_changes_nothing_but_what_it_names(profile: Path, params: Path) -> None:
    changed = apply(profile, params)
    after, named = leaves(yaml.safe_load(params.read_text())), leaves(yaml.safe_load(profile.read_text()))
    before = leaves(PARAMS)
    assert changed
    assert {name: after[name] for name in named} == named
    gone = {name for name in before if any(key.startswith(f"{name}.") for key in named)}
    assert {name: value for name, value in after.items() if name not in named} == {
        name: value for name, value in before.items() if name not in named and name not in gone
    }
    load_params(params)


@pytest.mark.parametrize("profile", COMMITTED, ids=lambda path: path.stem)
def test_comments_stay_and_a_second_time_changes_nothing(profile: Path, params: Path) -> None:
    comments = [line.split("#", 1)[1] for line in params.read_text().splitlines() if "#" in line]
    apply(profile, params)
    once = params.read_bytes()
    assert [comment for comment in comments if comment not in params.read_text()] == []
    assert apply(profile, params) == []
    assert params.read_bytes() == once


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("sft: {learning_rat: 1.0e-3}", "params.yaml has no sft.learning_rat"),
        ("sft: {epochs: many}", "sft.epochs"),
    ],
)
def test_a_profile_with_a_fault_leaves_the_params_as_they_are(
    tmp_path: Path, params: Path, text: str, fault: str
) -> None:
    before = params.read_bytes()
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(PricewrightError, match=fault):
        apply(tmp_path / "odd.yaml", params)
    assert params.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd.yaml", "params.yaml"]


def test_an_unknown_profile_names_those_that_there_are(params: Path) -> None:
    with pytest.raises(PricewrightError, match="there is no profile 'nemo'; there are: .*smollm2"):
        apply(ROOT / "profiles" / "nemo.yaml", params)
