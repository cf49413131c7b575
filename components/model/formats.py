"""The formats in which a merged model can be served, how each is written and loaded again."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from components.core.errors import PricewrightError
from components.model.loading import (
    COMPUTE,
    FOUR_BIT,
    in_bfloat16,
    load_tokenizer,
    loaded,
    mark,
    marked,
    weights,
)

BFLOAT16, MULTIPLIES = "bfloat16", "multiplies_in_bfloat16"
FORMATS = {
    "nf4": BitsAndBytesConfig(**FOUR_BIT),
    "int8": BitsAndBytesConfig(load_in_8bit=True),  # LLM.int8(), arXiv:2208.07339
    BFLOAT16: None,
    "none": None,
}
"""What transformers quantizes a served model to as it loads it; `none` is the merged model in full precision,
`bfloat16` the same, but that it multiplies in bfloat16 (see `loading.in_bfloat16`).
`w4a16` is llm-compressor's, `gguf` llama.cpp's."""
CONVERTER = "convert_hf_to_gguf.py"
GGUF = "model.gguf"


def write_quantized(merged: Path, folder: Path, name: str) -> None:
    """Write the full-precision model in `merged` to `folder` in the format of that name (see `formats` in
    core/params/quantize.py), with its tokenizer. Raises PricewrightError where a tool of that format is
    missing.
    """
    if name == "gguf":
        _convert(merged, folder)
    else:
        model = _w4a16(merged) if name == "w4a16" else quantized(merged, name)
        model.save_pretrained(folder)
        if name == BFLOAT16:
            mark(folder, MULTIPLIES, True)
    load_tokenizer(merged).save_pretrained(folder)


def quantized(folder: Path, name: str) -> PreTrainedModel:
    """The full-precision model in `folder`, its linear layers in a format of FORMATS."""
    options = weights(COMPUTE) | {"quantization_config": FORMATS[name]}
    if FORMATS[name] is None:
        options["dtype"] = torch.float32  # as it was merged, on a GPU too
    return loaded(AutoModelForCausalLM, folder, **options).eval()


def load_served(folder: Path) -> PreTrainedModel:
    """A model as `quantize` wrote it, in the format its config.json names or as GGUF, ready to predict."""
    if (folder / GGUF).is_file():
        return loaded(AutoModelForCausalLM, folder, gguf_file=GGUF, dtype=COMPUTE).eval()
    model = loaded(AutoModelForCausalLM, folder, **weights("auto")).eval()
    return in_bfloat16(model) if marked(folder, MULTIPLIES) else model


def _convert(merged: Path, folder: Path) -> None:
    """A GGUF file with weights of 8 bits (Q8_0), by llama.cpp's own converter."""
    converter = shutil.which(CONVERTER)
    if converter is None:
        raise PricewrightError(f"quantize.formats: gguf needs llama.cpp's {CONVERTER} on the PATH")
    folder.mkdir(parents=True, exist_ok=True)
    command = [converter, str(merged), "--outfile", str(folder / GGUF), "--outtype", "q8_0"]
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    if completed.returncode != 0:
        reason = (completed.stderr.strip() or f"exit code {completed.returncode}").splitlines()[-1]
        raise PricewrightError(f"quantize.formats: {CONVERTER} cannot write this model as gguf: {reason}")


def _w4a16(folder: Path) -> PreTrainedModel:
    """Weights of 4 bits in groups of 128, each rounded to the nearest, and activations as they are, written
    in the layout of compressed-tensors, which vLLM loads.
    """
    os.environ.setdefault("LLM_COMPRESSOR_LOG_DISABLED", "true")
    os.environ.setdefault("LOGURU_LEVEL", "ERROR")
    try:
        from llmcompressor import oneshot
        from llmcompressor.modifiers.quantization import QuantizationModifier
    except ImportError as error:
        raise PricewrightError(
            'quantize.formats: w4a16 needs llm-compressor: pip install -c constraints.txt -e ".[w4a16]"'
        ) from error
    model = loaded(AutoModelForCausalLM, folder, **weights(COMPUTE))
    recipe = QuantizationModifier(targets="Linear", scheme="W4A16", ignore=["lm_head"])
    try:
        return oneshot(model=model, recipe=recipe).eval()
    except (ValueError, RuntimeError) as error:
        raise PricewrightError(f"quantize.formats: this model cannot be written as w4a16: {error}") from error
