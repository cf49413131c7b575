"""Training rows: the token ids of a prompt and its completion, by one function for every trainer.

A trainer that makes ids of text itself joins prompt and completion first, and then a tokenizer may cut
elsewhere than a reading does: a sequence that no request will ever bring. Here they are what a model reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from components.core.errors import PricewrightError
from components.model.prompt import parse_number
from components.model.tokens import completion_ids, prompt_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED_LABEL = -100
PromptIds = tuple[int, ...]
"""A prompt as its token ids, made by `read_prompts`: what is cut once is never text again."""


def read_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Iterable[str], limit: int) -> list[PromptIds]:
    """The `prompt_ids` of each prompt, whole as it is, with which a model reads it."""
    return [tuple(prompt_ids(tokenizer, prompt, limit)) for prompt in prompts]


def answer_ids(tokenizer: PreTrainedTokenizerBase, completion: str) -> list[int]:
    """Token ids of a completion with the end-of-text token.

    Raises PricewrightError where the tokenizer glues an answer to the prompt.
    """
    return [*_ids(tokenizer, completion), int(tokenizer.eos_token_id)]


def _ids(tokenizer: PreTrainedTokenizerBase, completion: str) -> list[int]:
    try:
        return completion_ids(tokenizer, completion)
    except PricewrightError:
        if parse_number(completion) is not None:
            raise
        return list(tokenizer(completion, add_special_tokens=False).input_ids)  # no number: ids as it stands


def labelled(
    tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str, limit: int
) -> dict[str, list[int]]:
    """`input_ids` and `labels` of a row; the loss ignores the prompt."""
    return labelled_ids(prompt_ids(tokenizer, prompt, limit), answer_ids(tokenizer, completion))


def labelled_ids(prompt: Sequence[int], answer: list[int]) -> dict[str, list[int]]:
    """The same of token ids."""
    return {"input_ids": [*prompt, *answer], "labels": [IGNORED_LABEL] * len(prompt) + answer}
