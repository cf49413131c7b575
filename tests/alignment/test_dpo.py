"""Direct preference optimization."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import TrainerCallback
from trl import DPOConfig

from components.alignment import dpo
from components.alignment.task import AlignmentTask
from components.core.params.align import DpoLoss
from components.core.params.file import Params
from components.core.schemas import Pair
from components.model import adapters
from components.model.prompt import prompt_of
from components.model.tokens import completion_ids
from tests.support.project import TASK
from tests.support.prompts import as_ids
from tests.support.tiny_policy import log_probabilities, one_word_task


def pairs_of(items: pd.DataFrame) -> pd.DataFrame:
    rows = [
        Pair(
            id=item.id,
            prompt=prompt_of(item.text, TASK),
            chosen="77",
            rejected="500",
            margin=9,
            origin="truth",
        )
        for item in items.itertuples()
    ]
    return pd.DataFrame([row.model_dump() for row in rows])


def preferred(model: Any, tokenizer: Any, prompt: tuple[int, ...]) -> float:
    """Log-odds of the chosen over the rejected price."""
    ids = torch.tensor([prompt])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, -1]
    chosen, rejected = (completion_ids(tokenizer, price)[0] for price in ("77", "500"))
    return float(logits[chosen] - logits[rejected])


def test_dpo_moves_the_policy_towards_the_chosen_and_leaves_the_sft_adapter(
    cheap_task: AlignmentTask,
    sharp_base: Path,
    tiny_adapter: Path,
    tiny_params: Params,
    tiny_items: pd.DataFrame,
    tmp_path: Path,
    recorder: Any,
) -> None:
    before = (tiny_adapter / "adapter_model.safetensors").read_bytes()
    section = tiny_params.align.dpo.model_copy(update={"epochs": 4.0, "learning_rate": 2e-3})
    task = cheap_task._replace(pairs=as_ids(cheap_task.tokenizer, pairs_of(tiny_items)))
    prompt = task.pairs["prompt"].iloc[0]
    sft = preferred(task.model, task.tokenizer, prompt)
    report = dpo.align(task, section)
    for name in ("default", "ref"):  # the policy moved, and TRL's reference is the SFT adapter on the disk
        weights = zip(
            adapters.adapter_weights(task.model, name),
            adapters.adapter_weights(task.model, "reference"),
            strict=True,
        )
        assert all(torch.equal(own, sft_weight) for own, sft_weight in weights) == (name == "ref")
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


def test_a_very_large_beta_keeps_the_policy_at_the_reference(
    cheap_task: AlignmentTask, tiny_params: Params
) -> None:
    row = {"prompt": prompt_of("word", TASK), "chosen": "77", "rejected": "500"}
    task = cheap_task._replace(pairs=as_ids(cheap_task.tokenizer, pd.DataFrame([row] * 64)))
    prompt, moves = task.pairs["prompt"][0], []
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
    cheap_task: AlignmentTask, tiny_params: Params, loss: list[str], recorder: Any
) -> None:
    changes = {"loss_type": loss, "label_smoothing": 0.1, "epochs": 0.1}
    report = dpo.align(cheap_task, tiny_params.align.dpo.model_copy(update=changes))
    assert report["steps"] == 1
    assert [name for name, _, _ in recorder.points if name == "curve.rewards/margins"]


def test_every_loss_in_params_is_one_of_trls(params: Params) -> None:
    documented = DPOConfig.__dataclass_fields__["loss_type"].metadata["help"]
    assert [name for name in get_args(DpoLoss) if f"'{name}'" not in documented] == []


STRENGTHS = {"a": 1, "b": 2, "c": 4, "d": 4}
"""Of the completions: one is preferred to another at the odds of their strengths (Bradley and Terry 1952)."""
COUNT = 30
"""Of each pair, so that every share of wins is a whole number of them."""


def every_pair() -> pd.DataFrame:
    """All pairs of completions, each the way round as often as its odds say."""
    rows = [
        {"prompt": "question", "chosen": chosen, "rejected": rejected}
        for chosen, rejected in permutations(STRENGTHS, 2)
        for _ in range(COUNT * STRENGTHS[chosen] // (STRENGTHS[chosen] + STRENGTHS[rejected]))
    ]
    assert len(rows) == COUNT * len(STRENGTHS) * (len(STRENGTHS) - 1) / 2
    return pd.DataFrame(rows)


class References(TrainerCallback):
    """Keeps the weights of TRL's reference before the first step and after the last."""

    def __init__(self) -> None:
        self.kept: list[list[torch.Tensor]] = []

    def on_train_begin(self, *_: Any, model: Any, **__: Any) -> None:
        self.kept.append([weight.clone() for weight in adapters.adapter_weights(model, "ref")])

    on_train_end = on_train_begin


def by_completion(task: AlignmentTask) -> np.ndarray:
    """Probability of each completion and the end after it, given that it is one of them."""
    first, end = log_probabilities(task, []), task.tokenizer.eos_token_id
    tokens = [completion_ids(task.tokenizer, word)[0] for word in STRENGTHS]
    logs = torch.stack([first[token] + log_probabilities(task, [token])[end] for token in tokens])
    return logs.softmax(0).numpy()


def test_on_every_pair_at_its_odds_the_optimum_of_dpo_is_the_closed_form(
    params: Params, tmp_path: Path, recorder: Any
) -> None:
    """The SFT adapter times exp(reward / beta), scaled to 1, where a reward is the logarithm of a strength.
    The reference is that adapter, not the base, from the first step to the last.
    """
    assert params.align.dpo.loss_type == ["sigmoid"]  # what we train with
    pairs, references = every_pair(), References()
    task = one_word_task(tmp_path, recorder, pairs, references)
    base = by_completion(task)
    policy = adapters.adapter_weights(task.model, "default")
    for weight in policy:  # an SFT adapter: a new one is the base itself
        weight.data.normal_(std=0.2)
    start, sft = [weight.clone() for weight in policy], by_completion(task)
    changes = {"beta": 0.5, "batch_size": len(pairs), "epochs": 120.0, "learning_rate": 2e-2}
    dpo.align(task, params.align.dpo.model_copy(update=changes))
    optimum = sft * np.array(list(STRENGTHS.values())) ** (1 / 0.5)
    optimum /= optimum.sum()
    before, after, from_base = (
        0.5 * np.abs(other - optimum).sum() for other in (sft, by_completion(task), base)
    )
    print(f"total variation {before:.3f} before, {after:.5f} after, {from_base:.3f} from the base")
    assert before > 0.25
    assert after < 0.02
    assert 0.5 * np.abs(sft - base).sum() > 0.1, "else the base would do as the reference"
    assert len(references.kept) == 2
    for kept in references.kept:
        assert all(torch.equal(weight, own) for weight, own in zip(kept, start, strict=True))
