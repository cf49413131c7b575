"""Layers below the adapters, computed once for each row."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from components import sft as stage_file
from components.core.params.file import Params
from components.model import adapters, loading, training
from components.model.frozen_layers import FrozenLayers, below_adapters, computed_once

LAYERS = 4
IDS = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 0]])
PADDED = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Path:
    """The tiny base's tokenizer and shape, four layers deep, not in four bits."""
    deep = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    config = AutoConfig.from_pretrained(deep)
    config.num_hidden_layers = LAYERS
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(config).save_pretrained(deep)
    loading.mark(deep, loading.WHOLE, True)
    return deep


@pytest.fixture
def model(base: Path) -> Any:
    return adapters.new_adapter(base, rank=2, alpha=4, dropout=0.0, layers=0.5)


def states(model: Any, **inputs: Any) -> torch.Tensor:
    return model.get_base_model().base_model(**{"use_cache": False} | inputs).last_hidden_state


def kept(frozen: FrozenLayers) -> int:
    return len(frozen._states)


def test_half_of_the_layers_get_an_adapter_the_last_ones(model: Any) -> None:
    decoder = model.get_base_model().base_model
    assert below_adapters(decoder) == list(decoder.layers[:2])
    trained = [any(weight.requires_grad for weight in layer.parameters()) for layer in decoder.layers]
    assert trained == [False, False, True, True]


def test_a_row_that_was_read_is_not_computed_again_and_the_states_are_the_same(model: Any) -> None:
    plain = states(model, input_ids=IDS, attention_mask=PADDED)
    with computed_once(model) as frozen:
        states(model, input_ids=IDS, attention_mask=PADDED)
        assert frozen.reused == 0
        again = states(model, input_ids=IDS, attention_mask=PADDED)
        assert frozen.reused == 2
        alone = states(model, input_ids=IDS[1:, :3])  # the same row without its padding
        assert frozen.reused == 3
    torch.testing.assert_close(again[PADDED == 1], plain[PADDED == 1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(alone[0], plain[1, :3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "inputs",
    [
        {"attention_mask": PADDED.flip(1)},
        {"position_ids": torch.arange(4).expand(2, 4) + 1},
        {"use_cache": True},
    ],
    ids=["padded at the beginning", "at other positions", "with a cache"],
)
def test_what_depends_on_more_than_the_row_is_not_kept(model: Any, inputs: dict[str, Any]) -> None:
    plain = states(model, input_ids=IDS, **inputs)
    with computed_once(model) as frozen:
        states(model, input_ids=IDS, attention_mask=torch.ones_like(IDS))  # would be taken for the same rows
        before = frozen.reused
        torch.testing.assert_close(states(model, input_ids=IDS, **inputs), plain)
        assert frozen.reused == before


def test_rows_beyond_the_limit_are_computed_as_ever(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.model.frozen_layers.BYTES_MAX", 1)
    plain = states(model, input_ids=IDS)
    with computed_once(model) as frozen:
        for _ in range(2):
            torch.testing.assert_close(states(model, input_ids=IDS), plain)
        assert (kept(frozen), frozen.bytes, frozen.reused) == (0, 0, 0)


def test_after_it_the_layers_are_their_own_again(model: Any) -> None:
    layers = model.get_base_model().base_model.layers
    with computed_once(model):
        assert "forward" in vars(layers[0])
    assert "forward" not in vars(layers[0])


def test_training_reads_them_once_and_ends_at_the_same_adapter(
    base: Path, tiny_params: Params, tiny_items: pd.DataFrame, tmp_path: Path, recorder: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Three epochs: two of three readings of each row are saved."""
    weights, reused = [], []
    lora = tiny_params.sft.lora.model_copy(update={"layers": 0.5})
    section = tiny_params.sft.model_copy(update={"epochs": 3.0, "lora": lora})

    class Counted(FrozenLayers):
        def _through(self, *args: Any, **options: Any) -> torch.Tensor:
            result = super()._through(*args, **options)
            reused.append(self.reused)
            return result

    monkeypatch.setattr("components.model.frozen_layers.FrozenLayers", Counted)
    for limit in (0, 1 << 30):
        monkeypatch.setattr("components.model.frozen_layers.BYTES_MAX", limit)
        curves = training.Curves(recorder)
        model = stage_file.sft(
            tiny_items, section, tiny_params.prompt, base, tmp_path / f"scratch{limit}", curves
        )
        adapters.save_adapter(model, tmp_path / str(limit))
        weights.append(load_file(tmp_path / str(limit) / "adapter_model.safetensors"))
    assert reused[-1] == 2 * len(tiny_items)
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-3, atol=1e-5)
