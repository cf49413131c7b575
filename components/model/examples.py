"""Training rows: the token ids of a prompt and its completion, by one function for every trainer.

A trainer that makes ids of text itself joins prompt and completion first, and then a tokenizer may cut
elsewhere than in pricing: a sequence that no request will ever bring. Here they are what pricing reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.core.errors import PricewrightError
from components.model.prompt import parse_completion
from components.model.tokens import completion_ids, prompt_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED_LABEL = -100
UNCUT = 1 << 30
"""A limit that cuts no prompt."""


def example_ids(
    tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str, limit: int
) -> tuple[list[int], list[int]]:
    """Token ids of a prompt, at most `limit`, and those of its completion with the end-of-text token.

    Raises PricewrightError where the tokenizer glues a price to the prompt.
    """
    return prompt_ids(tokenizer, prompt, limit), [*_ids(tokenizer, completion), int(tokenizer.eos_token_id)]


def _ids(tokenizer: PreTrainedTokenizerBase, completion: str) -> list[int]:
    try:
        return completion_ids(tokenizer, completion)
    except PricewrightError:
        if parse_completion(completion) is not None:
            raise
        return list(tokenizer(completion, add_special_tokens=False).input_ids)  # no price: ids as it stands


def row_ids(tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str, limit: int) -> list[int]:
    """Both of `example_ids` in a row, as a reward model reads them.

    The reward stands at the completion's last token: the pooling of transformers skips the end-of-text
    token where it is the padding token too, in training (TRL) as in use.
    """
    prompt_tokens, answer = example_ids(tokenizer, prompt, completion, limit)
    return prompt_tokens + answer


def labelled(
    tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str, limit: int
) -> dict[str, list[int]]:
    """`input_ids` and `labels` of a row; the loss ignores the prompt."""
    prompt_tokens, answer = example_ids(tokenizer, prompt, completion, limit)
    return {"input_ids": prompt_tokens + answer, "labels": [IGNORED_LABEL] * len(prompt_tokens) + answer}
