"""The environment of a version's own code, by a real version that looks for keys."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from components.core import registry, tracking
from components.promotion import trial
from components.promotion.environment import without_keys
from tests.support.nosy_version import KEY, KEYS, register_nosy


def test_the_code_of_a_version_on_trial_finds_no_key(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, "mlflow.db")
    tracking.connect()
    number = register_nosy("pricer", tmp_path / "ran")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with registry.fetched(registry.open_version("pricer", number)) as folder:
        answers, _ = trial.predict(folder, pd.DataFrame({"description": ["a lamp", "a chair"]}))
    assert (tmp_path / "ran").exists()
    assert answers["value"].tolist() == [0.0, 0.0]


def test_what_a_program_needs_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "CUDA_VISIBLE_DEVICES": "0"}
    for name, value in (needed | KEYS).items():
        monkeypatch.setenv(name, value)
    passed = without_keys()
    assert needed.items() <= passed.items()
    assert [name for name, value in passed.items() if KEY in value] == []
    assert passed["DO_NOT_TRACK"] == "1"
