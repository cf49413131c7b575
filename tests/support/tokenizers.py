"""Small tokenizers that split numbers as those of several model families do."""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from components.model.prompt import price_prompt
from tests.support.project import QUESTION

FAMILIES = ("digits", "threes", "metaspace")
"""SmolLM and Qwen; Llama 3; Llama 2 and Gemma."""
NUMBERS = " ".join(f"{number} $" for number in range(1300))
TEXTS = [price_prompt(f"Oak desk, {number} kg", QUESTION) + f"{number} dollars" for number in range(120)] * 3


def trained_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A BPE tokenizer, trained here, that splits numbers as a family of models does."""
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=family == "metaspace"))
    special = ["<unk>", "<end>"]
    if family == "metaspace":  # a word carries the space before it, and so does the first
        core.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split("\n", "isolated"),
                pre_tokenizers.Metaspace(prepend_scheme="first"),
                pre_tokenizers.Digits(individual_digits=True),
            ]
        )
        core.decoder = decoders.Metaspace(prepend_scheme="first")
    else:
        three = r"\p{N}{1,3}|[^\s\p{N}]+|\s+(?!\S)|\s"
        split = {
            "digits": pre_tokenizers.Digits(individual_digits=True),  # SmolLM, Qwen
            "threes": pre_tokenizers.Split(Regex(three), "isolated"),  # Llama 3
        }[family]
        core.pre_tokenizer = pre_tokenizers.Sequence(
            [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=family == "digits")]
        )
        core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=2200, special_tokens=special, show_progress=False)
    core.train_from_iterator([*TEXTS, NUMBERS], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", unk_token="<unk>")
