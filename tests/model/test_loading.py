"""A base model from a local folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from bitsandbytes.nn import Linear4bit

from components.core.errors import PricewrightError
from components.model import loading


def test_the_base_is_in_nf4_with_double_quantization(tiny_base: Path) -> None:
    layers = [layer for layer in loading.load_model(tiny_base).modules() if isinstance(layer, Linear4bit)]
    assert len(layers) == 7
    assert all(layer.weight.quant_type == "nf4" and layer.weight.compress_statistics for layer in layers)


def test_a_base_that_is_marked_so_is_held_whole(tiny_base: Path, tmp_path: Path) -> None:
    whole = Path(shutil.copytree(tiny_base, tmp_path / "whole"))
    loading.mark(whole, loading.WHOLE, True)
    model = loading.load_model(whole)
    assert not [layer for layer in model.modules() if isinstance(layer, Linear4bit)]
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    loading.mark(whole, loading.WHOLE, False)
    assert [layer for layer in loading.load_model(whole).modules() if isinstance(layer, Linear4bit)]


@pytest.mark.skipif(not loading.BFLOAT16, reason="this processor has no bfloat16")
def test_layers_multiply_in_bfloat16_and_the_head_in_float32(tiny_base: Path) -> None:
    whole, fast = loading.load_whole(tiny_base), loading.in_bfloat16(loading.load_whole(tiny_base))
    kinds = {}
    for name, layer in fast.named_modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_hook(lambda _, __, out, name=name: kinds.update({name: out.dtype}))
    ids = torch.arange(5, 45)[None]
    with torch.inference_mode():
        exact, near = whole(ids).logits, fast(ids).logits
    assert {kind for name, kind in kinds.items() if name != "lm_head"} == {torch.bfloat16}
    assert kinds["lm_head"] == near.dtype == torch.float32
    assert 0 < (exact.softmax(-1) - near.softmax(-1)).abs().sum(-1).max() < 0.02


def test_a_folder_that_is_no_model_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(PricewrightError, match="does not load as AutoModelForCausalLM"):
        loading.load_model(tmp_path)
