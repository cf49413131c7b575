"""Small tokenizers that split numbers as those of several model families do."""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from components.model.prompt import prompt_of
from tests.support.project import TASK

FAMILIES = ("digits", "threes", "metaspace")
"""SmolLM and Qwen; Llama 3; Llama 2 and Gemma."""
NUMBERS = " ".join(f"{number} $" for number in range(1300))
TEXTS = [prompt_of(f"Oak desk, {number} kg", TASK) + f"{number} dollars" for number in range(120)] * 3


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


LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
NUMBERS_OF = {"llama3": r"\p{N}{1,3}", "qwen": r"\p{N}"}
KINDS = ("llama2", "llama3", "qwen", "smollm")
"""With the rules of these models' own tokenizer.json: what they split before they merge."""
ENDINGS = ("four oak legs.", "model 4470", "in a box (new)")


def tokenizer_of(kind: str) -> PreTrainedTokenizerFast:
    """A BPE tokenizer with the rules of a model, trained here on listings that end in all of ENDINGS."""
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=kind == "llama2"))
    if kind == "llama2":  # as sentencepiece learns it: no piece goes on after a space, each digit is one
        words = pre_tokenizers.Metaspace(prepend_scheme="first")
        digits = pre_tokenizers.Digits(individual_digits=True)
        core.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split("\n", "isolated"), words, digits])
        core.decoder = decoders.Metaspace(prepend_scheme="first")
    else:
        rule = pre_tokenizers.Digits(individual_digits=True)
        if kind in NUMBERS_OF:
            rule = pre_tokenizers.Split(Regex("|".join([LETTERS, NUMBERS_OF[kind], REST])), "isolated")
        by_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind == "smollm")
        core.pre_tokenizer = pre_tokenizers.Sequence([rule, by_bytes])
        core.decoder = decoders.ByteLevel()
    texts = [prompt_of(f"Desk {number}, {ending}", TASK) for number in range(40) for ending in ENDINGS]
    special = ["<unk>", "<s>", "<end>"]
    alphabet = [] if kind == "llama2" else pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1500, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator([*texts * 4, NUMBERS], trainer)
    if kind == "llama2":  # and as it is used: pieces merge wherever they meet
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    if kind.startswith("llama"):
        first = [("<s>", core.token_to_id("<s>"))]
        core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=first)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<end>", unk_token="<unk>", model_max_length=512
    )
