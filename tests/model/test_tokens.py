"""Token ids of prompts and prices, with the tokenizers of several model families."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from components.core.errors import PricewrightError
from components.model import loading
from components.model.prompt import prompt_of
from components.model.tokens import AnswerTree, completion_ids, prompt_ids, truncate_prompt
from tests.support.project import QUESTION, TASK, whole
from tests.support.tokenizers import FAMILIES, trained_tokenizer


def test_a_long_prompt_loses_the_end_of_the_listing_and_nothing_else(tiny_base: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    ids = prompt_ids(tokenizer, prompt_of("word " * 200, TASK), 40)
    assert len(ids) == 40
    text = tokenizer.decode(ids)
    assert text.startswith(QUESTION)
    assert text.endswith(TASK.answer)
    short = prompt_of("a chair", TASK)
    assert tokenizer.decode(prompt_ids(tokenizer, short, 40)) == short
    assert len(tokenizer(truncate_prompt(tokenizer, prompt_of("word " * 200, TASK), 40)).input_ids) <= 40


def test_prices_are_single_tokens_of_the_embedded_tokenizer(tiny_base: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    tree = AnswerTree(tokenizer, whole(999).spelled)
    assert tree.paths == [()]
    assert len({token for _, token in tree.ends}) == 1000


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_has_the_tokens_that_its_text_has(family: str) -> None:
    tokenizer = trained_tokenizer(family)
    text = prompt_of("Oak desk, 4 kg", TASK)
    assert prompt_ids(tokenizer, text, 512) == tokenizer(text).input_ids
    whole = tokenizer(text + "128").input_ids
    assert prompt_ids(tokenizer, text, 512) + completion_ids(tokenizer, "128") == whole


def test_a_number_does_not_go_on_after_a_space() -> None:
    state = json.loads(trained_tokenizer("metaspace").backend_tokenizer.to_str())
    spaced = len(state["model"]["vocab"])
    state["model"]["vocab"]["▁5"] = spaced
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state)))
    assert tokenizer.decode([spaced]) == "5", "alone it reads like a digit"
    digits = AnswerTree(tokenizer, whole(99).spelled).longer
    assert sorted(tokenizer.convert_ids_to_tokens(digits)) == list("0123456789")


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
    with pytest.raises(PricewrightError, match="glues '12' to the '\\$'"):
        completion_ids(tokenizer, "12")
