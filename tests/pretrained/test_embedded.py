"""The embedded base: its tokenizer, its training, and the weights that are committed."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch

from components import base as stage_file
from components.core.params.file import Params
from components.model import loading
from components.pretrained.embedded import _example, _weighted_loss, price_targets
from tests.support.project import ROOT

COMMITTED = ROOT / "artifacts" / "base"


def test_prices_0_to_999_are_single_tokens_and_text_survives_the_tokenizer(tiny_base: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    assert all(len(tokenizer(str(price)).input_ids) == 1 for price in range(1000))
    assert len(tokenizer("1234").input_ids) == 2
    text = "256GB drive, 3.5 inches\n\nPrice is $49 – très bon ✓"
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_only_safetensors_and_a_model_card_are_written(tiny_base: Path) -> None:
    names = {file.name for file in tiny_base.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    assert "300 product listings" in (tiny_base / "README.md").read_text(encoding="utf-8")


def test_the_same_seed_gives_the_same_weights(tiny_params: Params, tiny_base: Path, tmp_path: Path) -> None:
    stage_file.base(tiny_params.base, tmp_path, lambda *_: None)
    again, first = (loading.load_whole(folder) for folder in (tmp_path, tiny_base))
    for left, right in zip(again.parameters(), first.parameters(), strict=True):
        torch.testing.assert_close(left, right)


def test_training_lowers_the_loss_and_reports_it(tiny_params: Params, tmp_path: Path) -> None:
    points: list[tuple[int, float]] = []
    section = tiny_params.base.pretraining.model_copy(update={"texts": 1700, "epochs": 2})
    pretrained = tiny_params.base.model_copy(update={"pretraining": section})
    stage_file.base(pretrained, tmp_path, lambda step, loss: points.append((step, loss)))
    assert [step for step, _ in points] == [50, 100]
    assert points[1][1] < points[0][1] < np.log(1600)


def test_the_target_of_a_price_is_spread_over_its_neighbours_by_their_ratio(tiny_base: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    targets = price_targets(tokenizer, 0.1)
    row = targets.shares[tokenizer("100").input_ids[0]]
    expected = np.diff([statistics.NormalDist(np.log(100), 0.1).cdf(np.log(edge)) for edge in (99.5, 100.5)])
    assert row[100].item() == pytest.approx(expected[0], rel=1e-4)
    assert row[90] > row[89]
    assert row[:90].sum().item() == pytest.approx(
        statistics.NormalDist(np.log(100), 0.1).cdf(np.log(89.5)), rel=1e-3
    )
    assert targets.shares[targets.tokens[1:]].sum(1).numpy() == pytest.approx(1, abs=1e-5)
    sharp = price_targets(tokenizer, 1.0e-6)
    assert torch.equal(sharp.shares[sharp.tokens[1:]].argmax(1), torch.arange(1, 1000))


def test_the_weight_of_the_price_falls_on_the_price_and_its_neighbours(tiny_base: Path) -> None:
    tokenizer, model = loading.load_tokenizer(tiny_base), loading.load_whole(tiny_base)
    targets = price_targets(tokenizer, 0.1)
    row = _example(tokenizer, "a chair", 49, 64)
    assert tokenizer.decode(row[-2:-1]) == "49"
    rows = [row, row[:9] + row[-2:]]
    with torch.no_grad():
        plain, heavy = (_weighted_loss(model, rows, targets, weight) for weight in (1.0, 1e9))
        logs = [model(input_ids=torch.tensor([ids])).logits[0, -3].log_softmax(-1) for ids in rows]
    price_only = -sum((targets.shares[row[-2]] * log[targets.tokens]).sum() for log in logs) / 2
    torch.testing.assert_close(heavy, price_only, rtol=1e-4, atol=1e-4)
    assert plain != heavy


def test_the_committed_weights_fit_the_committed_params(params: Params) -> None:
    config = json.loads((COMMITTED / "config.json").read_text(encoding="utf-8"))
    section = params.base.pretraining
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (config["hidden_size"], config["num_hidden_layers"]) == (section.hidden_size, section.layers)
    assert config["intermediate_size"] == section.intermediate_size
    model = loading.load_whole(COMMITTED)
    assert 1_000_000 <= model.num_parameters() <= 3_000_000
    assert f"{model.num_parameters():,}" in (COMMITTED / "README.md").read_text(encoding="utf-8")
