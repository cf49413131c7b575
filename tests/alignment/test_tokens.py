"""One sequence of tokens per listing, whoever reads it: training, alignment and pricing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from components import reward, sft
from components.alignment import dpo, grpo, rloo
from components.alignment.fine_tuning import fine_tune
from components.alignment.rewards import RewardModel
from components.alignment.task import Task
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.core.params.prompt import Prompt
from components.model import loading
from components.model.distribution import price_distribution
from components.model.examples import UNCUT, example_ids, row_ids
from components.model.prompt import price_prompt
from components.model.tokens import PriceTree
from tests.support.project import QUESTION, ROOT
from tests.support.reward import GOOD
from tests.support.tiny_policy import task_on, words_tokenizer
from tests.support.tokenizers import ENDINGS, KINDS, tokenizer_of

Row = tuple[int, ...]
TEXTS = [f"Desk 12, {ending}" for ending in ENDINGS]
PRICES = ("128", "45")


@contextmanager
def read_by(model: Any) -> Iterator[set[Row]]:
    """What goes through the transformer in the block: each row without its padding; a single token is a step
    of a generation and is left out.
    """
    rows: set[Row] = set()

    def keep(module: Any, arguments: Any, inputs: dict[str, Any]) -> None:
        real = inputs["attention_mask"].bool()
        if inputs["input_ids"].shape[1] > 1:
            kept = zip(inputs["input_ids"], real, strict=True)
            rows.update(tuple(tokens[own].tolist()) for tokens, own in kept)

    hook = model.get_base_model().model.register_forward_pre_hook(keep, with_kwargs=True)
    yield rows
    hook.remove()


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Any]:
    return {kind: tokenizer_of(kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def task(request: pytest.FixtureRequest, tokenizers: dict[str, Any], tmp_path: Path, recorder: Any) -> Task:
    prompts = [price_prompt(text, QUESTION) for text in TEXTS]
    chosen, rejected = PRICES
    pairs = pd.DataFrame({"prompt": prompts, "chosen": chosen, "rejected": rejected})
    listings = pd.DataFrame({"prompt": prompts, "price": float(chosen)})
    return task_on(tokenizers[request.param], listings, pairs, tmp_path, recorder)


def test_training_alignment_and_pricing_read_the_same_tokens(task: Task, params: Params) -> None:
    prompts, tokenizer, model = list(task.prompts["prompt"]), task.tokenizer, task.model
    with read_by(model) as priced:
        for prompt in prompts:
            price_distribution(
                model, tokenizer, [prompt], price_max=9, prompt_tokens=256, batch_size=1, title=""
            )
    assert len(priced) == len(TEXTS)
    tree = PriceTree(tokenizer, 200)
    chosen, rejected = (
        (*tree.paths[node], tree.tokens[place], tokenizer.eos_token_id)
        for node, place in (tree.ends[int(price)] for price in PRICES)
    )
    whole = {row + answer for row in priced for answer in (chosen, rejected)}
    items = pd.DataFrame({"text": TEXTS, "price": float(PRICES[0])})
    rows = sft.examples(tokenizer, items, Prompt(question=QUESTION, tokens=256, price_max=999))
    assert {tuple(row["input_ids"]) for row in rows} == {row + chosen for row in priced}
    assert {tuple(row["labels"]) for row in rows} == {(-100,) * len(row) + chosen for row in priced}
    with read_by(model) as read:
        dpo.align(task, params.align.dpo.model_copy(update={"batch_size": 3}))
    assert read == whole
    options: dict[str, Any] = {"max_steps": 1, "per_device_train_batch_size": 3, "learning_rate": 1e-6}
    with read_by(model) as read:
        fine_tune(task, prompts, [PRICES[0]] * 3, [], seed=0, **options)
    assert read == {row + chosen for row in priced}
    for row in reward.token_pairs(tokenizer, task.pairs):
        assert {tuple(row["chosen_ids"]), tuple(row["rejected_ids"])} <= whole
    model.add_adapter("reward", model.peft_config["default"])
    judge = RewardModel(model, torch.nn.Linear(32, 1, bias=False), tokenizer, 2, GOOD)
    with read_by(model) as read:
        judge(prompts * 2, [price for price in PRICES for _ in prompts])
    assert read == whole


@pytest.mark.parametrize("method", [rloo, grpo])
def test_the_prompts_from_which_a_method_samples_have_the_tokens_of_pricing(
    task: Task, params: Params, method: Any
) -> None:
    section = getattr(params.align, method.__name__.rpartition(".")[2])
    sizes = {"max_steps": 1, "num_generations": 2, "batch_size": 6, "max_completion_length": 3}
    with read_by(task.model) as read:
        method.train(task, section.model_copy(update=sizes), lambda prompts, _: np.zeros(len(prompts)))
    for prompt in task.prompts["prompt"]:
        own = tuple(example_ids(task.tokenizer, prompt, "1", 512)[0])
        begun = {row for row in read if row[: len(own)] == own}
        assert own in read, "what it samples from"
        assert len(begun) > 1, "what it learns"
        read -= begun
    assert not read


def test_the_tokens_of_the_embedded_model_are_those_that_it_was_trained_on() -> None:
    """Its tokenizer splits where prompt and completion meet: joined first, its texts have the same ids."""
    tokenizer = loading.load_tokenizer(ROOT / "artifacts" / "base")
    for text in TEXTS:
        for completion in ("7", "128", "1299", "12.50", "cheap", ""):
            prompt = price_prompt(text, QUESTION)
            joined = tokenizer(prompt + completion + tokenizer.eos_token).input_ids
            assert row_ids(tokenizer, prompt, completion, UNCUT) == joined


def test_what_is_no_price_may_be_glued_to_the_prompt_and_a_price_may_not() -> None:
    tokenizer = words_tokenizer()
    tokenizer.add_tokens(["$1", "$cheap"])
    assert example_ids(tokenizer, "question", "cheap", 64)[1][-1] == tokenizer.eos_token_id
    with pytest.raises(PricewrightError, match="glues '1' to the '\\$'"):
        example_ids(tokenizer, "question", "1", 64)
