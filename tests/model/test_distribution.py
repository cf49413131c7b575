"""Prompt, completion, parser and the price distribution."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from components.model import distribution, loading
from components.model.distribution import POINT_ESTIMATES, price_distribution, quantile
from components.model.prompt import (
    ANSWER,
    few_shot_prompt,
    parse_completion,
    price_completion,
    price_prompt,
)
from components.model.tokens import PriceTree, completion_ids, prompt_ids, truncate_prompt
from tests.support.project import QUESTION


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("123", 123.0),
        (" 9 or so", 9.0),
        ("$1,299.50", 1299.5),
        ("12345", 12345.0),
        ("about 5", None),
        ("", None),
        ("-4", None),
    ],
)
def test_a_completion_is_read_or_is_unparsed_but_never_zero(text: str, price: float | None) -> None:
    assert parse_completion(text) == price


@pytest.mark.parametrize(("price", "text"), [(1.4, "1"), (1.5, "2"), (2.5, "3"), (998.99, "999")])
def test_a_price_is_rounded_half_up(price: float, text: str) -> None:
    assert price_completion(price) == text


def test_every_completion_parses_to_its_price() -> None:
    assert all(parse_completion(price_completion(price)) == price for price in range(1000))


def test_no_prompt_ends_in_a_space() -> None:
    assert not price_prompt("a chair ", QUESTION).endswith(" ")


def test_a_few_shot_prompt_holds_its_examples_and_ends_in_the_question() -> None:
    text = few_shot_prompt("a lamp", [("a chair", 40.2), ("a desk", 99.0)], QUESTION)
    assert "a chair\n\nPrice is $40\n\n" in text
    assert text.endswith(price_prompt("a lamp", QUESTION))


def test_a_long_prompt_loses_the_end_of_the_listing_and_nothing_else(tiny_base: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    ids = prompt_ids(tokenizer, price_prompt("word " * 200, QUESTION), 40)
    assert len(ids) == 40
    text = tokenizer.decode(ids)
    assert text.startswith(QUESTION)
    assert text.endswith(ANSWER)
    short = price_prompt("a chair", QUESTION)
    assert tokenizer.decode(prompt_ids(tokenizer, short, 40)) == short
    assert (
        len(tokenizer(truncate_prompt(tokenizer, price_prompt("word " * 200, QUESTION), 40)).input_ids) <= 40
    )


def test_prices_are_single_tokens_of_the_embedded_tokenizer(tiny_base: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    tree = PriceTree(tokenizer, 999)
    assert tree.paths == [()]
    assert len({token for _, token in tree.ends}) == 1000


def character_model(digits_per_token: int) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """A random Llama over a small vocabulary whose numbers are split into groups of digits."""
    pieces = ["<end>", "$", ":", "\n", " ", *"abcdefghijklmnopqrstuvwxyzPH?", *"0123456789"]
    if digits_per_token > 1:
        pieces += [str(number) for number in range(10, 10**digits_per_token)]
    core = Tokenizer(models.WordLevel({piece: place for place, piece in enumerate(pieces)}, unk_token=":"))
    pattern = Regex(rf"\p{{N}}{{1,{digits_per_token}}}|.|\n")
    core.pre_tokenizer = pre_tokenizers.Split(pattern, "isolated")
    core.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", pad_token="<end>")
    return random_model(len(tokenizer)), tokenizer


def random_model(vocabulary: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=256,
        initializer_range=0.4,
    )
    return LlamaForCausalLM(config).eval()


def brute_force(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompt: str,
    prices: list[int],
    possible: set[int],
) -> np.ndarray:
    """The probability of each of `prices`, one forward pass for each, from the definition, not scaled."""
    requests = prompt_ids(tokenizer, prompt, 128)
    digits = [
        token
        for token, piece in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer))))
        if piece[0].isdigit()
    ]
    starts = {tuple(completion_ids(tokenizer, str(price))) for price in possible}
    masses = []
    for price in prices:
        answer = completion_ids(tokenizer, str(price))
        with torch.no_grad():
            steps = model(torch.tensor([requests + answer])).logits[0, len(requests) - 1 :].softmax(-1)
        mass = float(np.prod([steps[place, token].item() for place, token in enumerate(answer)]))
        if any(other[: len(answer)] == tuple(answer) and other != tuple(answer) for other in starts):
            mass *= 1 - steps[-1, digits].sum().item()
        masses.append(mass)
    return np.array(masses)


@pytest.mark.parametrize(("digits_per_token", "price_max"), [(1, 120), (2, 120), (2, 99)])
def test_the_tree_equals_the_brute_force_sum(digits_per_token: int, price_max: int) -> None:
    model, tokenizer = character_model(digits_per_token)
    prompts = [price_prompt("a chair", QUESTION), price_prompt("a much longer lamp", QUESTION)]
    result = price_distribution(
        model, tokenizer, prompts, price_max=price_max, prompt_tokens=128, batch_size=2, title="test"
    )
    for row, prompt in enumerate(prompts):
        masses = brute_force(model, tokenizer, prompt, list(range(price_max + 1)), set(range(price_max + 1)))
        np.testing.assert_allclose(result[row], masses / masses.sum(), rtol=2e-3, atol=1e-7)


def test_the_tree_is_the_sum_over_every_completion_that_the_vocabulary_can_spell() -> None:
    """All completions of as many tokens as the longest price, each with its own forward pass."""
    model, tokenizer = character_model(1)
    requests = prompt_ids(tokenizer, price_prompt("a lamp", QUESTION), 128)
    width, masses = 2, np.zeros(100)
    with torch.no_grad():
        first = model(torch.tensor([requests])).logits[0, -1].softmax(-1)
        after = [[*requests, token] for token in range(len(tokenizer))]
        second = model(torch.tensor(after)).logits[:, -1].softmax(-1)
    for spelled in itertools.product(range(len(tokenizer)), repeat=width):
        number = re.match(r"0|[1-9]\d*", tokenizer.decode(list(spelled)))
        if number:
            masses[int(number.group())] += (first[spelled[0]] * second[spelled]).item()
    result = price_distribution(
        model,
        tokenizer,
        [price_prompt("a lamp", QUESTION)],
        price_max=99,
        prompt_tokens=128,
        batch_size=1,
        title="test",
    )
    np.testing.assert_allclose(result[0], masses / masses.sum(), rtol=1e-3)


NUMBERS = " ".join(f"{number} $" for number in range(1300))
TEXTS = [price_prompt(f"Oak desk, {number} kg", QUESTION) + f"{number} dollars" for number in range(120)] * 3


def trained(kind: str) -> PreTrainedTokenizerFast:
    """A BPE tokenizer, trained here, that treats numbers as a family of models does."""
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=kind == "metaspace"))
    special = ["<unk>", "<end>"]
    if kind == "metaspace":  # Llama 2, Gemma: a word carries the space before it, so does the first one
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
        }[kind]
        core.pre_tokenizer = pre_tokenizers.Sequence(
            [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind == "digits")]
        )
        core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=2200, special_tokens=special, show_progress=False)
    core.train_from_iterator([*TEXTS, NUMBERS], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", unk_token="<unk>")


@pytest.mark.parametrize(
    ("kind", "price_max", "nodes"), [("digits", 1203, 121), ("threes", 1203, 22), ("metaspace", 120, 13)]
)
def test_prices_are_read_through_the_tokenizers_of_other_families(
    kind: str, price_max: int, nodes: int
) -> None:
    tokenizer = trained(kind)
    model = random_model(len(tokenizer))
    tree = PriceTree(tokenizer, price_max)
    assert len(tree.paths) == nodes
    texts = [price_prompt("Oak desk, 4 kg", QUESTION), price_prompt("desk", QUESTION)]
    result = price_distribution(
        model, tokenizer, texts, price_max=price_max, prompt_tokens=64, batch_size=2, title="test"
    )
    some = [0, 1, 9, 12, 99, 100, 120, *((1000, 1203) if price_max > 999 else ())]
    for row, text in enumerate(texts):
        expected = brute_force(model, tokenizer, text, some, set(range(price_max + 1)))
        np.testing.assert_allclose(result[row][some] / result[row][1], expected / expected[1], rtol=2e-3)


@pytest.mark.parametrize("kind", ["digits", "threes", "metaspace"])
def test_a_prompt_has_the_tokens_that_its_text_has(kind: str) -> None:
    tokenizer = trained(kind)
    text = price_prompt("Oak desk, 4 kg", QUESTION)
    assert prompt_ids(tokenizer, text, 512) == tokenizer(text).input_ids
    whole = tokenizer(text + "128").input_ids
    assert prompt_ids(tokenizer, text, 512) + completion_ids(tokenizer, "128") == whole


def test_a_number_does_not_go_on_after_a_space() -> None:
    state = json.loads(trained("metaspace").backend_tokenizer.to_str())
    spaced = len(state["model"]["vocab"])
    state["model"]["vocab"]["▁5"] = spaced
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state)))
    assert tokenizer.decode([spaced]) == "5", "alone it reads like a digit"
    digits = PriceTree(tokenizer, 99).digits
    assert sorted(tokenizer.convert_ids_to_tokens(digits)) == list("0123456789")


def test_a_vocabulary_too_large_for_the_memory_is_read_in_smaller_batches(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = character_model(1)
    prompts = [price_prompt(text, QUESTION) for text in ("a chair", "a lamp", "a desk")]
    options = {"price_max": 99, "prompt_tokens": 64, "batch_size": 3, "title": "test"}
    together = price_distribution(model, tokenizer, prompts, **options)
    passes = []
    model.register_forward_pre_hook(
        lambda *observed: passes.append(len(observed[2]["input_ids"])), with_kwargs=True
    )
    monkeypatch.setattr(
        distribution, "LOGITS_MAX", 11 * len(tokenizer) * 2
    )  # two rows of the tree's eleven nodes
    apart = price_distribution(model, tokenizer, prompts, **options)
    assert passes == [1, 2, 1], "what all begin with, and then the rest"
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-8)


def test_a_batch_gives_what_its_rows_give_one_by_one(tiny_base: Path) -> None:
    tokenizer, model = loading.load_tokenizer(tiny_base), loading.load_model(tiny_base, four_bit=False)
    prompts = [
        price_prompt(text, QUESTION) for text in ("a chair", "a very much longer text about a lamp", "x")
    ]
    options = {"price_max": 999, "prompt_tokens": 64, "title": "test"}
    together = price_distribution(model, tokenizer, prompts, batch_size=3, **options)
    for row, prompt in enumerate(prompts):
        alone = price_distribution(model, tokenizer, [prompt], batch_size=1, **options)
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(together.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("family", ["single tokens", "digits"])
def test_what_all_prompts_begin_with_goes_through_the_model_once(tiny_base: Path, family: str) -> None:
    model, tokenizer = character_model(1)
    if family == "single tokens":
        model, tokenizer = loading.load_model(tiny_base, four_bit=False), loading.load_tokenizer(tiny_base)
    texts = ("a chair", "a much longer text about a lamp", "a", "a chair")
    shots = [("a lamp with a shade", 35.0), ("a rug", 60.0)]
    prompts = [few_shot_prompt(text, shots, QUESTION) for text in texts]
    options = {"price_max": 99, "prompt_tokens": 512, "title": "test"}
    alone = [price_distribution(model, tokenizer, [text], batch_size=1, **options) for text in prompts]
    widths = []
    model.register_forward_pre_hook(
        lambda *observed: widths.append(observed[2]["input_ids"].shape[1]), with_kwargs=True
    )
    together = price_distribution(model, tokenizer, prompts, batch_size=2, **options)
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-3, atol=1e-7)
    assert len(widths) == 3
    assert widths[0] > max(widths[1:]), "the examples are read once, not in every batch"


def test_quantiles_are_the_smallest_price_that_reaches_them() -> None:
    distribution = np.array([[0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0]])
    assert quantile(distribution, 0.5).tolist() == [2.0, 0.0]
    assert quantile(distribution, 0.1).tolist() == [0.0, 0.0]
    assert quantile(distribution, 1.0).tolist() == [3.0, 0.0]


def test_mean_and_mode_are_there_for_who_asks_for_them() -> None:
    distribution = np.array([[0.4, 0.1, 0.2, 0.3], [np.nan] * 4])
    message = {name: point(distribution) for name, point in POINT_ESTIMATES.items()}
    assert {name: values[0] for name, values in message.items()} == pytest.approx(
        {"median": 1.0, "mean": 1.4, "mode": 0.0}
    )
    assert all(np.isnan(values[1]) for values in message.values())


def test_a_model_that_answers_nan_has_no_price_rather_than_0_dollars() -> None:
    assert np.isnan(quantile(np.array([[np.nan, np.nan], [0.0, 1.0]]), 0.5)).tolist() == [True, False]


def test_a_tokenizer_that_glues_numbers_to_the_dollar_sign_is_refused(
    tiny_base: Path, tmp_path: Path
) -> None:
    state = json.loads((tiny_base / "tokenizer.json").read_text(encoding="utf-8"))
    state["model"]["vocab"]["$1"] = len(state["model"]["vocab"])
    state["model"]["merges"].insert(0, ["$", "1"])
    state["pre_tokenizer"] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state)))
    with pytest.raises(Exception, match="glues '12' to the '\\$'"):
        completion_ids(tokenizer, "12")
