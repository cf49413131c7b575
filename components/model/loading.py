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
FAST = torch.bfloat16 if ON_GPU or torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32
"""In which a base that is not quantized computes: bfloat16 where the processor has it."""
FOUR_BIT = {  # NF4 with double quantization, arXiv:2305.14314
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "bnb_4bit_compute_dtype": COMPUTE,
}
MARK = "four_bit"
seed_everything = set_seed


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in `folder`, padding with the end-of-text token where it has none of its own."""
    tokenizer = loaded(AutoTokenizer, folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(base: Path) -> PreTrainedModel:
    """The language model in `base`, as it is adapted too, see `held`; ready to predict."""
    model = loaded(AutoModelForCausalLM, base, **held(base))
    return model.eval()


def load_whole(base: Path) -> PreTrainedModel:
    """The language model in `base` in float32, on a GPU too; ready to predict."""
    model = loaded(AutoModelForCausalLM, base, **weights(torch.float32))
    return model.eval()


def mark(base: Path, *, four_bit: bool) -> None:
    """Write whether it is held in NF4 into the config.json of `base`, so that whatever loads it agrees."""
    path = base / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {MARK: four_bit}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def in_four_bit(base: Path) -> bool:
    """What `mark` wrote; True for a model that nobody marked, such as a judge's."""
    path = base / "config.json"
    return bool(json.loads(path.read_text(encoding="utf-8")).get(MARK, True)) if path.is_file() else True


def held(base: Path) -> dict[str, Any]:
    """Options of `from_pretrained` with which a base is adapted and read: its linear layers in NF4 (QLoRA),
    or all of it in bfloat16 where the processor has that, by its mark.
    """
    if in_four_bit(base):
        return weights(COMPUTE) | {"quantization_config": BitsAndBytesConfig(**FOUR_BIT)}
    return weights(FAST)


def size_bytes(folder: Path) -> int:
    """Of the weights that are written there."""
    return sum(file.stat().st_size for kind in ("safetensors", "gguf") for file in folder.glob(f"*.{kind}"))


def weights(dtype: torch.dtype) -> dict[str, Any]:
    """Options of `from_pretrained` for weights that are not quantized."""
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
