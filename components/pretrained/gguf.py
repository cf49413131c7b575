"""A GGUF file as a model in the Hugging Face layout: what transformers reads of it, with two faults mended.

transformers 5.17 names the token that begins a text as its end, and hands out a model that cannot be saved:
its configuration still says that it is quantized. Both are put right from the file's own fields.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from components.core.errors import PricewrightError
from components.model.loading import loaded

TOKENS, END = "tokenizer.ggml.tokens", "tokenizer.ggml.eos_token_id"


def convert(file: Path, folder: Path, origin: dict[str, str]) -> dict[str, Any]:
    """Write the model in a GGUF file to `folder`, as safetensors in float32 with tokenizer and card.

    `origin` tells where the file came from, for card and report. Returns the report. Raises PricewrightError
    where there is no such file, where it is cut short, or where transformers cannot read its architecture.
    """
    fields = _fields(file)
    tokenizer = _tokenizer(file, fields)
    model = _model(file, fields["general.architecture"])
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    report = origin | {
        "licence": fields.get("general.license", "none stated"),
        "architecture": fields["general.architecture"],
        "parameters": model.num_parameters(),
    }
    (folder / "README.md").write_text(_card(fields.get("general.name", file.stem), report), encoding="utf-8")
    return report


def _fields(file: Path) -> dict[str, Any]:
    """The metadata of a GGUF file by name."""
    if not file.is_file():
        raise PricewrightError(f"base.model: there is no file {file}")
    try:
        fields = {name: field.contents() for name, field in GGUFReader(file).fields.items()}
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise PricewrightError(f"base.model: {file.name} is no whole GGUF file: {error}") from error
    if missing := [name for name in ("general.architecture", TOKENS, END) if name not in fields]:
        raise PricewrightError(
            f"{file.name} says nothing of {', '.join(missing)}: convert it anew, with its tokenizer"
        )
    return fields


def _tokenizer(file: Path, fields: dict[str, Any]) -> PreTrainedTokenizerBase:
    tokenizer = loaded(AutoTokenizer, file.parent, gguf_file=file.name)
    tokenizer.eos_token = fields[TOKENS][fields[END]]
    tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _model(file: Path, architecture: str) -> Any:
    """The model in float32, as one that was never quantized."""
    read = _loaded_model(file, architecture)
    config = read.config
    del config.quantization_config
    whole = AutoModelForCausalLM.from_config(config)
    whole.load_state_dict(read.state_dict())
    whole.generation_config.eos_token_id = config.eos_token_id
    return whole


def _loaded_model(file: Path, architecture: str) -> Any:
    try:
        return loaded(AutoModelForCausalLM, file.parent, gguf_file=file.name)
    except PricewrightError as error:
        raise PricewrightError(
            f"base.model: {file.name} (architecture {architecture}) cannot be read: {error}"
        ) from error


def _card(name: str, report: dict[str, Any]) -> str:
    lines = "\n".join(f"- {key}: {value}" for key, value in report.items())
    return (
        f"# {name}\n\n"
        "The base that a pricing model was adapted from, read from a GGUF file. Its weights are the values "
        f"that the file's quantized ones stand for, in float32.\n\n{lines}\n"
    )
