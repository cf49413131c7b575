"""Prompt, completion, parser and the price distribution."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from components import modeling, pricing


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
    assert pricing.parse(text) == price


@pytest.mark.parametrize(("price", "text"), [(1.4, "1"), (1.5, "2"), (2.5, "3"), (998.99, "999")])
def test_a_price_is_rounded_half_up(price: float, text: str) -> None:
    assert pricing.completion(price) == text


def test_every_completion_parses_to_its_price() -> None:
    assert all(pricing.parse(pricing.completion(price)) == price for price in range(1000))


def test_no_prompt_ends_in_a_space() -> None:
    assert not pricing.prompt("a chair ").endswith(" ")


def test_a_few_shot_prompt_holds_its_examples_and_ends_in_the_question() -> None:
    text = pricing.few_shot("a lamp", [("a chair", 40.2), ("a desk", 99.0)])
    assert "a chair\n\nPrice is $40\n\n" in text
    assert text.endswith(pricing.prompt("a lamp"))


def test_a_long_prompt_loses_the_end_of_the_listing_and_nothing_else(tiny_base: Path) -> None:
    tokenizer = modeling.load_tokenizer(tiny_base)
    ids = pricing.prompt_ids(tokenizer, pricing.prompt("word " * 200), 40)
    assert len(ids) == 40
    text = tokenizer.decode(ids)
    assert text.startswith(pricing.QUESTION)
    assert text.endswith(pricing.ANSWER)
    short = pricing.prompt("a chair")
    assert tokenizer.decode(pricing.prompt_ids(tokenizer, short, 40)) == short
    assert len(tokenizer(pricing.cut(tokenizer, pricing.prompt("word " * 200), 40)).input_ids) <= 40


def test_prices_are_single_tokens_of_the_embedded_tokenizer(tiny_base: Path) -> None:
    tokenizer = modeling.load_tokenizer(tiny_base)
    tree = pricing.PriceTree(tokenizer, 999)
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
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=256,
        initializer_range=0.4,
    )
    return LlamaForCausalLM(config).eval(), tokenizer


def brute_force(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompt: str, price_max: int
) -> np.ndarray:
    """The probability of each price, one forward pass for each, from the definition."""
    asked = pricing.prompt_ids(tokenizer, prompt, 128)
    digits = [i for i in range(len(tokenizer)) if tokenizer.decode([i])[:1].isdigit()]
    starts = {tuple(pricing.completion_ids(tokenizer, str(price))) for price in range(price_max + 1)}
    masses = []
    for price in range(price_max + 1):
        answer = pricing.completion_ids(tokenizer, str(price))
        with torch.no_grad():
            steps = model(torch.tensor([asked + answer])).logits[0, len(asked) - 1 :].softmax(-1)
        mass = float(np.prod([steps[place, token].item() for place, token in enumerate(answer)]))
        if any(other[: len(answer)] == tuple(answer) and other != tuple(answer) for other in starts):
            mass *= 1 - steps[-1, digits].sum().item()
        masses.append(mass)
    return np.array(masses) / sum(masses)


@pytest.mark.parametrize(("digits_per_token", "price_max"), [(1, 120), (2, 120), (2, 99), (3, 1203)])
def test_the_tree_equals_the_brute_force_sum(digits_per_token: int, price_max: int) -> None:
    model, tokenizer = character_model(digits_per_token)
    prompts = [pricing.prompt("a chair"), pricing.prompt("a much longer lamp")]
    found = pricing.price_distribution(
        model, tokenizer, prompts, price_max=price_max, prompt_tokens=128, batch_size=2, title="test"
    )
    for row, prompt in enumerate(prompts):
        np.testing.assert_allclose(
            found[row], brute_force(model, tokenizer, prompt, price_max), rtol=2e-3, atol=1e-7
        )


def test_a_batch_gives_what_its_rows_give_one_by_one(tiny_base: Path) -> None:
    tokenizer, model = modeling.load_tokenizer(tiny_base), modeling.load_model(tiny_base, four_bit=False)
    prompts = [pricing.prompt(text) for text in ("a chair", "a very much longer text about a lamp", "x")]
    options = {"price_max": 999, "prompt_tokens": 64, "title": "test"}
    together = pricing.price_distribution(model, tokenizer, prompts, batch_size=3, **options)
    for row, prompt in enumerate(prompts):
        alone = pricing.price_distribution(model, tokenizer, [prompt], batch_size=1, **options)
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(together.sum(axis=1), 1, rtol=1e-5)


def test_quantiles_are_the_smallest_price_that_reaches_them() -> None:
    distribution = np.array([[0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0]])
    assert pricing.quantile(distribution, 0.5).tolist() == [2.0, 0.0]
    assert pricing.quantile(distribution, 0.1).tolist() == [0.0, 0.0]
    assert pricing.quantile(distribution, 1.0).tolist() == [3.0, 0.0]


def test_a_model_that_answers_nan_has_no_price_rather_than_0_dollars() -> None:
    assert np.isnan(pricing.quantile(np.array([[np.nan, np.nan], [0.0, 1.0]]), 0.5)).tolist() == [True, False]


def test_samples_come_in_the_order_of_their_prompts(tiny_base: Path) -> None:
    tokenizer, model = modeling.load_tokenizer(tiny_base), modeling.load_model(tiny_base, four_bit=False)
    prompts = [pricing.prompt("word " * length) for length in (1, 9, 4)]
    sampled = pricing.sample(
        model,
        tokenizer,
        prompts,
        completions=3,
        temperature=1e-4,
        prompt_tokens=64,
        batch_size=2,
        title="test",
    )
    for prompt, completions in zip(prompts, sampled, strict=True):
        ids = torch.tensor([pricing.prompt_ids(tokenizer, prompt, 64)])
        greedy = model.generate(ids, do_sample=False, max_new_tokens=8, pad_token_id=tokenizer.eos_token_id)
        expected = tokenizer.decode(greedy[0, ids.shape[1] :], skip_special_tokens=True)
        assert completions == [expected] * 3


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
        pricing.completion_ids(tokenizer, "12")
