"""A base model from a local folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from bitsandbytes.nn import Linear4bit

from components.core.errors import PricewrightError
from components.model import loading


def test_the_base_is_in_nf4_with_double_quantization(tiny_base: Path) -> None:
    layers = [layer for layer in loading.load_model(tiny_base).modules() if isinstance(layer, Linear4bit)]
    assert len(layers) == 7
    assert all(layer.weight.quant_type == "nf4" and layer.weight.compress_statistics for layer in layers)


def test_a_folder_that_is_no_model_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(PricewrightError, match="does not load as AutoModelForCausalLM"):
        loading.load_model(tmp_path)
