"""Text completions, greedy and sampled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from components.model import loading, sampling
from components.model.prompt import prompt_of
from components.model.tokens import prompt_ids
from tests.support.project import TASK


def sampled(base: Path, prompts: list[str], **changed: Any) -> list[list[str]]:
    tokenizer, model = loading.load_tokenizer(base), loading.load_whole(base)
    options = {"completions": 3, "temperature": 1.0, "prompt_tokens": 64, "batch_size": 2, "title": "test"}
    torch.manual_seed(0)
    return sampling.sample(model, tokenizer, prompts, **options | changed)


def test_greedy_text_is_the_likeliest_and_comes_in_the_order_of_the_prompts(tiny_base: Path) -> None:
    tokenizer, model = loading.load_tokenizer(tiny_base), loading.load_whole(tiny_base)
    prompts = [prompt_of("word " * length, TASK) for length in (1, 9, 4)]
    for prompt, cold, greedy in zip(
        prompts,
        sampled(tiny_base, prompts, temperature=1e-4),
        sampled(tiny_base, prompts, temperature=0.0),
        strict=True,
    ):
        ids = torch.tensor([prompt_ids(tokenizer, prompt, 64)])
        output = model.generate(ids, do_sample=False, max_new_tokens=8, pad_token_id=tokenizer.eos_token_id)
        expected = tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)
        assert cold == greedy == [expected] * 3


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}])
def test_the_narrowest_choice_of_tokens_leaves_the_greedy_one(tiny_base: Path, narrow: Any) -> None:
    prompts = [prompt_of("Oak desk", TASK)]
    wide = sampled(tiny_base, prompts, completions=8)
    assert len(set(wide[0])) > 1
    assert sampled(tiny_base, prompts, completions=8, **narrow) == sampled(
        tiny_base, prompts, completions=8, temperature=0.0
    )


def test_a_heavy_penalty_lets_no_token_come_again(tiny_base: Path) -> None:
    prompts = [prompt_of("Oak desk", TASK)]
    tokenizer = loading.load_tokenizer(tiny_base)
    [[text]] = sampled(tiny_base, prompts, completions=1, temperature=0.0, repetition_penalty=1e6)
    tokens = tokenizer(text, add_special_tokens=False).input_ids
    assert not set(tokens) & set(prompt_ids(tokenizer, prompts[0], 64))
    assert len(set(tokens)) == len(tokens)
