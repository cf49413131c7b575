"""Low-rank adapters (arXiv:2106.09685) on a base, in NF4 or not: created, loaded, switched, merged, saved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.nn.modules import Linear4bit
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from peft.utils import load_peft_weights, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedModel

from components.core.errors import PricewrightError
from components.model.label_head import save_head
from components.model.loading import ON_GPU, WHOLE, broken, held, load_model, load_whole, marked

WEIGHTS = "adapter_model.safetensors"


def new_adapter(base: Path, *, rank: int, alpha: int, dropout: float, layers: float) -> PeftModel:
    """The base with a fresh adapter on all linear layers of the last share of `layers`, ready to train.

    Raises PricewrightError where that is not all of them and the base does not name them `layers`.
    """
    model = frozen(AutoModelForCausalLM, base)
    return get_peft_model(model, _config(model, base, layers, r=rank, lora_alpha=alpha, lora_dropout=dropout))


def new_classifier(
    base: Path, labels: int, pad_token_id: int, *, rank: int, alpha: int, dropout: float, layers: float
) -> PeftModel:
    """The same with a head for so many labels in float32 in place of the vocabulary's, which trains along."""
    options = {"num_labels": labels, "pad_token_id": pad_token_id}
    model: Any = frozen(AutoModelForSequenceClassification, base, **options)
    config = _config(model, base, layers, r=rank, lora_alpha=alpha, lora_dropout=dropout)
    config.task_type = "SEQ_CLS"  # without it the head would never train
    model = get_peft_model(model, config)
    _head_in_float32(model)
    return model


def _config(model: Any, base: Path, layers: float, **options: Any) -> LoraConfig:
    """Of an adapter on all linear layers of the last share of `layers`."""
    below = model.config.num_hidden_layers - max(round(layers * model.config.num_hidden_layers), 1)
    if below and not hasattr(model.base_model, "layers"):
        raise PricewrightError(f"sft.lora.layers is {layers}, but {base} names no layers; set it to 1.0")
    excluded = rf".*\.layers\.({'|'.join(map(str, range(below)))})\..*" if below else None
    return LoraConfig(target_modules="all-linear", exclude_modules=excluded, task_type="CAUSAL_LM", **options)


def _head_in_float32(model: PeftModel) -> None:
    for name, head in model.named_modules():
        if name.endswith("score.modules_to_save.default"):
            head.float().register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))


def resume_adapter(base: Path, adapter: Path) -> PeftModel:
    """The base with a trained adapter that trains on."""
    return load_adapter(frozen(AutoModelForCausalLM, base), adapter, is_trainable=True)


def frozen(kind: Any, base: Path, **options: Any) -> Any:
    """The base as it is held, see `loading.held`, without gradients of its own, ready for an adapter."""
    model: Any = held(kind, base, **options)
    if not marked(base, WHOLE):
        return prepare_model_for_kbit_training(model, use_gradient_checkpointing=ON_GPU)
    if ON_GPU:
        model.enable_input_require_grads()  # gradient checkpointing asks for it
    return model.requires_grad_(False)


def load_reward_model(base: Path, adapter: Path, pad_token_id: int) -> PeftModel:
    """The base with a scalar head in float32 in place of the vocabulary's, and a trained adapter that trains
    on together with the head: the start of a reward model.
    """
    options = {"num_labels": 1, "pad_token_id": pad_token_id}
    model: Any = frozen(AutoModelForSequenceClassification, base, **options)
    config = LoraConfig.from_pretrained(str(adapter))
    config.task_type, config.inference_mode = "SEQ_CLS", False  # without the task the head would never train
    model = get_peft_model(model, config)
    trained = load_file(adapter / WEIGHTS)
    result = model.load_state_dict(
        {re.sub(r"(lora_[AB])\.", r"\1.default.", name): weight for name, weight in trained.items()},
        strict=False,
    )
    if result.unexpected_keys:
        raise broken(adapter, "adapter of this base", KeyError(result.unexpected_keys[0]))
    _head_in_float32(model)
    return model


def load_policy(base: Path, adapter: Path, reward: Path) -> tuple[PeftModel, torch.nn.Linear]:
    """One base with three adapters that take turns, and the scalar head of the last.

    `default` is the policy, starts at `adapter` and trains; `reference` is a frozen copy of it; `reward` is
    the frozen reward model. Dropout is off: the policy that is updated is to be the policy that sampled.
    """
    model = resume_adapter(base, adapter)
    _add_adapter(model, "reference", adapter)
    head = add_reward_model(model, "reward", reward).requires_grad_(False)
    for module in model.modules():
        if isinstance(module, Linear4bit):  # else sampling packs it for a kernel that has no gradient
            module.support_avx512bf16_for_cpu = False
    activate(model, "default", frozen=False)
    return model, head


def add_reward_model(model: PeftModel, adapter: str, reward: Path) -> torch.nn.Linear:
    """Load the reward model in `reward` as one more adapter of that name; returns its scalar head."""
    head = _add_adapter(model, adapter, reward)
    if head is None:
        raise PricewrightError(f"{reward} has no score head: it is no reward model. Run that stage again")
    linear = torch.nn.Linear(head.shape[1], 1, bias=False, device=model.device)
    linear.weight.data.copy_(head)
    return linear


@contextmanager
def use_adapter(model: PeftModel, adapter: str) -> Iterator[None]:
    """One adapter is active inside the block, without gradients; after it `default` is, and trains on."""
    training = model.training
    activate(model, adapter, frozen=True)
    model.eval()
    with torch.no_grad():
        yield
    activate(model, "default", frozen=False)
    model.train(training)


def activate(model: PeftModel, adapter: str, *, frozen: bool) -> None:
    """Make an adapter the active one; gradients reach it unless it is `frozen`."""
    model.set_adapter(adapter, inference_mode=frozen)


def adapter_weights(model: PeftModel, adapter: str) -> list[torch.nn.Parameter]:
    """The weights of one adapter, in the order of the layers."""
    return [weight for name, weight in model.named_parameters() if name.endswith(f".{adapter}.weight")]


@contextmanager
def policy_at(model: PeftModel, weights: Sequence[torch.Tensor]) -> Iterator[None]:
    """The adapter `default` starts at `weights`, those of `adapter_weights`, inside the block, and may train
    there; after it, it is what it was before.
    """
    policy = adapter_weights(model, "default")
    before = [weight.detach().clone() for weight in policy]
    set_weights(model, weights)
    yield
    set_weights(model, before)


def set_weights(model: PeftModel, weights: Sequence[torch.Tensor]) -> None:
    """Copy weights, in the order of `adapter_weights`, into the adapter `default`."""
    for weight, other in zip(adapter_weights(model, "default"), weights, strict=True):
        weight.data.copy_(other)


def load_adapter(model: Any, adapter: Path, *, is_trainable: bool = False) -> PeftModel:
    """The model with a trained adapter on top, from a local folder."""
    try:
        return PeftModel.from_pretrained(model, str(adapter), is_trainable=is_trainable)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise broken(adapter, "adapter", error) from error


def load_adapted(base: Path, adapter: Path | None) -> PreTrainedModel | PeftModel:
    """The model in `base`, see `load_model`, with a trained adapter on top where one is named; ready to
    predict.
    """
    model: PreTrainedModel | PeftModel = load_model(base)
    if adapter is not None:
        model = load_adapter(model, adapter)
    return model.eval()


def merge_adapter(base: Path, adapter: Path) -> PreTrainedModel:
    """The base in float32, on a GPU too, with the adapter added into its weights.

    Merging into 4-bit weights would round the adapter away: it moved logits by 0.18 in a trial. bfloat16, in
    which a GPU computes, has eight bits for a sum of which the adapter is the smaller part.
    """
    return load_adapter(load_whole(base), adapter).merge_and_unload().eval()


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write the trained adapter alone, as safetensors; a frozen reference beside it is left out.

    PEFT keeps the names of the adapted layers as a set, whose order differs from process to process: they are
    sorted, so that the same adapter has the same bytes.
    """
    config: Any = model.peft_config["default"]
    config.target_modules = sorted(config.target_modules)
    model.save_pretrained(str(folder), safe_serialization=True, selected_adapters=["default"])
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty template


def save_classifier(model: PeftModel, folder: Path) -> None:
    """Write a classifier's adapter as that of a causal model, see `save_adapter`, and its head beside it."""
    save_adapter(model, folder)
    weights = load_file(folder / WEIGHTS)
    head = next(name for name in weights if ".score." in name)
    save_head(weights.pop(head), folder)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    config = LoraConfig.from_pretrained(str(folder))
    config.task_type, config.modules_to_save = "CAUSAL_LM", None
    config.target_modules = sorted(config.target_modules or [])
    config.save_pretrained(str(folder))


def parameter_counts(model: PeftModel) -> dict[str, int]:
    """How many parameters were trained, and how many there are."""
    trained, everything = model.get_nb_trainable_parameters()
    return {"trained_parameters": trained, "parameters": everything}


def _add_adapter(model: PeftModel, adapter: str, folder: Path) -> torch.Tensor | None:
    """Load a trained adapter under a name; returns the weights of its scalar head if it has one."""
    try:
        config = LoraConfig.from_pretrained(str(folder))
        weights = load_peft_weights(str(folder), device="cpu")
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise broken(folder, "adapter", error) from error
    config.task_type, config.modules_to_save = "CAUSAL_LM", None
    head = next((weights.pop(name) for name in list(weights) if ".score." in name), None)
    model.add_adapter(adapter, config)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    set_peft_model_state_dict(model, weights, adapter_name=adapter)
    return head
