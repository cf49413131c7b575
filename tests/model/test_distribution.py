"""The price distribution: against brute force, in batches, through tokenizers of several families."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from components.model import distribution, loading
from components.model.distribution import answer_distribution, answer_masses, listing_distribution
from components.model.labels import Labels
from components.model.prompt import few_shot_prompt, prompt_of
from components.model.tokens import AnswerTree, completion_ids, prompt_ids
from tests.support.project import TASK, asked, whole
from tests.support.tokenizers import trained_tokenizer


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
    prompt_tokens = prompt_ids(tokenizer, prompt, 128)
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
            steps = (
                model(torch.tensor([prompt_tokens + answer])).logits[0, len(prompt_tokens) - 1 :].softmax(-1)
            )
        mass = float(np.prod([steps[place, token].item() for place, token in enumerate(answer)]))
        if any(start[: len(answer)] == tuple(answer) and start != tuple(answer) for start in starts):
            mass *= 1 - steps[-1, digits].sum().item()
        masses.append(mass)
    return np.array(masses)


@pytest.mark.parametrize(("digits_per_token", "price_max"), [(1, 120), (2, 120), (2, 99)])
def test_the_tree_equals_the_brute_force_sum(digits_per_token: int, price_max: int) -> None:
    model, tokenizer = character_model(digits_per_token)
    prompts = [prompt_of("a chair", TASK), prompt_of("a much longer lamp", TASK)]
    result = answer_distribution(
        model, tokenizer, prompts, whole(price_max).spelled, prompt_tokens=128, batch_size=2, title="test"
    )
    for row, prompt in enumerate(prompts):
        masses = brute_force(model, tokenizer, prompt, list(range(price_max + 1)), set(range(price_max + 1)))
        np.testing.assert_allclose(result[row], masses / masses.sum(), rtol=2e-3, atol=1e-7)


def test_the_tree_is_the_sum_over_every_completion_that_the_vocabulary_can_spell() -> None:
    """All completions of as many tokens as the longest price, each with its own forward pass."""
    model, tokenizer = character_model(1)
    prompt_tokens = prompt_ids(tokenizer, prompt_of("a lamp", TASK), 128)
    width, masses = 2, np.zeros(100)
    with torch.no_grad():
        first = model(torch.tensor([prompt_tokens])).logits[0, -1].softmax(-1)
        after = [[*prompt_tokens, token] for token in range(len(tokenizer))]
        second = model(torch.tensor(after)).logits[:, -1].softmax(-1)
    for spelled in itertools.product(range(len(tokenizer)), repeat=width):
        number = re.match(r"0|[1-9]\d*", tokenizer.decode(list(spelled)))
        if number:
            masses[int(number.group())] += (first[spelled[0]] * second[spelled]).item()
    result = answer_distribution(
        model,
        tokenizer,
        [prompt_of("a lamp", TASK)],
        whole(99).spelled,
        prompt_tokens=128,
        batch_size=1,
        title="test",
    )
    np.testing.assert_allclose(result[0], masses / masses.sum(), rtol=1e-3)


@pytest.mark.parametrize(
    ("family", "price_max", "nodes"), [("digits", 1203, 121), ("threes", 1203, 22), ("metaspace", 120, 13)]
)
def test_prices_are_read_through_the_tokenizers_of_several_families(
    family: str, price_max: int, nodes: int
) -> None:
    tokenizer = trained_tokenizer(family)
    model = random_model(len(tokenizer))
    tree = AnswerTree(tokenizer, whole(price_max).spelled)
    assert len(tree.paths) == nodes
    texts = [prompt_of("Oak desk, 4 kg", TASK), prompt_of("desk", TASK)]
    result = answer_distribution(
        model, tokenizer, texts, whole(price_max).spelled, prompt_tokens=64, batch_size=2, title="test"
    )
    checked = [0, 1, 9, 12, 99, 100, 120, *((1000, 1203) if price_max > 999 else ())]
    for row, text in enumerate(texts):
        expected = brute_force(model, tokenizer, text, checked, set(range(price_max + 1)))
        np.testing.assert_allclose(result[row][checked] / result[row][1], expected / expected[1], rtol=2e-3)


def test_a_vocabulary_too_large_for_the_memory_is_read_in_smaller_batches(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = character_model(1)
    prompts = [prompt_of(text, TASK) for text in ("a chair", "a lamp", "a desk")]
    options = {"spelled": whole(99).spelled, "prompt_tokens": 64, "batch_size": 3, "title": "test"}
    together = answer_distribution(model, tokenizer, prompts, **options)
    passes = []
    model.register_forward_pre_hook(lambda *call: passes.append(len(call[2]["input_ids"])), with_kwargs=True)
    two_rows = 11 * len(tokenizer) * 2  # of the tree's eleven nodes
    monkeypatch.setattr(distribution, "LOGITS_MAX", two_rows)
    apart = answer_distribution(model, tokenizer, prompts, **options)
    assert passes == [1, 2, 1], "the shared beginning, and then the rest"
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-8)


def test_a_batch_has_the_distributions_of_its_rows_alone(tiny_base: Path) -> None:
    tokenizer, model = loading.load_tokenizer(tiny_base), loading.load_whole(tiny_base)
    prompts = [prompt_of(text, TASK) for text in ("a chair", "a very much longer text about a lamp", "x")]
    options = {"spelled": whole(999).spelled, "prompt_tokens": 64, "title": "test"}
    together = answer_distribution(model, tokenizer, prompts, batch_size=3, **options)
    for row, prompt in enumerate(prompts):
        alone = answer_distribution(model, tokenizer, [prompt], batch_size=1, **options)
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(together.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("family", ["single tokens", "digits"])
def test_the_beginning_that_all_prompts_share_goes_through_the_model_once(
    tiny_base: Path, family: str
) -> None:
    model, tokenizer = character_model(1)
    if family == "single tokens":
        model, tokenizer = loading.load_whole(tiny_base), loading.load_tokenizer(tiny_base)
    texts = ("a chair", "a much longer text about a lamp", "a", "a chair")
    shots = [("a lamp with a shade", "35"), ("a rug", "60")]
    prompts = [few_shot_prompt(text, shots, TASK) for text in texts]
    options = {"spelled": whole(99).spelled, "prompt_tokens": 512, "title": "test"}
    alone = [answer_distribution(model, tokenizer, [text], batch_size=1, **options) for text in prompts]
    widths = []
    model.register_forward_pre_hook(
        lambda *call: widths.append(call[2]["input_ids"].shape[1]), with_kwargs=True
    )
    together = answer_distribution(model, tokenizer, prompts, batch_size=2, **options)
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-3, atol=1e-7)
    assert len(widths) == 3
    assert widths[0] > max(widths[1:]), "the examples are read once, not in every batch"


def test_quantiles_are_the_smallest_price_that_reaches_them() -> None:
    distribution = np.array([[0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0]])
    assert whole(3).quantile(distribution, 0.5).tolist() == [2.0, 0.0]
    assert whole(3).quantile(distribution, 0.1).tolist() == [0.0, 0.0]
    assert whole(3).quantile(distribution, 1.0).tolist() == [3.0, 0.0]


def test_the_point_estimates_are_median_mean_and_mode() -> None:
    distribution = np.array([[0.4, 0.1, 0.2, 0.3], [np.nan] * 4])
    estimates = {name: getattr(whole(3), name)(distribution) for name in ("median", "mean", "mode")}
    assert {name: values[0] for name, values in estimates.items()} == pytest.approx(
        {"median": 1.0, "mean": 1.4, "mode": 0.0}
    )
    assert all(np.isnan(values[1]) for values in estimates.values())


def test_a_model_of_nan_has_no_price_rather_than_0_dollars() -> None:
    assert np.isnan(whole(1).quantile(np.array([[np.nan, np.nan], [0.0, 1.0]]), 0.5)).tolist() == [
        True,
        False,
    ]


def test_a_listing_is_read_in_its_prompt_and_cut_to_its_length() -> None:
    model, tokenizer = character_model(2)
    texts = ["a lamp", "a long shade " * 9]
    prompt = asked(tokens=100, maximum=120)
    read = listing_distribution(model, tokenizer, texts, prompt, batch_size=2, title="test")
    prompts = [prompt_of(text, TASK) for text in texts]
    uncut, cut = (
        answer_distribution(
            model, tokenizer, prompts, whole(120).spelled, prompt_tokens=limit, batch_size=2, title="test"
        )
        for limit in (250, 100)
    )
    np.testing.assert_array_equal(read, cut)
    assert np.abs(read - uncut).max(axis=1)[0] < 1e-6 < np.abs(read - uncut).max(axis=1)[1]


def test_labels_that_begin_with_one_another_share_the_probability_of_the_completions_that_answer() -> None:
    """Every completion of three tokens but those that begin with an empty line, read as `Labels.read` does,
    each with its own forward pass.
    """
    labels = Labels(("Home", "Home Garden", "Toys", "Tools"))
    pieces = ["<end>", " Home", " Garden", " Tools", " Toys", ",", " and", "\n\n", ":", "$"]
    core = Tokenizer(models.WordLevel({piece: place for place, piece in enumerate(pieces)}, unk_token=","))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n\n| ?[A-Za-z]+|."), "isolated")
    core.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", pad_token="<end>")
    model = random_model(len(tokenizer))
    model.lm_head.weight.data.mul_(0.2)  # else hardly a garden follows a home
    prompt, expected = prompt_ids(tokenizer, ",\n\n:", 64), np.zeros(len(labels.names))
    with torch.no_grad():
        begun = model(torch.tensor([prompt])).logits[0, -1].softmax(-1)
        starts = [token for token, piece in enumerate(pieces) if piece.strip()]
        for first, second in itertools.product(starts, range(len(pieces))):
            logits = model(torch.tensor([[*prompt, first, second]])).logits[0]
            reached = begun[first] * logits[-2].softmax(-1)[second] * logits[-1].softmax(-1)
            for last in range(len(pieces)):
                answer = labels.read(tokenizer.decode([first, second, last]))
                if answer is not None:
                    expected[int(answer)] += reached[last].item()
    masses = answer_masses(model, tokenizer, [prompt], labels.spelled, batch_size=1, title="test")[0]
    assert expected[1] > 0.01 * expected[0]
    np.testing.assert_allclose(masses, expected, rtol=1e-3)
