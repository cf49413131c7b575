"""Direct preference optimization."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
import torch
from trl import DPOConfig

from components.alignment import dpo
from components.alignment.task import Task
from components.core.params.align import DpoLoss
from components.core.params.file import Params
from components.core.schemas import Pair
from components.model import adapters
from components.model.prompt import price_prompt
from components.model.tokens import completion_ids, prompt_ids
from tests.support.project import QUESTION


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
