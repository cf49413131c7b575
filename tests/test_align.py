"""Alignment by direct preference optimization."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from trl import DPOConfig

from components import align as stage_file
from components import modeling, pricing
from components.alignment import dpo
from components.params import Params
from components.records import Pair
from tests.conftest import ROOT


def pairs_of(items: pd.DataFrame) -> pd.DataFrame:
    rows = [
        Pair(
            id=item.id,
            prompt=pricing.prompt(item.text),
            chosen="77",
            rejected="500",
            margin=9,
            origin="truth",
        )
        for item in items.itertuples()
    ]
    return pd.DataFrame([row.model_dump() for row in rows])


def preferred(model: Any, base: Path, prompt: str) -> float:
    """Log-odds of the chosen over the rejected price."""
    tokenizer = modeling.load_tokenizer(base)
    ids = torch.tensor([pricing.prompt_ids(tokenizer, prompt, 128)])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, -1]
    chosen, rejected = (pricing.completion_ids(tokenizer, price)[0] for price in ("77", "500"))
    return float(logits[chosen] - logits[rejected])


def test_dpo_moves_the_policy_towards_the_chosen_and_leaves_the_sft_adapter(
    tiny_base: Path,
    tiny_adapter: Path,
    tiny_params: Params,
    tiny_items: pd.DataFrame,
    tmp_path: Path,
    recorder: Any,
) -> None:
    before = (tiny_adapter / "adapter_model.safetensors").read_bytes()
    section = tiny_params.align.dpo.model_copy(update={"epochs": 4.0, "learning_rate": 2e-3})
    pairs = pairs_of(tiny_items)
    model, report = dpo.align(
        pairs,
        section,
        base=tiny_base,
        adapter=tiny_adapter,
        reward=tmp_path / "none",
        scratch=tmp_path,
        curves=modeling.Curves(recorder),
    )
    modeling.save_adapter(model, tmp_path / "aligned")
    assert (tiny_adapter / "adapter_model.safetensors").read_bytes() == before
    assert sorted(file.name for file in (tmp_path / "aligned").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    prompt = pairs["prompt"].iloc[0]
    sft = preferred(modeling.load_model(tiny_base, tiny_adapter), tiny_base, prompt)
    assert preferred(modeling.load_model(tiny_base, tmp_path / "aligned"), tiny_base, prompt) > sft + 0.5
    assert report["rewards_margins"] > 0
    assert {"curve.rewards/margins", "curve.rewards/accuracies"} <= {name for name, _, _ in recorder.points}


def test_a_very_large_beta_keeps_the_policy_at_the_reference(
    tiny_base: Path,
    tiny_adapter: Path,
    tiny_params: Params,
    tiny_items: pd.DataFrame,
    tmp_path: Path,
    recorder: Any,
) -> None:
    pairs = pairs_of(tiny_items)
    moves = []
    for beta in (0.1, 1e4):
        section = tiny_params.align.dpo.model_copy(
            update={"beta": beta, "epochs": 8.0, "learning_rate": 2e-3}
        )
        model, _ = dpo.align(
            pairs,
            section,
            base=tiny_base,
            adapter=tiny_adapter,
            reward=tmp_path / "none",
            scratch=tmp_path,
            curves=modeling.Curves(recorder),
        )
        prompt = pairs["prompt"].iloc[0]
        sft = preferred(modeling.load_model(tiny_base, tiny_adapter), tiny_base, prompt)
        moves.append(abs(preferred(model.eval(), tiny_base, prompt) - sft))
    assert moves[1] < 0.2 * moves[0]


def test_on_infinite_preferences_the_optimum_of_dpo_is_the_closed_form() -> None:
    """TRL's sigmoid loss on every pair of answers at once, each preferred as often as Bradley and Terry say.

    One prompt, eight answers, a policy that is a row of logits: the optimum is reference times
    exp(reward / beta), scaled to 1.
    """
    assert DPOConfig.__dataclass_fields__["loss_type"].default_factory() == ["sigmoid"]  # what we train with
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


def test_every_method_of_params_is_a_function(params: Params) -> None:
    assert set(params.align.methods) <= set(stage_file.METHODS)


def test_a_missing_method_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "components.align", "pppo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "say which method" in done.stderr
