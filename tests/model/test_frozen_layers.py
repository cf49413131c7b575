"""Layers below the adapters, computed once for each row."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, Gemma3TextConfig, GPT2Config

from components import sft as stage_file
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.model import adapters, loading, training
from components.model.frozen_layers import FrozenLayers, below_adapters, computed_once
from tests.support.project import TASK

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


@pytest.fixture
def layered(base: Path) -> Any:
    """A base each of whose layers sees another part of the row, by its own mask and its own angles."""
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1}
    kinds = ["sliding_attention", "full_attention"] * (LAYERS // 2)
    config = Gemma3TextConfig(
        vocab_size=64, head_dim=16, num_hidden_layers=LAYERS, layer_types=kinds, sliding_window=2, **shape
    )
    torch.manual_seed(2)
    AutoModelForCausalLM.from_config(config).save_pretrained(base)
    loading.mark(base, loading.WHOLE, True)
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


def test_layers_that_see_different_parts_of_a_row_give_what_they_gave(layered: Any) -> None:
    plain = states(layered, input_ids=IDS)
    with computed_once(layered) as frozen:
        for _ in range(2):
            torch.testing.assert_close(states(layered, input_ids=IDS), plain)
        assert frozen.reused == 2


def test_layers_that_drop_out_are_computed_anew(model: Any) -> None:
    decoder = model.get_base_model().base_model
    decoder.layers[1].self_attn.attention_dropout = 0.1
    assert below_adapters(decoder) == []


def test_a_base_that_names_no_layers_is_adapted_as_a_whole_or_not_at_all(base: Path) -> None:
    shape = {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 64, "n_positions": 32}
    AutoModelForCausalLM.from_config(GPT2Config(**shape)).save_pretrained(base)
    loading.mark(base, loading.WHOLE, True)
    with pytest.raises(PricewrightError, match=r"sft.lora.layers is 0.5, but .* names no layers"):
        adapters.new_adapter(base, rank=2, alpha=4, dropout=0.0, layers=0.5)
    assert adapters.new_adapter(base, rank=2, alpha=4, dropout=0.0, layers=1.0)


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
        def note_rows(self, *args: Any) -> None:
            super().note_rows(*args)
            reused.append(self.reused)

    monkeypatch.setattr("components.model.frozen_layers.FrozenLayers", Counted)
    for limit in (0, 1 << 30):
        monkeypatch.setattr("components.model.frozen_layers.BYTES_MAX", limit)
        curves = training.Curves(recorder)
        model = stage_file.sft(tiny_items, section, TASK, base, tmp_path / f"scratch{limit}", curves)
        adapters.save_adapter(model, tmp_path / str(limit))
        weights.append(load_file(tmp_path / str(limit) / "adapter_model.safetensors"))
    assert reused[-1] > 1.5 * len(tiny_items), "of three epochs two, but for the last batch"
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-3, atol=1e-5)
