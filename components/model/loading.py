"""A base model and its tokenizer from a local folder: safetensors only, no code of a repository is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)
from transformers.utils import logging as transformers_logging

from components.core.errors import PricewrightError

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()

ON_GPU = torch.cuda.is_available()
COMPUTE = torch.bfloat16 if ON_GPU and torch.cuda.is_bf16_supported() else torch.float32
BFLOAT16 = COMPUTE is torch.bfloat16 if ON_GPU else torch.ops.mkldnn._is_mkldnn_bf16_supported()
FOUR_BIT = {  # NF4 with double quantization, arXiv:2305.14314
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "bnb_4bit_compute_dtype": COMPUTE,
}
WHOLE = "not_in_four_bit"
"""The mark of a base that is held as it is; one without it, such as a judge's, is held in NF4."""
seed_everything = set_seed


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in `folder`, padding with the end-of-text token where it has none of its own."""
    tokenizer = loaded(AutoTokenizer, folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(base: Path) -> PreTrainedModel:
    """The language model in `base`, as it is adapted too, see `held`; ready to predict."""
    return held(AutoModelForCausalLM, base).eval()


def load_whole(base: Path) -> PreTrainedModel:
    """The language model in `base` in float32, on a GPU too; ready to predict."""
    model = loaded(AutoModelForCausalLM, base, **weights(torch.float32))
    return model.eval()


def mark(folder: Path, name: str, value: bool) -> None:
    """Write a property of a model into its config.json, so that whatever loads it agrees."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {name: value}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def marked(folder: Path, name: str) -> bool:
    """What `mark` wrote; False for a model without that mark, or without a config.json."""
    path = folder / "config.json"
    return path.is_file() and bool(json.loads(path.read_text(encoding="utf-8")).get(name))


def held(kind: Any, base: Path, **options: Any) -> Any:
    """The base as it is adapted and read, by its mark: its linear layers in NF4 (QLoRA), or all of it as it
    is, computing in bfloat16 where the processor can.
    """
    if not marked(base, WHOLE):
        options["quantization_config"] = BitsAndBytesConfig(**FOUR_BIT)
        return loaded(kind, base, **weights(COMPUTE), **options)
    return in_bfloat16(loaded(kind, base, **weights(torch.float32), **options))


def in_bfloat16(model: Any) -> Any:
    """The same model, which multiplies in bfloat16 between its embeddings and its head from now on, where
    the processor has it: twice as fast on a CPU. Weights, sums, norms and the head stay in float32: in
    bfloat16 alone every eighth answer of a trial moved by more than 5%, so every fiftieth.
    """
    if BFLOAT16:
        layers = model.base_model
        layers.forward = torch.autocast(model.device.type, torch.bfloat16)(layers.forward)
    return model


def size_bytes(folder: Path) -> int:
    """Of the weights that are written there."""
    return sum(file.stat().st_size for kind in ("safetensors", "gguf") for file in folder.glob(f"*.{kind}"))


def weights(dtype: torch.dtype | str) -> dict[str, Any]:
    """Options of `from_pretrained`: the type of the weights ("auto": as they were written), and where to."""
    return {"dtype": dtype, "use_safetensors": True, "device_map": {"": 0} if ON_GPU else None}


def loaded(kind: Any, folder: Path, **options: Any) -> Any:
    """`from_pretrained` on a local folder, with a clear error."""
    try:
        return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise broken(folder, kind.__name__, error) from error


def broken(folder: Path, what: str, error: Exception) -> PricewrightError:
    reason = str(error).strip().splitlines()[0]
    return PricewrightError(
        f"{folder} does not load as {what}: {reason}. Run `dvc checkout`, or the stage again"
    )
