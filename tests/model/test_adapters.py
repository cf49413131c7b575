"""Adapters on an NF4 base: what trains, what is merged, what is saved."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.model import adapters, formats, loading
from components.model.prompt import prompt_of
from components.model.tokens import prompt_ids
from tests.support.project import ROOT, TASK

PROMPT = "Oak desk, four legs"


def logits(model: torch.nn.Module, base: Path) -> torch.Tensor:
    ids = prompt_ids(loading.load_tokenizer(base), prompt_of(PROMPT, TASK), 64)
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0, -1].float()


def test_only_the_adapter_trains(tiny_base: Path, tiny_params: Params) -> None:
    model = adapters.new_adapter(tiny_base, **tiny_params.sft.lora.model_dump())
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert len(trained) == 14
    assert all("lora_" in name for name in trained)
    shares = adapters.parameter_counts(model)
    assert 0 < shares["trained_parameters"] < shares["parameters"]


def test_on_a_base_in_bfloat16_adapter_and_head_are_float32_and_get_gradients(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    whole = Path(shutil.copytree(tiny_base, tmp_path / "whole"))
    loading.mark(whole, loading.WHOLE, True)
    model = adapters.load_reward_model(whole, tiny_adapter, 0)
    ids = prompt_ids(loading.load_tokenizer(whole), prompt_of(PROMPT, TASK), 64)
    model(input_ids=torch.tensor([ids])).logits.sum().backward()
    for name, weight in model.named_parameters():
        trains = "lora_" in name or "score.modules_to_save" in name
        assert weight.requires_grad == trains, name
        assert weight.dtype == (torch.float32 if trains else loading.COMPUTE), name
    head = next(weight for name, weight in model.named_parameters() if "score.modules" in name)
    assert head.grad is not None
    assert head.grad.abs().sum() > 0


def test_a_merged_model_has_the_logits_of_base_and_adapter_in_full_precision(
    tiny_base: Path, tiny_adapter: Path
) -> None:
    apart = adapters.load_adapter(loading.load_whole(tiny_base), tiny_adapter).eval()
    together = adapters.merge_adapter(tiny_base, tiny_adapter)
    torch.testing.assert_close(logits(together, tiny_base), logits(apart, tiny_base), rtol=1e-4, atol=1e-5)
    plain = loading.load_whole(tiny_base)
    assert not torch.allclose(logits(plain, tiny_base), logits(apart, tiny_base), atol=1e-3)


def test_a_continued_adapter_starts_where_the_trained_one_ended(tiny_base: Path, tiny_adapter: Path) -> None:
    trained = adapters.load_adapted(tiny_base, tiny_adapter)
    torch.testing.assert_close(
        logits(adapters.resume_adapter(tiny_base, tiny_adapter).eval(), tiny_base), logits(trained, tiny_base)
    )


def test_a_reward_model_trains_adapter_and_head_from_the_sft_weights(
    tiny_base: Path, tiny_adapter: Path
) -> None:
    model = adapters.load_reward_model(tiny_base, tiny_adapter, 0)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert any("score" in name for name in trained)
    sft = dict(adapters.load_adapted(tiny_base, tiny_adapter).named_parameters())
    weights = dict(model.named_parameters())
    name = next(name for name in sft if "lora_B" in name)
    assert torch.equal(weights[name].float(), sft[name].float())
    assert sft[name].abs().sum() > 0


def test_an_adapter_cut_short_is_a_clear_error(tiny_base: Path, tiny_adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_bytes((tiny_adapter / "adapter_config.json").read_bytes())
    weights = (tiny_adapter / "adapter_model.safetensors").read_bytes()
    (tmp_path / "adapter_model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(PricewrightError, match="does not load as adapter"):
        adapters.load_adapted(tiny_base, tmp_path)


def test_a_folder_without_a_score_head_is_no_reward_model(tiny_base: Path, tiny_adapter: Path) -> None:
    with pytest.raises(PricewrightError, match="no score head"):
        adapters.load_policy(tiny_base, tiny_adapter, tiny_adapter)


SAVE = """
import sys
from pathlib import Path
from components.model import adapters

model = adapters.resume_adapter(Path(sys.argv[1]), Path(sys.argv[2]))
adapters.save_adapter(model, Path(sys.argv[3]))
"""


def test_an_adapter_has_the_same_bytes_whichever_process_writes_it(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    written = []
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        arguments = [str(tiny_base), str(tiny_adapter), str(tmp_path / seed)]
        subprocess.run([sys.executable, "-c", SAVE, *arguments], env=environment, check=True)
        files = sorted((tmp_path / seed).iterdir())
        written.append({file.name: file.read_bytes() for file in files})
    assert written[0] == written[1]
    assert "adapter_config.json" in written[0]


def test_full_precision_is_float32_where_a_gpu_computes_in_bfloat16(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged = adapters.merge_adapter(tiny_base, tiny_adapter)
    monkeypatch.setattr(loading, "COMPUTE", torch.bfloat16)
    again = adapters.merge_adapter(tiny_base, tiny_adapter)
    again.save_pretrained(tmp_path)
    for left, right in zip(merged.parameters(), again.parameters(), strict=True):
        assert right.dtype is torch.float32
        assert torch.equal(left, right)
    assert {weight.dtype for weight in formats.quantized(tmp_path, "none").parameters()} == {torch.float32}
