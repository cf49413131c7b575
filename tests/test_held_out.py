"""No model is fitted on a label of validation, gate or test: shown by taking the labels away.

The stages run in a project of their own on a tiny base; what they write must not depend on those labels.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from components import align, baseline, preferences, reward, sft
from components.core.params.file import Params
from components.core.schemas import HELD_OUT, SCORED, Law
from tests.support.project import ROOT, TASK, tiny_yaml

CURATED = Path("artifacts/curate")


@pytest.fixture
def project(
    sharp_base: Path,
    tiny_adapter: Path,
    tiny_items: pd.DataFrame,
    empty_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A project up to the SFT adapter, of 9 rows in each split."""
    monkeypatch.chdir(tmp_path)
    for name in ("components", "feedback"):
        Path(name).symlink_to(ROOT / name)
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    for block in graph["stages"].values():
        block["deps"] = []  # the frame hashes them, and some are not there
    Path("dvc.yaml").write_text(yaml.safe_dump(graph), encoding="utf-8")
    Path("params.yaml").write_text(tiny_yaml(), encoding="utf-8")
    shutil.copy(empty_store, "mlflow.db")
    CURATED.mkdir(parents=True)
    Path("artifacts/scrape").mkdir()
    pd.DataFrame(columns=Law.columns()).to_parquet("artifacts/scrape/law.parquet")  # nobody knows it
    Path("artifacts/base").symlink_to(sharp_base)
    shutil.copytree(tiny_adapter, "artifacts/sft")
    for place, split in enumerate(("train", "preference", *HELD_OUT)):
        rows = tiny_items[place * 9 : place * 9 + 9].assign(split=split)
        rows.to_parquet(CURATED / f"{split}.parquet")
    return tmp_path


def relabel() -> None:
    """Another price for every held-out row."""
    for split in HELD_OUT:
        path = CURATED / f"{split}.parquet"
        rows = pd.read_parquet(path)
        rows.assign(target=1000.0 - rows["target"]).to_parquet(path)


@pytest.mark.usefixtures("project")
def test_preferences_are_the_same_whatever_held_out_rows_cost() -> None:
    preferences.main()
    before = pd.read_parquet("artifacts/preferences/pairs.parquet")
    relabel()
    preferences.main()
    pd.testing.assert_frame_equal(before, pd.read_parquet("artifacts/preferences/pairs.parquet"))


@pytest.mark.usefixtures("project")
def test_sft_and_the_reward_model_learn_where_held_out_rows_are_not_even_on_the_disk() -> None:
    preferences.main()
    for split in HELD_OUT:
        (CURATED / f"{split}.parquet").unlink()
    sft.main()
    assert Path("artifacts/sft/adapter_model.safetensors").is_file()
    reward.main()
    assert Path("artifacts/reward/adapter_model.safetensors").is_file()


@pytest.mark.usefixtures("project")
def test_align_learns_where_gate_and_test_are_not_even_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation is there: the monitor watches a training on it."""
    preferences.main()
    reward.main()
    for split in ("gate", "test"):
        (CURATED / f"{split}.parquet").unlink()
    monkeypatch.setattr(sys, "argv", ["align", "dpo"])
    align.main()
    assert Path("artifacts/align/dpo/adapter_model.safetensors").is_file()


def test_no_baseline_is_fitted_on_a_scored_row(
    sharp_base: Path, tiny_params: Params, tiny_items: pd.DataFrame, tmp_path: Path
) -> None:
    train, scored = tiny_items.head(36), tiny_items.tail(12)
    section, task = tiny_params.baseline, TASK
    before, fitted = baseline.baseline(train, scored, sharp_base, section, task)
    after, again = baseline.baseline(train, scored.assign(target=1.0), sharp_base, section, task)
    fitted.save(tmp_path / "before")
    again.save(tmp_path / "after")
    for file in (tmp_path / "before").iterdir():
        assert file.read_bytes() == (tmp_path / "after" / file.name).read_bytes()
    assert list(before) == list(after)
    for name, predicted in before.items():
        assert predicted == pytest.approx(after[name], nan_ok=True), name


@pytest.mark.usefixtures("project")
def test_the_gate_has_the_answers_of_the_baselines_to_rows_of_which_no_figure_is_shown() -> None:
    baseline.main()
    rows = pd.read_parquet("artifacts/baseline/predictions.parquet")
    gate = pd.read_parquet(CURATED / "gate.parquet")
    for name, own in rows[rows["split"] == "gate"].groupby("candidate"):
        assert sorted(own["id"]) == sorted(gate["id"]), name
    report = json.loads(Path("reports/baseline.json").read_text(encoding="utf-8"))
    assert set(report["candidates"]) == set(rows["candidate"])
    assert {split for figures in report["candidates"].values() for split in figures} == set(SCORED)
