"""Token ids of prompts, completions and prices, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from components.core.errors import PricewrightError
from components.model.prompt import ANSWER

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

BEFORE = "x"  # a letter: no tokenizer glues one to the line break after it


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: str, limit: int) -> list[int]:
    """Token ids of a prompt, at most `limit`: of a longer one the end of the listing is cut, never the
    question before it nor the `Price is $` after it.
    """
    answer = _answer_ids(tokenizer)
    head = tokenizer(prompt.removesuffix(ANSWER)).input_ids
    return [*head[: limit - len(answer)], *answer]


@lru_cache(maxsize=2)
def _answer_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    return _in_context(tokenizer, ANSWER)


def truncate_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str, limit: int) -> str:
    """The prompt itself, or, where it has more than `limit` tokens, the text of its `prompt_ids`."""
    if len(tokenizer(prompt).input_ids) <= limit:
        return prompt
    return str(tokenizer.decode(prompt_ids(tokenizer, prompt, limit), skip_special_tokens=True))


def completion_ids(tokenizer: PreTrainedTokenizerBase, completion: str) -> list[int]:
    """Token ids of a completion as they follow `Price is $`, without the end-of-text token.

    Raises PricewrightError for a tokenizer that glues the number to the dollar sign.
    """
    answer = _answer_ids(tokenizer)
    both = _in_context(tokenizer, ANSWER + completion)
    if both[: len(answer)] != answer:
        raise PricewrightError(
            f"this tokenizer glues {completion!r} to the '$' before it; choose another base"
        )
    return both[len(answer) :]


def _in_context(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a text as they stand after other text: some tokenizers put a space before the first
    word of whatever they are given, which is not there in the middle of a prompt.
    """
    before = tokenizer(BEFORE, add_special_tokens=False).input_ids
    both = tokenizer(BEFORE + text, add_special_tokens=False).input_ids
    if both[: len(before)] == before:
        return both[len(before) :]
    return tokenizer(text, add_special_tokens=False).input_ids


class PriceTree:
    """The prices 0 to `price_max` as paths of tokens, spelled as the tokenizer itself spells them.

    `paths[node]` is the token path of an inner node; node 0 is the root, whose path is empty. `tokens` are
    all tokens that a price is made of; `steps` and `ends` hold places in this list. `steps[node]` is
    the last token of the node's path. For each price, `ends[price] = (node, token)`: its last token
    follows that inner node. `inner[price]` is the node that the price itself is (when a longer price
    begins with it), or -1. `digits` are the tokens that would go on with a number.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, price_max: int) -> None:
        spelled = [tuple(completion_ids(tokenizer, str(price))) for price in range(price_max + 1)]
        prefixes = {path[:cut] for path in spelled for cut in range(len(path))}
        self.paths = sorted(prefixes, key=lambda path: (len(path), path))
        self.tokens = sorted({token for path in spelled for token in path})
        index = {path: node for node, path in enumerate(self.paths)}
        place = {token: number for number, token in enumerate(self.tokens)}
        self.parents = [index[path[:-1]] if path else -1 for path in self.paths]
        self.steps = [place[path[-1]] if path else -1 for path in self.paths]
        self.ends = [(index[path[:-1]], place[path[-1]]) for path in spelled]
        self.inner = [index.get(path, -1) for path in spelled]
        self.digits = _digits(tokenizer, spelled[0][-1])


def _digits(tokenizer: PreTrainedTokenizerBase, zero: int) -> list[int]:
    """Tokens that go on with a number after the token of `0`: `5` does, ` 5` does not, though a decoder
    drops the space where the token stands alone.
    """
    begun = len(tokenizer.decode([zero]))
    texts = tokenizer.batch_decode([[zero, token] for token in range(len(tokenizer))])
    return [token for token, text in enumerate(texts) if text[begun : begun + 1].isdecimal()]


def batches(lengths: list[int], batch_size: int, title: str) -> Iterator[np.ndarray]:
    """Row numbers in batches of similar length, longest first, under a progress bar."""
    from tqdm import tqdm

    order = np.argsort(lengths, kind="stable")[::-1]
    starts = range(0, len(order), batch_size)
    for start in tqdm(starts, desc=title, unit="batch", mininterval=2, leave=False):
        yield order[start : start + batch_size]


def left_padded(ids: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, mask of the real ones, positions from 0: int64, each (rows, longest)."""
    import torch

    longest = max(len(row) for row in ids)
    tokens = torch.zeros(len(ids), longest, dtype=torch.long)
    real = torch.zeros_like(tokens)
    for row, content in enumerate(ids):
        tokens[row, longest - len(content) :] = torch.tensor(content)
        real[row, longest - len(content) :] = 1
    return tokens, real, (real.cumsum(1) - 1).clamp(min=0)
