"""A base model and its tokenizer from a local folder: safetensors only, no code of a repository is run."""

from __future__ import annotations

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
FOUR_BIT = {  # NF4 with double quantization, arXiv:2305.14314
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "bnb_4bit_compute_dtype": COMPUTE,
}
seed_everything = set_seed


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in `folder`, padding with the end-of-text token where it has none of its own."""
    tokenizer = loaded(AutoTokenizer, folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(base: Path, *, four_bit: bool = True) -> PreTrainedModel:
    """The language model in `base`, its linear layers in NF4 unless `four_bit` is off; ready to predict."""
    model = loaded(AutoModelForCausalLM, base, **weights(four_bit))
    return model.eval()


def size_bytes(folder: Path) -> int:
    """Of the weights that are written there."""
    return sum(file.stat().st_size for kind in ("safetensors", "gguf") for file in folder.glob(f"*.{kind}"))


def weights(four_bit: bool) -> dict[str, Any]:
    return {
        "dtype": COMPUTE,
        "use_safetensors": True,
        "device_map": {"": 0} if ON_GPU else None,
        "quantization_config": BitsAndBytesConfig(**FOUR_BIT) if four_bit else None,
    }


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
