"""A GGUF file as a base: its weights, its tokenizer with the right end of text, its card."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFWriter

from components.core.errors import PricewrightError
from components.model import loading
from components.pretrained import gguf
from tests.support.gguf_files import write_gguf


@pytest.fixture(scope="module")
def file(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tiny_base, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def converted(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    gguf.convert(file, folder, {"file": "tiny.gguf"})
    return folder


def test_the_weights_are_those_of_the_file_in_full_precision(tiny_base: Path, converted: Path) -> None:
    before, after = (loading.load_whole(folder) for folder in (tiny_base, converted))
    assert {weight.dtype for weight in after.parameters()} == {torch.float32}
    ids = torch.tensor([[5, 60, 400, 7]])
    with torch.inference_mode():
        left, right = (model(input_ids=ids).logits for model in (before, after))
    assert (left - right).abs().max() < 0.05 * left.abs().max(), "eight bits a weight"
    assert "quantization_config" not in json.loads((converted / "config.json").read_text(encoding="utf-8"))


def test_the_end_of_a_text_is_the_token_that_the_file_names(tiny_base: Path, converted: Path) -> None:
    """Read by transformers alone, it is the one that begins a text."""
    before, after = (loading.load_tokenizer(folder) for folder in (tiny_base, converted))
    assert (after.eos_token_id, after.pad_token_id) == (before.eos_token_id, before.eos_token_id)
    text = "A chair, 4 legs.\n\nPrice is $"
    assert after.decode(after(text).input_ids) == text


def test_only_safetensors_are_written_beside_a_card_with_licence_and_origin(converted: Path) -> None:
    assert {path.suffix for path in converted.iterdir()} <= {".json", ".safetensors", ".md", ".jinja"}
    card = (converted / "README.md").read_text(encoding="utf-8")
    assert "licence: apache-2.0" in card
    assert "file: tiny.gguf" in card


def test_a_file_that_is_not_there_or_cut_short_is_an_error(file: Path, tmp_path: Path) -> None:
    with pytest.raises(PricewrightError, match="there is no file"):
        gguf.convert(tmp_path / "gone.gguf", tmp_path / "out", {})
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(PricewrightError, match="no whole GGUF file"):
        gguf.convert(cut, tmp_path / "out", {})


def test_an_architecture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.gguf"
    writer = GGUFWriter(str(path), "perceptron")
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "b", "<end>"])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(2)
    writer.add_tensor("w", np.zeros((2, 2), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(PricewrightError, match="perceptron"):
        gguf.convert(path, tmp_path / "out", {})


def test_a_file_without_its_tokenizer_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "bare.gguf"
    writer = GGUFWriter(str(path), "llama")
    writer.add_tensor("w", np.zeros((2, 2), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(PricewrightError, match=r"says nothing of tokenizer.ggml.tokens, .*eos_token_id"):
        gguf.convert(path, tmp_path / "out", {})
