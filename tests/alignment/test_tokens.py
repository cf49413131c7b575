"""One sequence of tokens per listing, whoever reads it: training, alignment and pricing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from components import preferences, reward, sft
from components.align import prompts_of
from components.alignment import dpo, grpo, rewards, rloo, sft_best_of_n
from components.alignment.comparison import answers
from components.alignment.controls import continue_sft
from components.alignment.fine_tuning import fine_tune
from components.alignment.monitor import Monitor
from components.alignment.rewards import RewardModel
from components.alignment.task import AlignmentTask
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.feedback.result import Preferences
from components.model import loading
from components.model.distribution import answer_distribution, listing_distribution
from components.model.examples import answer_ids, labelled, read_prompts
from components.model.prompt import prompt_of
from components.model.tokens import AnswerTree, prompt_ids, truncate_prompt
from components.tasks.number import NumberTask
from tests.support.project import ROOT, TASK, asked, whole
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
def task(
    request: pytest.FixtureRequest, tokenizers: dict[str, Any], tmp_path: Path, recorder: Any
) -> AlignmentTask:
    prompts = [prompt_of(text, TASK) for text in TEXTS]
    chosen, rejected = PRICES
    pairs = pd.DataFrame({"prompt": prompts, "chosen": chosen, "rejected": rejected})
    listings = pd.DataFrame({"prompt": prompts, "target": float(chosen)})
    return task_on(tokenizers[request.param], listings, pairs, tmp_path, recorder)


def test_training_alignment_and_pricing_read_the_same_tokens(task: AlignmentTask, params: Params) -> None:
    tokenizer, model, ids = task.tokenizer, task.model, list(task.prompts["prompt"])
    prompts = [prompt_of(text, TASK) for text in TEXTS]
    with read_by(model) as priced:
        for prompt in prompts:
            answer_distribution(
                model, tokenizer, [prompt], whole(9).spelled, prompt_tokens=256, batch_size=1, title=""
            )
    assert priced == set(ids)
    assert len(priced) == len(TEXTS)
    tree = AnswerTree(tokenizer, whole(200).spelled)
    chosen, rejected = (
        (*tree.paths[node], tree.tokens[place], tokenizer.eos_token_id)
        for node, place in (tree.ends[int(price)] for price in PRICES)
    )
    both = {row + answer for row in priced for answer in (chosen, rejected)}
    items = pd.DataFrame({"text": TEXTS, "target": float(PRICES[0])})
    rows = sft.examples(tokenizer, items, asked(tokens=256, maximum=999))
    assert {tuple(row["input_ids"]) for row in rows} == {row + chosen for row in priced}
    assert {tuple(row["labels"]) for row in rows} == {(-100,) * len(row) + chosen for row in priced}
    with read_by(model) as read:
        dpo.align(task, params.align.dpo.model_copy(update={"batch_size": 3}))
    assert read == both
    options: dict[str, Any] = {"max_steps": 1, "per_device_train_batch_size": 3, "learning_rate": 1e-6}
    with read_by(model) as read:
        fine_tune(task, ids, [PRICES[0]] * 3, [], seed=0, **options)
    assert read == {row + chosen for row in priced}
    for row in reward.token_pairs(tokenizer, task.pairs):
        assert {tuple(row["chosen_ids"]), tuple(row["rejected_ids"])} <= both
    model.add_adapter("reward", model.peft_config["default"])
    judge = RewardModel(model, torch.nn.Linear(32, 1, bias=False), tokenizer, 2, GOOD, whole(999))
    with read_by(model) as read:
        judge(ids * 2, [price for price in PRICES for _ in ids])
    assert read == both


@pytest.mark.parametrize("method", [rloo, grpo])
def test_the_prompts_from_which_a_method_samples_have_the_tokens_of_pricing(
    task: AlignmentTask, params: Params, method: Any
) -> None:
    section = getattr(params.align, method.__name__.rpartition(".")[2])
    sizes = {"max_steps": 1, "num_generations": 2, "batch_size": 6, "max_completion_length": 3}
    with read_by(task.model) as read:
        method.train(task, section.model_copy(update=sizes), lambda prompts, _: np.zeros(len(prompts)))
    for own in task.prompts["prompt"]:
        begun = {row for row in read if row[: len(own)] == own}
        assert own in read, "what it samples from"
        assert len(begun) > 1, "what it learns"
        read -= begun
    assert not read


LONG = [f"{name} 12, {chr(0x1FA91) * 20}" for name in ("Desk", "Tall lamp")]  # cut inside of a character


def cut_elsewhere(tokenizer: Any) -> int:
    """A length, from the least of `task.tokens`, at which each prompt of LONG, cut and made text, has other
    tokens than it was cut to.
    """
    prompts = [prompt_of(text, TASK) for text in LONG]

    def differs(prompt: str, limit: int) -> bool:
        ids = prompt_ids(tokenizer, prompt, limit)
        return prompt_ids(tokenizer, truncate_prompt(tokenizer, prompt, limit), 512) != ids

    shortest = min(len(prompt_ids(tokenizer, prompt, 512)) for prompt in prompts)
    return next(limit for limit in range(32, shortest) if all(differs(prompt, limit) for prompt in prompts))


@pytest.fixture
def cut_task(task: AlignmentTask) -> tuple[AlignmentTask, NumberTask]:
    """The task of a preference split of LONG, as the stages `preferences` and `align` make it."""
    tokenizer = task.tokenizer
    prompt = asked(tokens=cut_elsewhere(tokenizer), maximum=9)
    items = pd.DataFrame({"id": ["a", "b"], "product": ["a", "b"], "text": LONG, "target": [5.0, 7.0]})
    feedback = Preferences("truth")
    for item in items.itertuples():
        feedback.pair(item.id, prompt_of(item.text, TASK), *PRICES, 1.0)
    pairs, _ = preferences.usable([feedback], set(), tokenizer, prompt)
    pairs = pairs.assign(prompt=read_prompts(tokenizer, pairs["prompt"], prompt.tokens))
    task.model.add_adapter("reference", task.model.peft_config["default"])
    task.model.add_adapter("reward", task.model.peft_config["default"])
    judge = RewardModel(task.model, torch.nn.Linear(32, 1, bias=False), tokenizer, 8, GOOD, whole(999))
    prompts = prompts_of(tokenizer, items, prompt)
    return task._replace(pairs=pairs, prompts=prompts, reward_model=judge), prompt


def test_a_cut_prompt_has_the_tokens_of_pricing_wherever_it_is_read(
    cut_task: tuple[AlignmentTask, NumberTask], params: Params, tmp_path: Path
) -> None:
    task, prompt = cut_task
    tokenizer, model, limit = task.tokenizer, task.model, prompt.tokens
    with read_by(model) as priced:
        listing_distribution(model, tokenizer, LONG, prompt, batch_size=8, title="")
    assert {len(row) for row in priced} == {limit}
    assert priced == set(task.prompts["prompt"]) == set(task.pairs["prompt"])
    items = pd.DataFrame({"id": ["a", "b"], "text": LONG})
    section, align = params.preferences, params.align
    options: dict[str, Any] = {
        "error_max": 999.0,
        "under_cost": 1.0,
        "answers": whole(9),
        "scratch": tmp_path,
    }
    monitor = Monitor(
        model, tokenizer, task.reward_model, task.prompts, align.monitor, track=lambda *_: None, **options
    )
    reading: dict[str, Any] = {"spelled": whole(9).spelled, "batch_size": 8, "seed": 0}
    best = align.sft_best_of_n.model_copy(update={"reward": "truth", "epochs": 1.0})
    readers: dict[str, Callable[[], Any]] = {
        "preferences": lambda: preferences.sample(items, model, tokenizer, section, prompt),
        "dpo": lambda: dpo.align(task, align.dpo),
        "sft_best_of_n": lambda: sft_best_of_n.align(task, best),
        "sft_continued": lambda: continue_sft(task, align.sft_continued, steps=1, batch_size=2),
        "monitor": lambda: monitor.at(0, 1),
        "comparison": lambda: answers(model, tokenizer, "default", list(task.prompts["prompt"]), **reading),
        "reward": lambda: task.reward_model(list(task.pairs["prompt"]), list(task.pairs["chosen"])),
    }
    for name, reader in readers.items():
        with read_by(model) as read:
            reader()
        assert {row[:limit] for row in read} == priced, name
    rows = reward.token_pairs(tokenizer, task.pairs)
    assert {tuple(row["chosen_ids"][:limit]) for row in rows} == priced


@pytest.mark.parametrize("method", [rloo, grpo])
def test_a_method_samples_from_a_cut_prompt_as_pricing_reads_it(
    cut_task: tuple[AlignmentTask, NumberTask], params: Params, method: Any
) -> None:
    task, prompt = cut_task
    section = getattr(params.align, method.__name__.rpartition(".")[2])
    sizes = {"max_steps": 1, "num_generations": 2, "batch_size": 4, "max_completion_length": 3}
    prices = rewards.truth(task.prompts["prompt"], task.prompts["target"], task.answers, 9.0, 1.0)
    with read_by(task.model) as read:
        method.train(task, section.model_copy(update=sizes), prices)
    assert {row[: prompt.tokens] for row in read} == set(task.prompts["prompt"])


def test_the_tokens_of_the_embedded_model_are_those_that_it_was_trained_on() -> None:
    """Its tokenizer splits where prompt and completion meet: joined first, its texts have the same ids."""
    tokenizer = loading.load_tokenizer(ROOT / "artifacts" / "base")
    for text in TEXTS:
        for completion in ("7", "128", "1299", "12.50", "cheap", ""):
            prompt = prompt_of(text, TASK)
            joined = tokenizer(prompt + completion + tokenizer.eos_token).input_ids
            assert labelled(tokenizer, prompt, completion, 512)["input_ids"] == joined


def test_what_is_no_price_may_be_glued_to_the_prompt_and_a_price_may_not() -> None:
    tokenizer = words_tokenizer()
    tokenizer.add_tokens(["$1", "$cheap"])
    assert answer_ids(tokenizer, "cheap")[-1] == tokenizer.eos_token_id
    with pytest.raises(PricewrightError, match="glues '1' to the '\\$'"):
        answer_ids(tokenizer, "1")
