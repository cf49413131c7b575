"""Alignment by direct preference optimization."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from trl import DPOConfig

from components import align as stage_file
from components import evaluate, preferences, reward
from components.alignment import dpo
from components.alignment.task import Task
from components.core.errors import PricewrightError
from components.core.params.align import DpoLoss
from components.core.params.file import Params
from components.core.schemas import Pair
from components.evaluation import scoring
from components.evaluation.leaderboard import leaderboard
from components.feedback import annotate
from components.model import adapters
from components.model.prompt import price_prompt
from components.model.tokens import completion_ids, prompt_ids
from tests.support.project import QUESTION, ROOT, tiny_yaml


def pairs_of(items: pd.DataFrame) -> pd.DataFrame:
    rows = [
        Pair(
            id=item.id,
            prompt=price_prompt(item.text, QUESTION),
            chosen="77",
            rejected="500",
            margin=9,
            origin="truth",
        )
        for item in items.itertuples()
    ]
    return pd.DataFrame([row.model_dump() for row in rows])


def preferred(model: Any, tokenizer: Any, prompt: str) -> float:
    """Log-odds of the chosen over the rejected price."""
    ids = torch.tensor([prompt_ids(tokenizer, prompt, 128)])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, -1]
    chosen, rejected = (completion_ids(tokenizer, price)[0] for price in ("77", "500"))
    return float(logits[chosen] - logits[rejected])


def test_dpo_moves_the_policy_towards_the_chosen_and_leaves_the_sft_adapter(
    cheap_task: Task,
    sharp_base: Path,
    tiny_adapter: Path,
    tiny_params: Params,
    tiny_items: pd.DataFrame,
    tmp_path: Path,
    recorder: Any,
) -> None:
    before = (tiny_adapter / "adapter_model.safetensors").read_bytes()
    section = tiny_params.align.dpo.model_copy(update={"epochs": 4.0, "learning_rate": 2e-3})
    task = cheap_task._replace(pairs=pairs_of(tiny_items))
    prompt = task.pairs["prompt"].iloc[0]
    sft = preferred(task.model, task.tokenizer, prompt)
    report = dpo.align(task, section)
    adapters.save_adapter(task.model, tmp_path / "aligned")
    assert (tiny_adapter / "adapter_model.safetensors").read_bytes() == before
    assert sorted(file.name for file in (tmp_path / "aligned").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    saved = adapters.load_adapted(sharp_base, tmp_path / "aligned")
    assert preferred(saved, task.tokenizer, prompt) > sft + 0.5
    assert report["rewards_margins"] > 0
    assert {"curve.rewards/margins", "curve.rewards/accuracies"} <= {name for name, _, _ in recorder.points}


def test_a_very_large_beta_keeps_the_policy_at_the_reference(cheap_task: Task, tiny_params: Params) -> None:
    prompt, moves = price_prompt("word", QUESTION), []
    row = {"prompt": prompt, "chosen": "77", "rejected": "500"}
    task = cheap_task._replace(pairs=pd.DataFrame([row] * 64))
    start = [weight.detach().clone() for weight in adapters.adapter_weights(task.model, "default")]
    sft = preferred(task.model, task.tokenizer, prompt)
    for beta in (0.1, 1e4):
        for weight, first in zip(adapters.adapter_weights(task.model, "default"), start, strict=True):
            weight.data.copy_(first)
        changes = {"beta": beta, "epochs": 10.0, "learning_rate": 3e-4}
        dpo.align(task, tiny_params.align.dpo.model_copy(update=changes))
        moves.append(abs(preferred(task.model, task.tokenizer, prompt) - sft))
        task.model.delete_adapter("ref")  # TRL makes its own
    print(moves)
    assert moves[1] < 0.2 * moves[0]


@pytest.mark.parametrize("loss", [["ipo"], ["robust"], ["sigmoid", "sft"]], ids="+".join)
def test_other_losses_of_trl_reach_the_trainer(
    cheap_task: Task, tiny_params: Params, loss: list[str], recorder: Any
) -> None:
    changes = {"loss_type": loss, "label_smoothing": 0.1, "epochs": 0.1}
    report = dpo.align(cheap_task, tiny_params.align.dpo.model_copy(update=changes))
    assert report["steps"] == 1
    assert [name for name, _, _ in recorder.points if name == "curve.rewards/margins"]


def test_every_loss_in_params_is_one_of_trls(params: Params) -> None:
    documented = DPOConfig.__dataclass_fields__["loss_type"].metadata["help"]
    assert [name for name in get_args(DpoLoss) if f"'{name}'" not in documented] == []


def test_on_infinite_preferences_the_optimum_of_dpo_is_the_closed_form(params: Params) -> None:
    """TRL's sigmoid loss on every pair of answers at once, each preferred at its Bradley-Terry odds.

    One prompt, eight answers, a policy that is a row of logits: the optimum is reference times
    exp(reward / beta), scaled to 1.
    """
    assert params.align.dpo.loss_type == ["sigmoid"]  # what we train with
    draw = torch.Generator().manual_seed(3)
    reference, reward = torch.randn(2, 8, generator=draw, dtype=torch.double)
    beta = 0.5
    optimum = (reference.log_softmax(0) + reward / beta).softmax(0)
    wins = torch.sigmoid(reward[:, None] - reward[None])
    policy = reference.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([policy], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        ratio = policy.log_softmax(0) - reference.log_softmax(0)
        expected = -(wins * torch.nn.functional.logsigmoid(beta * (ratio[:, None] - ratio[None]))).mean()
        expected.backward()
        return expected

    distance = [0.5 * float((policy.softmax(0) - optimum).detach().abs().sum())]
    optimizer.step(loss)
    distance.append(0.5 * float((policy.softmax(0) - optimum).detach().abs().sum()))
    print(f"total variation {distance[0]:.3f} before, {distance[1]:.5f} after")
    assert distance[0] > 0.25
    assert distance[1] < 0.05


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
    Path("params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    shutil.copy(empty_store, "mlflow.db")
    Path("artifacts/curate").mkdir(parents=True)
    Path("artifacts/validate").mkdir()
    Path("artifacts/base").symlink_to(sharp_base)
    Path("artifacts/sft").symlink_to(tiny_adapter)
    for place, split in enumerate(("preference", "validation", "test")):
        rows = tiny_items[place * 16 : place * 16 + 16].assign(split=split)
        rows.to_parquet(f"artifacts/curate/{split}.parquet")
    monkeypatch.setattr(sys, "argv", ["align", "sft_best_of_n"])
    for stage in (preferences, reward, stage_file):
        stage.main()
    report = json.loads(Path("reports/align/sft_best_of_n.json").read_text(encoding="utf-8"))
    comparison = json.loads(
        Path("artifacts/align/sft_best_of_n/against_sft.json").read_text(encoding="utf-8")
    )
    assert report["against_sft"] == comparison
    assert len(report["monitor"]["snapshots"]) == 2
    assert adapters.load_adapted(sharp_base, Path("artifacts/align/sft_best_of_n"))
    preferences_report = json.loads(Path("reports/preferences.json").read_text(encoding="utf-8"))
    assert preferences_report["origins"]["truth"]["share"] == 1
    sampled = pd.read_parquet("artifacts/preferences/sampled.parquet")
    assert len(annotate.Rankings(sampled, Path("feedback/none.jsonl"), "ann").left) == 16
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
    cheap_task: Task, tiny_adapter: Path, tiny_params: Params, method: str
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
    barred = evaluate.worse_than_sft(["dpo", "ppo"], tmp_path)
    assert barred == {"ppo"}
    items = pd.DataFrame({"id": ["a", "b"], "split": ["validation", "test"], "price": [10.0, 10.0]})
    items["category"] = "tools"
    prices = {"median": 90.0, "sft": 40.0, "dpo": 30.0, "ppo": 10.0}
    rows = pd.concat([scoring.predictions(name, items, np.full(2, price)) for name, price in prices.items()])
    items = items.assign(text="a chair", source="files")
    kinds = {"median": "baseline"} | dict.fromkeys(("sft", "dpo", "ppo"), "language-model")
    result = leaderboard(rows, kinds, items, pd.DataFrame(), tiny_params.evaluate, barred)
    assert result["winner"] == "dpo"
    assert leaderboard(rows, kinds, items, pd.DataFrame(), tiny_params.evaluate)["winner"] == "ppo"
