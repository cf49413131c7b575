"""The stage `align`: a method of params.yaml, its monitor, its comparison with SFT."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from components import align as stage_file
from components import preferences, reward
from components.alignment.task import AlignmentTask
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.core.schemas import Law
from components.evaluation import align_reports, scoring
from components.evaluation.leaderboard import leaderboard
from components.feedback import annotate
from components.model import adapters
from tests.support.project import ROOT, TASK, tiny_yaml


def test_the_stages_from_preferences_to_align_fit_together(
    sharp_base: Path,
    tiny_adapter: Path,
    tiny_items: pd.DataFrame,
    empty_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("components", "feedback", "dvc.yaml"):
        Path(name).symlink_to(ROOT / name)
    raw = yaml.safe_load(tiny_yaml())
    raw["align"]["sft_best_of_n"] |= {"epochs": 1.0, "temperature": 1.0}
    raw["preferences"] |= {"origins": ["truth", "steering"], "margin_min": 1.0}
    Path("params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    shutil.copy(empty_store, "mlflow.db")
    Path("artifacts/curate").mkdir(parents=True)
    Path("artifacts/curate/names.json").write_text("[]", encoding="utf-8")
    Path("artifacts/validate").mkdir()
    Path("artifacts/scrape").mkdir()
    pd.DataFrame(columns=Law.columns()).to_parquet("artifacts/scrape/law.parquet")
    Path("artifacts/base").symlink_to(sharp_base)
    Path("artifacts/sft").symlink_to(tiny_adapter)
    for place, split in enumerate(("preference", "validation", "gate", "test")):
        rows = tiny_items[place * 12 : place * 12 + 12].assign(split=split)
        rows.to_parquet(f"artifacts/curate/{split}.parquet")
    monkeypatch.setattr(sys, "argv", ["align", "sft_best_of_n"])
    for stage in (preferences, reward, stage_file):
        stage.main()
    report = json.loads(Path("reports/align/sft_best_of_n.json").read_text(encoding="utf-8"))
    comparison = json.loads(
        Path("artifacts/align/sft_best_of_n/against_sft.json").read_text(encoding="utf-8")
    )
    assert report["against_sft"] == comparison
    assert isinstance(comparison["helps"], bool)
    for control in comparison["controls"].values():
        assert control["sampled"]["aligned"] == comparison["sampled"]["aligned"]
        assert 0 < control["temperature"] <= 1
    assert len(report["monitor"]["snapshots"]) == 2
    assert adapters.load_adapted(sharp_base, Path("artifacts/align/sft_best_of_n"))
    preferences_report = json.loads(Path("reports/preferences.json").read_text(encoding="utf-8"))
    origins = preferences_report["origins"]
    assert origins["truth"]["share"] + origins["steering"]["share"] == 1
    for origin in origins.values():
        assert 0 < origin["pairs"] + origin["rejected"] <= 12
    rules = json.loads(Path("reports/reward.json").read_text(encoding="utf-8"))["held_out"]["rules"]
    assert rules["law"] is None
    assert rules["sft_point"]["pairs"] > 0
    sampled = pd.read_parquet("artifacts/preferences/sampled.parquet")
    assert len(annotate.Rankings(sampled, Path("feedback/none.jsonl"), "ann").left) == 12
    for picture in ("reliability.png", "rewards.png"):
        assert Path("artifacts/reward", picture).is_file()


def test_every_method_of_params_is_a_method(params: Params) -> None:
    assert set(params.align.methods) <= set(stage_file.METHODS)


def test_a_missing_method_is_named() -> None:
    completed = subprocess.run(
        [sys.executable, "-m", "components.align", "pppo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 1
    assert "say which method" in completed.stderr


@pytest.mark.parametrize("method", ["rloo", "ppo", "sft_best_of_n"])
def test_a_reward_model_of_nan_is_a_clear_stop_and_the_sft_adapter_is_not_touched(
    cheap_task: AlignmentTask, tiny_adapter: Path, tiny_params: Params, method: str
) -> None:
    before = (tiny_adapter / "adapter_model.safetensors").read_bytes()
    cheap_task.reward_model.head.weight.data.fill_(float("nan"))
    with pytest.raises(PricewrightError, match="NaN"):
        stage_file.align(cheap_task, method, getattr(tiny_params.align, method))
    assert (tiny_adapter / "adapter_model.safetensors").read_bytes() == before


def test_what_errs_more_than_sft_cannot_win(tmp_path: Path, tiny_params: Params) -> None:
    for name, may_win in {"dpo": True, "ppo": False}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "against_sft.json").write_text(json.dumps({"may_win": may_win}), encoding="utf-8")
    barred = align_reports.worse_than_sft(align_reports.against_sft(["dpo", "ppo"], tmp_path))
    assert barred == {"ppo"}
    items = pd.DataFrame({"id": ["a", "b"], "split": ["validation", "test"], "target": [10.0, 10.0]})
    items["category"] = "tools"
    prices = {"median": 90.0, "sft": 40.0, "dpo": 30.0, "ppo": 10.0}
    rows = pd.concat(
        [scoring.predictions(name, items, np.full(2, price), TASK) for name, price in prices.items()]
    )
    items = items.assign(text="a chair", source="files", product=items["id"])
    kinds = {"median": "baseline"} | dict.fromkeys(("sft", "dpo", "ppo"), "language-model")
    result = leaderboard(rows, kinds, items, pd.DataFrame(), tiny_params.evaluate, TASK, barred)
    assert result["winner"] == "dpo"
    unbarred = leaderboard(rows, kinds, items, pd.DataFrame(), tiny_params.evaluate, TASK)
    assert unbarred["winner"] == "ppo"
