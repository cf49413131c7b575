"""NF4 base, adapters, merging."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bitsandbytes.nn import Linear4bit

from components import modeling, pricing
from components.params import Params
from components.records import PricewrightError

PROMPT = "Oak desk, four legs"


def logits(model: torch.nn.Module, base: Path) -> torch.Tensor:
    ids = pricing.prompt_ids(modeling.load_tokenizer(base), pricing.prompt(PROMPT), 64)
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0, -1].float()


def test_the_base_is_in_nf4_with_double_quantization(tiny_base: Path) -> None:
    layers = [layer for layer in modeling.load_model(tiny_base).modules() if isinstance(layer, Linear4bit)]
    assert len(layers) == 7
    assert all(layer.weight.quant_type == "nf4" and layer.weight.compress_statistics for layer in layers)


def test_only_the_adapter_trains(tiny_base: Path, tiny_params: Params) -> None:
    model = modeling.trainable(tiny_base, tiny_params.sft.lora)
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert len(trained) == 14
    assert all("lora_" in name for name in trained)
    shares = modeling.trained_share(model)
    assert 0 < shares["trained_parameters"] < shares["parameters"]


def test_a_merged_model_answers_like_base_and_adapter_in_full_precision(
    tiny_base: Path, tiny_adapter: Path
) -> None:
    apart = modeling.load_model(tiny_base, tiny_adapter, four_bit=False)
    together = modeling.merged(tiny_base, tiny_adapter)
    torch.testing.assert_close(logits(together, tiny_base), logits(apart, tiny_base), rtol=1e-4, atol=1e-5)
    plain = modeling.load_model(tiny_base, four_bit=False)
    assert not torch.allclose(logits(plain, tiny_base), logits(apart, tiny_base), atol=1e-3)


def test_a_continued_adapter_starts_where_the_trained_one_ended(tiny_base: Path, tiny_adapter: Path) -> None:
    trained = modeling.load_model(tiny_base, tiny_adapter)
    torch.testing.assert_close(
        logits(modeling.continued(tiny_base, tiny_adapter).eval(), tiny_base), logits(trained, tiny_base)
    )


def test_full_precision_undoes_the_rounding_of_a_trainer(tiny_base: Path, tiny_adapter: Path) -> None:
    model = modeling.continued(tiny_base, tiny_adapter)
    before = {name: weight.clone() for name, weight in model.named_parameters() if weight.requires_grad}
    with modeling.full_precision(model):
        for weight in model.parameters():
            if weight.requires_grad:
                weight.data = weight.data.to(torch.bfloat16)
    for name, weight in model.named_parameters():
        if name in before:
            assert weight.dtype is torch.float32
            assert torch.equal(weight, before[name])


def test_a_scorer_trains_adapter_and_head_from_the_sft_weights(tiny_base: Path, tiny_adapter: Path) -> None:
    model = modeling.scorer(tiny_base, tiny_adapter, 0)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert any("score" in name for name in trained)
    sft = dict(modeling.load_model(tiny_base, tiny_adapter).named_parameters())
    weights = dict(model.named_parameters())
    name = next(name for name in sft if "lora_B" in name)
    assert torch.equal(weights[name].float(), sft[name].float())
    assert sft[name].abs().sum() > 0


def test_a_folder_that_is_no_model_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(PricewrightError, match="does not load as AutoModelForCausalLM"):
        modeling.load_model(tmp_path)


def test_an_adapter_cut_short_is_a_clear_error(tiny_base: Path, tiny_adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_bytes((tiny_adapter / "adapter_config.json").read_bytes())
    weights = (tiny_adapter / "adapter_model.safetensors").read_bytes()
    (tmp_path / "adapter_model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(PricewrightError, match="does not load as adapter"):
        modeling.load_model(tiny_base, tmp_path)
