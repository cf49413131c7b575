"""Tokenizer, quantized base, adapters. The only importer of peft and bitsandbytes.

Weights are safetensors only, and no code of a model repository is ever run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from bitsandbytes.nn.modules import Linear4bit
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from peft.utils import load_peft_weights, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    set_seed,
)
from transformers.utils import logging as transformers_logging

from components.params import Lora
from components.records import PricewrightError
from components.tracking import Run

if TYPE_CHECKING:
    from datasets import Dataset  # a served model needs none

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

FORMATS = {
    "nf4": BitsAndBytesConfig(**FOUR_BIT),
    "int8": BitsAndBytesConfig(load_in_8bit=True),  # LLM.int8(), arXiv:2208.07339
    "none": None,
}
"""What transformers quantizes a served model to as it loads it; `none` is the merged model in full precision.
`w4a16` is llm-compressor's, `gguf` llama.cpp's."""
CONVERTER = "convert_hf_to_gguf.py"
GGUF = "model.gguf"

seed_everything = set_seed


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in `folder`, padding with the end-of-text token where it has none of its own."""
    tokenizer = _loaded(AutoTokenizer, folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(base: Path, adapter: Path | None = None, *, four_bit: bool = True) -> PreTrainedModel:
    """The causal language model in `base`, its linear layers in NF4 unless `four_bit` is off, with the
    adapter on top where one is named; ready to predict.
    """
    model = _loaded(AutoModelForCausalLM, base, **_weights(four_bit))
    if adapter is not None:
        model = with_adapter(model, adapter)
    return model.eval()


def write_quantized(merged: Path, folder: Path, kind: str) -> None:
    """Write the full-precision model in `merged` to `folder` in the format `kind` (see `Quantize.formats` in
    params.py), with its tokenizer. Raises PricewrightError where what the format needs is missing.
    """
    if kind == "gguf":
        _convert(merged, folder)
    else:
        made = _w4a16(merged) if kind == "w4a16" else quantized(merged, kind)
        made.save_pretrained(folder)
    load_tokenizer(merged).save_pretrained(folder)


def quantized(folder: Path, kind: str) -> PreTrainedModel:
    """The full-precision model in `folder`, its linear layers in the format `kind` of FORMATS."""
    options = _weights(False) | {"quantization_config": FORMATS[kind]}
    return _loaded(AutoModelForCausalLM, folder, **options).eval()


def _convert(merged: Path, folder: Path) -> None:
    """A GGUF file with weights of 8 bits (Q8_0), by llama.cpp's own converter."""
    converter = shutil.which(CONVERTER)
    if converter is None or find_spec("gguf") is None:
        raise PricewrightError(
            f"quantize.formats: gguf needs llama.cpp's {CONVERTER} on the PATH, and to load what it makes: "
            'pip install -c constraints.txt -e ".[gguf]"'
        )
    folder.mkdir(parents=True, exist_ok=True)
    command = [converter, str(merged), "--outfile", str(folder / GGUF), "--outtype", "q8_0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise PricewrightError(f"quantize.formats: {CONVERTER} cannot write this model as gguf: {said}")


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
    model = _loaded(AutoModelForCausalLM, folder, **_weights(False))
    recipe = QuantizationModifier(targets="Linear", scheme="W4A16", ignore=["lm_head"])
    try:
        return oneshot(model=model, recipe=recipe).eval()
    except (ValueError, RuntimeError) as error:
        raise PricewrightError(f"quantize.formats: this model cannot be had as w4a16: {error}") from error


def load_served(folder: Path) -> PreTrainedModel:
    """A model as `quantize` wrote it, in the format its config.json names or as GGUF, ready to predict."""
    if (folder / GGUF).is_file():
        return _loaded(AutoModelForCausalLM, folder, gguf_file=GGUF, dtype=COMPUTE).eval()
    return _loaded(AutoModelForCausalLM, folder, use_safetensors=True).eval()


def trainable(base: Path, lora: Lora) -> PeftModel:
    """The NF4 base with a fresh adapter on all linear layers, ready to train."""
    model = _loaded(AutoModelForCausalLM, base, **_weights(True))
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=ON_GPU)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def continued(base: Path, adapter: Path) -> PeftModel:
    """The NF4 base with a trained adapter that trains on."""
    model = _loaded(AutoModelForCausalLM, base, **_weights(True))
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=ON_GPU)
    return with_adapter(model, adapter, is_trainable=True)


def scorer(base: Path, adapter: Path, pad_token_id: int) -> PeftModel:
    """The NF4 base with a scalar head in place of the vocabulary's, and a trained adapter that trains on
    together with the head: the start of a reward model.
    """
    options = _weights(True) | {"num_labels": 1, "pad_token_id": pad_token_id}
    model = _loaded(AutoModelForSequenceClassification, base, **options)
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=ON_GPU)
    config = LoraConfig.from_pretrained(str(adapter))
    config.task_type, config.inference_mode = "SEQ_CLS", False  # without the task the head would never train
    model = get_peft_model(model, config)
    trained = load_file(adapter / "adapter_model.safetensors")
    loaded = model.load_state_dict(
        {re.sub(r"(lora_[AB])\.", r"\1.default.", name): weight for name, weight in trained.items()},
        strict=False,
    )
    if loaded.unexpected_keys:
        raise _broken(adapter, "adapter of this base", KeyError(loaded.unexpected_keys[0]))
    return model


def policy(base: Path, adapter: Path, reward: Path) -> tuple[PeftModel, torch.nn.Linear]:
    """One NF4 base with three adapters that take turns, and the scalar head of the last.

    `default` is the policy, starts at `adapter` and trains; `reference` is a frozen copy of it; `reward` is
    the frozen reward model. Dropout is off: the policy that is updated is to be the policy that sampled.
    """
    model = continued(base, adapter)
    _add_adapter(model, "reference", adapter)
    head = add_scorer(model, "reward", reward).requires_grad_(False)
    for module in model.modules():
        if isinstance(module, Linear4bit):  # else sampling packs it for a kernel that has no gradient
            module.support_avx512bf16_for_cpu = False
    switch(model, "default", frozen=False)
    return model, head


def add_scorer(model: PeftModel, part: str, reward: Path) -> torch.nn.Linear:
    """Put one more adapter on the model, at the reward model in `reward`; returns its scalar head."""
    head = _add_adapter(model, part, reward)
    if head is None:
        raise PricewrightError(f"{reward} has no score head: it is no reward model. Run that stage again")
    linear = torch.nn.Linear(head.shape[1], 1, bias=False, device=model.device)
    linear.weight.data.copy_(head)
    return linear


@contextmanager
def answering(model: PeftModel, part: str) -> Iterator[None]:
    """Let one adapter answer inside the block, without gradients; the policy trains on after it."""
    training = model.training
    switch(model, part, frozen=True)
    model.eval()
    with torch.no_grad():
        yield
    switch(model, "default", frozen=False)
    model.train(training)


def switch(model: PeftModel, part: str, *, frozen: bool) -> None:
    """Let the adapter `part` answer from now on; gradients reach it unless it is `frozen`."""
    model.set_adapter(part, inference_mode=frozen)


def weights_of(model: PeftModel, part: str) -> list[torch.nn.Parameter]:
    """The weights of one adapter, in the order of the layers."""
    return [weight for name, weight in model.named_parameters() if name.endswith(f".{part}.weight")]


@contextmanager
def full_precision(model: PeftModel) -> Iterator[None]:
    """Keep the adapter as it is while a TRL trainer is built on it.

    TRL rounds the trainable weights of a quantized model to bfloat16, which the small learning rates of
    alignment cannot move and a float32 head cannot be multiplied with.
    """
    before = {
        name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad
    }
    yield
    for name, weight in model.named_parameters():
        if name in before:
            weight.data = before[name]


def with_adapter(model: PreTrainedModel, adapter: Path, *, is_trainable: bool = False) -> PeftModel:
    """The model with a trained adapter on top, from a local folder."""
    try:
        return PeftModel.from_pretrained(model, str(adapter), is_trainable=is_trainable)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _broken(adapter, "adapter", error) from error


def merged(base: Path, adapter: Path) -> PreTrainedModel:
    """The base in full precision with the adapter added into its weights.

    Merging into 4-bit weights would round the adapter away: it moved logits by 0.18 in a trial.
    """
    return with_adapter(load_model(base, four_bit=False), adapter).merge_and_unload().eval()


def trainer_options(scratch: Path, seed: int) -> dict[str, Any]:
    """What every trainer has in common: where it runs, what it writes, no reporting of its own."""
    return {
        "output_dir": str(scratch),
        "seed": seed,
        "report_to": "none",
        "use_cpu": not ON_GPU,
        "bf16": ON_GPU and COMPUTE is torch.bfloat16,
        "gradient_checkpointing": ON_GPU,
        "logging_steps": 10,
        "save_only_model": False,
        "dataloader_pin_memory": ON_GPU,
    }


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write the trained adapter alone, as safetensors; a frozen reference beside it is left out."""
    model.save_pretrained(str(folder), safe_serialization=True, selected_adapters=["default"])
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty template


def trained_share(model: PeftModel) -> dict[str, int]:
    """How many parameters were trained, and how many there are."""
    trained, everything = model.get_nb_trainable_parameters()
    return {"trained_parameters": trained, "parameters": everything}


def size_bytes(folder: Path) -> int:
    """Of the weights that are written there."""
    return sum(file.stat().st_size for kind in ("safetensors", "gguf") for file in folder.glob(f"*.{kind}"))


class Curves(TrainerCallback):
    """Sends a trainer's log lines to the tracked run as curves, and keeps its `losses`, [{step, loss}]."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.losses: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        """Called by the trainer with each log line."""
        for name, value in (logs or {}).items():
            if isinstance(value, int | float):
                self.run.metric(f"curve.{name}", float(value), step=state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Called by the trainer as it ends; its state knows what was logged before a kill, too."""
        self.losses = [
            {"step": line["step"], "loss": line["loss"]} for line in state.log_history if "loss" in line
        ]


class QuietProgress(ProgressCallback):
    """A trainer's progress bar without the dictionary that it prints at every log line."""

    def on_log(self, *_: Any, **__: Any) -> None:
        """The curves are tracked."""


def train(
    kind: type[Trainer],
    model: PeftModel,
    rows: Dataset,
    options: Any,
    tokenizer: PreTrainedTokenizerBase,
    callbacks: list[TrainerCallback],
    checkpoint: str | None = None,
    **parts: Any,
) -> Trainer:
    """Train by one of TRL's trainers in full precision, from a checkpoint where one is named; returns it.

    `options` are those of its kind, `parts` whatever else it is made of.
    """
    with full_precision(model):
        trainer: Any = kind(
            model, args=options, train_dataset=rows, processing_class=tokenizer, callbacks=callbacks, **parts
        )
    for callback in list(trainer.callback_handler.callbacks):
        if isinstance(callback, ProgressCallback | PrinterCallback):
            trainer.remove_callback(callback)
    trainer.add_callback(QuietProgress())
    trainer.train(resume_from_checkpoint=checkpoint)
    return trainer


def _weights(four_bit: bool) -> dict[str, Any]:
    return {
        "dtype": COMPUTE,
        "use_safetensors": True,
        "device_map": {"": 0} if ON_GPU else None,
        "quantization_config": BitsAndBytesConfig(**FOUR_BIT) if four_bit else None,
    }


def _add_adapter(model: PeftModel, part: str, folder: Path) -> torch.Tensor | None:
    """Put one more trained adapter on the model; returns the weights of its scalar head if it has one."""
    try:
        config = LoraConfig.from_pretrained(str(folder))
        weights = load_peft_weights(str(folder), device="cpu")
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _broken(folder, "adapter", error) from error
    config.task_type, config.modules_to_save = "CAUSAL_LM", None
    head = next((weights.pop(name) for name in list(weights) if ".score." in name), None)
    model.add_adapter(part, config)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    set_peft_model_state_dict(model, weights, adapter_name=part)
    return head


def _loaded(kind: Any, folder: Path, **options: Any) -> Any:
    """`from_pretrained` on a local folder, with a clear error."""
    try:
        return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise _broken(folder, kind.__name__, error) from error


def _broken(folder: Path, what: str, error: Exception) -> PricewrightError:
    reason = str(error).strip().splitlines()[0]
    return PricewrightError(
        f"{folder} does not load as {what}: {reason}. Run `dvc checkout`, or the stage again"
    )
