"""A base model from a local folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bitsandbytes.nn import Linear4bit

from components.core.errors import PricewrightError
from components.model import loading


def test_the_base_is_in_nf4_with_double_quantization(tiny_base: Path) -> None:
    layers = [layer for layer in loading.load_model(tiny_base).modules() if isinstance(layer, Linear4bit)]
    assert len(layers) == 7
    assert all(layer.weight.quant_type == "nf4" and layer.weight.compress_statistics for layer in layers)


def test_a_base_that_is_marked_so_is_held_whole(tiny_base: Path, tmp_path: Path) -> None:
    whole = Path(shutil.copytree(tiny_base, tmp_path / "whole"))
    loading.mark(whole, four_bit=False)
    model = loading.load_model(whole)
    assert not [layer for layer in model.modules() if isinstance(layer, Linear4bit)]
    assert {weight.dtype for weight in model.parameters()} == {loading.FAST}
    loading.mark(whole, four_bit=True)
    assert [layer for layer in loading.load_model(whole).modules() if isinstance(layer, Linear4bit)]


def test_a_folder_that_is_no_model_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(PricewrightError, match="does not load as AutoModelForCausalLM"):
        loading.load_model(tmp_path)
