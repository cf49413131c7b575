"""The served model answers like the merged one."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from components import quantize as stage_file
from components.blending import blended
from components.blending.blended import Answers
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.evaluation.calibration import Calibration
from components.model import adapters, formats, loading
from components.model.distribution import listing_distribution
from components.serving.pyfunc import Served, Settings
from tests.support.project import ROOT, asked, whole
from tests.support.regressions import DEPTHS, fitted_blend

TASK = asked(tokens=64, maximum=999)
TEXTS = ["Oak desk, four legs", "Wireless headphones with noise cancelling", "A 256GB drive"]
SETTINGS = Settings(
    task=TASK.section,
    batch_size=2,
    calibration=Calibration.uncalibrated(0.8),
)


def read(model: Any, tokenizer: Any, texts: list[str]) -> np.ndarray:
    return listing_distribution(model, tokenizer, texts, TASK, batch_size=2, title="test")


def test_the_written_model_answers_like_the_one_in_memory(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    stage_file.merge(tiny_base, tiny_adapter, tmp_path / "merged")
    sizes = stage_file.write_format(tmp_path / "merged", tmp_path / "served", "nf4")
    assert sizes["bytes_served"] < sizes["bytes_merged"]
    tokenizer = loading.load_tokenizer(tmp_path / "served")
    fresh = formats.load_served(tmp_path / "served")
    memory = loading.load_model(tmp_path / "merged")
    np.testing.assert_allclose(
        read(fresh, tokenizer, TEXTS),
        read(memory, tokenizer, TEXTS),
        atol=1e-5,
    )
    assert not list((tmp_path / "served").glob("*.bin"))


def test_format_none_is_the_merged_model(tiny_base: Path, tiny_adapter: Path, tmp_path: Path) -> None:
    stage_file.merge(tiny_base, tiny_adapter, tmp_path / "merged")
    stage_file.write_format(tmp_path / "merged", tmp_path / "served", "none")
    served = formats.load_served(tmp_path / "served")
    for parameter, merged in zip(
        served.parameters(), adapters.merge_adapter(tiny_base, tiny_adapter).parameters(), strict=True
    ):
        torch.testing.assert_close(parameter, merged)


def test_a_model_served_in_bfloat16_has_the_merged_weights_and_says_how_it_multiplies(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    stage_file.merge(tiny_base, tiny_adapter, tmp_path / "merged")
    stage_file.write_format(tmp_path / "merged", tmp_path / "served", "bfloat16")
    served = formats.load_served(tmp_path / "served")
    merged = adapters.merge_adapter(tiny_base, tiny_adapter)
    for left, right in zip(served.parameters(), merged.parameters(), strict=True):
        assert torch.equal(left, right)
    ids = torch.arange(5, 45)[None]
    with torch.inference_mode():
        same = torch.equal(served(ids).logits, merged(ids).logits)
    assert same != loading.BFLOAT16


def test_a_blend_is_written_whole_in_every_format_and_prices_like_its_parts(
    tiny_base: Path, tiny_adapter: Path, tiny_items: pd.DataFrame, tiny_params: Params, tmp_path: Path
) -> None:
    texts, prices = tiny_items["text"].tolist(), tiny_items["target"].to_numpy(float)
    base = loading.load_whole(tiny_base)
    blend = fitted_blend(texts, np.log(prices), base.config.hidden_size)
    blend.save(tmp_path / "blend")
    stage_file.merge(tiny_base, tiny_adapter, tmp_path / "merged", tmp_path / "blend")
    sizes = stage_file.write_format(tmp_path / "merged", tmp_path / "served", "nf4")
    assert sizes["bytes_served"] < sizes["bytes_merged"]
    assert sizes["bytes_merged"] == 2 * loading.size_bytes(tmp_path / "merged"), "two language models"
    [merged, served] = (
        Served(tmp_path / name, SETTINGS).distribution(texts, "test") for name in ("merged", "served")
    )
    tokenizer = loading.load_tokenizer(tiny_base)
    tuned = read(adapters.merge_adapter(tiny_base, tiny_adapter), tokenizer, texts)
    untuned = blended.untuned(base, tokenizer, texts, DEPTHS, TASK, SETTINGS.batch_size)
    expected = blend.distribution(Answers(texts, tuned, *untuned), TASK.answers)
    np.testing.assert_allclose(merged, expected, atol=1e-5)
    assert np.abs(served - merged).sum(axis=1).max() < 0.5
    assert not [
        file for file in (tmp_path / "served").rglob("*") if file.suffix in {".bin", ".pkl", ".joblib"}
    ]

    (tmp_path / "served" / "blend" / "blend.json").unlink()
    with pytest.raises(PricewrightError, match=r"blend\.json is missing"):
        Served(tmp_path / "served", SETTINGS)


OPTIONS: dict[str, Any] = {"moved": 0.05, "bootstrap": 200, "seed": 1}


def test_parity_is_measured_on_the_same_rows() -> None:
    true, merged = np.array([100.0, 200.0, 10.0]), np.array([110.0, 190.0, 10.0])
    result = stage_file.parity(
        true, merged, np.array([110.0, 170.0, 10.0]), np.arange(3), whole(999), **OPTIONS
    )
    assert (result["loss_merged"], result["loss_served"]) == pytest.approx((20 / 3, 40 / 3))
    assert (result["mean_change"], result["share_moved"]) == pytest.approx((20 / 3, 1 / 3))
    assert result["loss_change"] == pytest.approx(20 / 3, abs=1e-4)
    assert result["loss_change_low"] < result["loss_change"] < result["loss_change_high"]


def test_parity_counts_products_and_not_their_rows() -> None:
    generator = np.random.default_rng(4)
    true, change = np.full(60, 100.0), generator.normal(0, 9, 60)
    names = np.array([f"product {number}" for number in range(60)])
    once = stage_file.parity(true, true, true + change, names, whole(999), **OPTIONS)
    columns = (np.tile(column, 3) for column in (true, true, true + change, names))
    assert stage_file.parity(*columns, whole(999), **OPTIONS) == pytest.approx(once)


def test_a_price_that_only_the_merged_model_gives_has_moved() -> None:
    true = merged = np.array([100.0, 200.0])
    result = stage_file.parity(true, merged, np.array([100.0, np.nan]), np.arange(2), whole(999), **OPTIONS)
    assert (result["share_moved"], result["loss_change"]) == (0.5, 0.0)


GOOD = {
    "validation": {"loss_change_low": -0.3, "loss_change_high": 0.5, "share_moved": 0.02},
    "bytes_served": 40,
    "bytes_merged": 100,
}


@pytest.mark.parametrize(
    ("changed", "slower", "fault"),
    [
        ({}, 1.5, None),
        ({"loss_change_high": 1.2}, 1.5, r"between -0.30 and \+1.20, .*loss_tolerance"),
        ({"loss_change_low": -1.2}, 1.5, "loss_tolerance"),
        ({"loss_change_low": float("nan")}, 1.5, "loss_tolerance"),
        ({"share_moved": 0.2}, 1.5, "20.0% of the answers moved by more than 5%"),
        ({}, 99.0, "latency_ratio_max"),
    ],
)
def test_each_budget_stops_a_format_by_itself(
    params: Params, changed: dict[str, float], slower: float, fault: str | None
) -> None:
    result = stage_file.faults(
        GOOD | {"validation": GOOD["validation"] | changed}, slower, params.quantize, 2
    )
    assert len(result) == (fault is not None)
    assert fault is None or re.search(fault, result[0])
    assert stage_file.faults(GOOD | {"bytes_served": 101}, 1.0, params.quantize, 2)


def test_the_first_format_without_a_fault_is_served_and_the_others_are_only_reported() -> None:
    formats = {"nf4": {"faults": ["too far off"]}, "int8": {"faults": []}, "none": {"faults": []}}
    assert stage_file.chosen(formats) == "int8"
    assert stage_file.chosen({"nf4": formats["nf4"]}) is None
    assert "nf4: too far off" in stage_file._explain({"nf4": formats["nf4"]})


def test_int8_is_smaller_and_loads_afresh(tiny_base: Path, tiny_adapter: Path, tmp_path: Path) -> None:
    stage_file.merge(tiny_base, tiny_adapter, tmp_path / "merged")
    sizes = stage_file.write_format(tmp_path / "merged", tmp_path / "served", "int8")
    assert sizes["bytes_served"] < sizes["bytes_merged"]
    tokenizer = loading.load_tokenizer(tmp_path / "served")
    np.testing.assert_allclose(
        read(formats.load_served(tmp_path / "served"), tokenizer, TEXTS),
        read(formats.quantized(tmp_path / "merged", "int8"), tokenizer, TEXTS),
        atol=1e-5,
    )


def test_w4a16_is_what_vllm_loads_and_answers_nearly_the_same_from_a_quarter_of_the_bytes(
    tmp_path: Path,
) -> None:
    base = ROOT / "artifacts" / "base"
    formats.write_quantized(base, tmp_path, "w4a16")
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))["quantization_config"]
    assert (config["quant_method"], config["format"]) == ("compressed-tensors", "pack-quantized")
    tokenizer = loading.load_tokenizer(base)
    [fresh, whole] = (read(formats.load_served(folder), tokenizer, TEXTS) for folder in (tmp_path, base))
    assert 0 < np.abs(fresh - whole).sum(axis=1).max() < 0.5
    packed = [
        tensor for name, tensor in load_file(tmp_path / "model.safetensors").items() if "packed" in name
    ]
    assert {tensor.dtype for tensor in packed} == {torch.int32}
    assert loading.size_bytes(tmp_path) < 0.6 * loading.size_bytes(base), "embeddings stay as they are"


def test_a_model_whose_layers_are_too_narrow_for_w4a16_is_an_error_that_says_so(
    tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(PricewrightError, match="cannot be written as w4a16"):
        formats.write_quantized(tiny_base, tmp_path, "w4a16")


def test_w4a16_without_its_extra_names_the_mend(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llmcompressor", None)
    with pytest.raises(PricewrightError, match=r"pip install .*\[w4a16\]"):
        formats.write_quantized(tiny_base, tmp_path, "w4a16")


@pytest.fixture
def on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a script in the place of llama.cpp's converter, which is no Python package."""

    def put(script: str) -> None:
        converter = tmp_path / "bin" / formats.CONVERTER
        converter.parent.mkdir()
        converter.write_text(f"#!{sys.executable}\n{script}", encoding="utf-8")
        converter.chmod(0o755)
        monkeypatch.setenv("PATH", str(converter.parent))

    return put


def test_a_gguf_file_is_served_as_the_converter_wrote_it(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path, on_the_path: Callable[[str], None]
) -> None:
    on_the_path((ROOT / "tests" / "support" / "gguf_converter.py").read_text(encoding="utf-8"))
    served, merged = tmp_path / "served", tmp_path / "merged"
    stage_file.merge(tiny_base, tiny_adapter, merged)
    sizes = stage_file.write_format(merged, served, "gguf")
    assert sizes["bytes_served"] < 0.4 * sizes["bytes_merged"]
    assert not list(served.glob("*.safetensors"))
    tokenizer = loading.load_tokenizer(served)
    [fresh, whole] = (read(formats.load_served(folder), tokenizer, TEXTS) for folder in (served, merged))
    assert 0 < np.abs(fresh - whole).sum(axis=1).max() < 0.05


def test_gguf_without_its_converter_names_the_mend(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PricewrightError, match=r"gguf needs llama.cpp's convert_hf_to_gguf.py on the PATH"):
        formats.write_quantized(tiny_base, tmp_path / "served", "gguf")


def test_what_the_converter_says_of_a_model_that_it_does_not_know_is_passed_on(
    tiny_base: Path, tmp_path: Path, on_the_path: Callable[[str], None]
) -> None:
    on_the_path("raise NotImplementedError('BPE pre-tokenizer was not recognized')")
    with pytest.raises(PricewrightError, match="as gguf: .*pre-tokenizer was not recognized"):
        formats.write_quantized(tiny_base, tmp_path / "served", "gguf")


def test_an_export_with_two_tensors_swapped_is_caught(
    tiny_base: Path, tiny_adapter: Path, tiny_items: pd.DataFrame, params: Params, tmp_path: Path
) -> None:
    folder, merged_folder = tmp_path / "served", tmp_path / "merged"
    stage_file.merge(tiny_base, tiny_adapter, merged_folder)
    sizes = stage_file.write_format(merged_folder, folder, "none")
    items = tiny_items.assign(split=["validation", "test"] * (len(tiny_items) // 2))
    comparison = stage_file.Comparison(items, SETTINGS, params.quantize, params.evaluate)
    merged, _ = comparison.predict(merged_folder, "merged")

    def faults() -> list[str]:
        measured, _ = comparison.compare(merged, comparison.predict(folder, "served")[0])
        return stage_file.faults({**sizes, **measured}, 1.0, params.quantize, 2)

    assert faults() == []
    weights = load_file(folder / "model.safetensors")
    query, value = (next(name for name in weights if part in name) for part in ("q_proj", "v_proj"))
    weights[query], weights[value] = weights[value], weights[query]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert any("loss_tolerance" in fault or "moved" in fault for fault in faults())


def test_test_prices_move_neither_the_interval_nor_a_budget_and_those_of_validation_do(
    tiny_items: pd.DataFrame, params: Params
) -> None:
    items = tiny_items.assign(split=["validation", "test"] * (len(tiny_items) // 2))
    draw = np.random.default_rng(0)
    merged = draw.dirichlet(np.ones(1000), len(items))
    served = draw.dirichlet(np.ones(1000), len(items))
    outcomes = {}
    for changed in ("nothing", "validation", "test"):
        relabelled = items.assign(target=items["target"].where(items["split"] != changed, 990.0))
        comparison = stage_file.Comparison(relabelled, SETTINGS, params.quantize, params.evaluate)
        measured, calibration = comparison.compare(merged, served)
        sizes = {"bytes_served": 1, "bytes_merged": 1}
        outcomes[changed] = (calibration, stage_file.faults(measured | sizes, 1.0, params.quantize, 2))
    assert outcomes["test"] == outcomes["nothing"]
    assert outcomes["validation"] != outcomes["nothing"]
