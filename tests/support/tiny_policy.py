"""A policy of one layer with an adapter, and an alignment task on it: trained in milliseconds a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Sequence, Split, WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback

from components.alignment.task import AlignmentTask
from components.model import training
from components.model.tokens import prompt_ids
from tests.support.project import whole
from tests.support.prompts import as_ids

WORDS = ["<end>", "question", "Price", "is", "$", *"abcdefgh"]


def words_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each of WORDS, of which the first is the end of a text."""
    plain = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<end>"))
    plain.pre_tokenizer = Sequence([WhitespaceSplit(), Split("$", "isolated")])
    return PreTrainedTokenizerFast(
        tokenizer_object=plain, eos_token="<end>", pad_token="<end>", model_max_length=64
    )


def task_on(
    tokenizer: PreTrainedTokenizerFast,
    prompts: pd.DataFrame,
    pairs: pd.DataFrame,
    scratch: Path,
    recorder: Any,
    monitor: TrainerCallback | None = None,
) -> AlignmentTask:
    """A task, of texts, whose model is a tiny Llama with an adapter, without a reward model."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.eos_token_id}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **ends, **sizes))
    model.lm_head.weight.data.mul_(10)  # else every token is as likely as any other
    adapter = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    tokenizer.pad_token = tokenizer.eos_token
    prompts, pairs = (as_ids(tokenizer, own) if len(own) else own for own in (prompts, pairs))
    return AlignmentTask(
        model=get_peft_model(model, adapter),
        tokenizer=tokenizer,
        pairs=pairs,
        prompts=prompts,
        reward_model=None,  # type: ignore[arg-type]
        reward=scratch,
        answers=whole(999),
        error_max=999.0,
        under_cost=1.0,
        scratch=scratch,
        curves=training.Curves(recorder),
        monitor=monitor or TrainerCallback(),  # type: ignore[arg-type]
    )


def one_word_task(
    scratch: Path, recorder: Any, pairs: pd.DataFrame | None = None, monitor: TrainerCallback | None = None
) -> AlignmentTask:
    """One prompt, whose completions are one of WORDS."""
    prompts = pd.DataFrame({"prompt": ["question"], "target": [1.0]})
    pairs = pd.DataFrame() if pairs is None else pairs
    return task_on(words_tokenizer(), prompts, pairs, scratch, recorder, monitor)


def log_probabilities(task: AlignmentTask, tail: list[int]) -> torch.Tensor:
    """Of each token after the prompt of `one_word_task` and a tail, float64 (tokens,)."""
    ids = prompt_ids(task.tokenizer, "question", 64) + tail
    with torch.no_grad():
        return task.model(input_ids=torch.tensor([ids])).logits[0, -1].double().log_softmax(0)
