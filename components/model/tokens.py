"""Token ids of prompts and completions, the tree of all answers, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from components.core.errors import PricewrightError
from components.model.prompt import BREAK

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

BEFORE = "x"  # a letter: no tokenizer glues one to the line break after it
SIGN = "$"  # how an answer begins ends in a sign, to which hardly a tokenizer glues what follows


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: str, limit: int) -> list[int]:
    """Token ids of a prompt, at most `limit`: of a longer one the end of the listing is cut, never the
    question before it nor the beginning of the answer, its last paragraph.
    """
    head, between, beginning = prompt.rpartition(BREAK)
    answer = _beginning_ids(tokenizer, between + beginning) if between else []
    return [*tokenizer(head if between else prompt).input_ids[: limit - len(answer)], *answer]


@lru_cache(maxsize=8)
def _beginning_ids(tokenizer: PreTrainedTokenizerBase, beginning: str) -> list[int]:
    return after(tokenizer, BEFORE, beginning) or tokenizer(beginning, add_special_tokens=False).input_ids


def truncate_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str, limit: int) -> str:
    """The prompt itself, or, where it has more than `limit` tokens, the text of its `prompt_ids`."""
    if len(tokenizer(prompt).input_ids) <= limit:
        return prompt
    return str(tokenizer.decode(prompt_ids(tokenizer, prompt, limit), skip_special_tokens=True))


def completion_ids(tokenizer: PreTrainedTokenizerBase, completion: str) -> list[int]:
    """Token ids of a completion as they follow the beginning of the answer, without the end-of-text token.

    Raises PricewrightError for a tokenizer that glues the completion to the sign before it.
    """
    ids = after(tokenizer, SIGN, completion)
    if ids is None:
        raise PricewrightError(
            f"this tokenizer glues {completion!r} to the {SIGN!r} before it; choose another base"
        )
    return ids


def require_apart(tokenizer: PreTrainedTokenizerBase, beginning: str, answers: Sequence[str]) -> None:
    """Raise PricewrightError for a tokenizer that glues an answer to its beginning."""
    ids = tokenizer(beginning, add_special_tokens=False).input_ids
    for answer in answers:
        own = completion_ids(tokenizer, answer)
        if tokenizer(beginning + answer, add_special_tokens=False).input_ids != [*ids, *own]:
            raise PricewrightError(
                f"this tokenizer glues {answer!r} to {beginning!r} before it; choose another base or "
                "task.answer"
            )


def after(tokenizer: PreTrainedTokenizerBase, before: str, text: str) -> list[int] | None:
    """Token ids of a text as they stand after other text, None where the tokenizer glues the two: some
    tokenizers put a space before the first word of whatever they are given, which is not there in the middle
    of a prompt.
    """
    begun = tokenizer(before, add_special_tokens=False).input_ids
    both = tokenizer(before + text, add_special_tokens=False).input_ids
    return both[len(begun) :] if both[: len(begun)] == begun else None


class AnswerTree:
    """All answers as paths of tokens, `spelled` as the tokenizer itself spells them.

    `paths[node]` is the token path of an inner node; node 0 is the root, whose path is empty. `tokens` are
    all tokens that an answer is made of; `steps` and `ends` hold places in this list. `steps[node]` is
    the last token of the node's path. For each answer, `ends[answer] = (node, token)`: its last token
    follows that inner node. `inner[answer]` is the node that the answer itself is (when a longer answer
    begins with it), or -1. `longer` are the tokens that would go on with an answer: with a number any digit.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, answers: Sequence[str]) -> None:
        spelled = [tuple(completion_ids(tokenizer, answer)) for answer in answers]
        prefixes = {path[:cut] for path in spelled for cut in range(len(path))}
        self.paths = sorted(prefixes, key=lambda path: (len(path), path))
        self.tokens = sorted({token for path in spelled for token in path})
        index = {path: node for node, path in enumerate(self.paths)}
        place = {token: number for number, token in enumerate(self.tokens)}
        self.parents = [index[path[:-1]] if path else -1 for path in self.paths]
        self.steps = [place[path[-1]] if path else -1 for path in self.paths]
        self.ends = [(index[path[:-1]], place[path[-1]]) for path in spelled]
        self.inner = [index.get(path, -1) for path in spelled]
        whole = {index[path] for path in spelled if path in index}
        further = {path[-1] for path in self.paths if path and index[path[:-1]] in whole}
        further |= {path[-1] for path in spelled if index[path[:-1]] in whole}
        self.longer = sorted(further | set(_digits(tokenizer, spelled[0][-1])))


def _digits(tokenizer: PreTrainedTokenizerBase, last: int) -> list[int]:
    """Tokens that go on with a number after the `last` token of one: `5` does, ` 5` does not, though a
    decoder drops the space where the token stands alone.
    """
    begun = len(tokenizer.decode([last]))
    texts = tokenizer.batch_decode([[last, token] for token in range(len(tokenizer))])
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
