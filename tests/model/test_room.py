"""Room for the longest answer: a completion never ends in the middle of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.align import require_room
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.model import loading
from components.model.sampling import ANSWER_TOKENS, longest, room_for
from components.model.tokens import completion_ids
from tests.support.project import TASK

NAMES = (" Lamps", " Tools and home improvement for every room of the house")


def test_a_long_label_gets_the_room_that_it_needs_and_numbers_what_they_had(tiny_base: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    tokens = len(completion_ids(tokenizer, NAMES[1]))
    assert tokens > ANSWER_TOKENS
    assert longest(tokenizer, NAMES) == tokens
    assert room_for(tokenizer, NAMES) == tokens + 1
    assert room_for(tokenizer, TASK.spelled) == ANSWER_TOKENS


def test_a_method_that_would_cut_answers_short_is_refused(tiny_base: Path, tiny_params: Params) -> None:
    tokenizer, section = loading.load_tokenizer(tiny_base), tiny_params.align.grpo
    require_room(section, tokenizer, TASK.spelled)
    require_room(tiny_params.align.dpo, tokenizer, NAMES)
    least = longest(tokenizer, NAMES) + 1
    with pytest.raises(PricewrightError, match=f"have {least} tokens: raise max_completion_length"):
        require_room(section, tokenizer, NAMES)
    enough = section.model_copy(update={"max_completion_length": least})
    require_room(enough, tokenizer, NAMES)
