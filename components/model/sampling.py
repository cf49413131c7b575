"""Text completions of a prompt, greedy or sampled.

Preferences are made of them, alignment changes them, and the usual way to a number is to parse one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from components.model.tokens import batches, completion_ids, left_padded, prompt_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ANSWER_TOKENS = 8  # room for any number, and for a little that shows when it is none


@lru_cache(maxsize=2)
def longest(tokenizer: PreTrainedTokenizerBase, answers: tuple[str, ...]) -> int:
    """Tokens of the longest answer, without its end."""
    return max(len(completion_ids(tokenizer, answer)) for answer in answers)


def room_for(tokenizer: PreTrainedTokenizerBase, answers: tuple[str, ...]) -> int:
    """Tokens of a completion that any of the answers fits into with its end, at least ANSWER_TOKENS."""
    return max(ANSWER_TOKENS, 1 + longest(tokenizer, answers))


def sample(
    model: Any, tokenizer: PreTrainedTokenizerBase, prompts: list[str], *, prompt_tokens: int, **options: Any
) -> list[list[str]]:
    """Text completions of each prompt, without special tokens; `options` are those of `sample_tokens`."""
    ids = [prompt_ids(tokenizer, text, prompt_tokens) for text in prompts]
    return complete(model, tokenizer, ids, **options)


def complete(
    model: Any, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Sequence[int]], **options: Any
) -> list[list[str]]:
    """`sample` of prompts as token ids."""
    sampled = sample_tokens(model, tokenizer, prompts, **options)
    return [tokenizer.batch_decode(completions, skip_special_tokens=True) for completions in sampled]


def sample_tokens(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    *,
    completions: int,
    temperature: float,
    batch_size: int,
    title: str,
    top_k: int = 0,
    top_p: float = 1.0,
    repetition_penalty: float = 1.0,
    new_tokens: int = ANSWER_TOKENS,
) -> list[list[list[int]]]:
    """Completions of each prompt as token ids, up to the end-of-text token and with it, at most `new_tokens`
    of them. Draws from torch's global generator.

    A `temperature` of 0 is greedy: every completion is the likeliest token after token. `top_k` (0: all),
    `top_p` and `repetition_penalty` are off as they stand.
    """
    import torch

    end, ids = int(tokenizer.eos_token_id), [list(prompt) for prompt in prompts]
    result: list[list[list[int]]] = [[] for _ in ids]
    strategy: dict[str, Any] = {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}
    if temperature > 0:
        strategy = {"do_sample": True, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    copies = completions if temperature > 0 else 1
    for rows in batches([len(row) for row in ids], batch_size, title):
        tokens, real, _ = left_padded([ids[row] for row in rows])
        with torch.inference_mode():
            output = model.generate(
                input_ids=tokens.to(model.device),
                attention_mask=real.to(model.device),
                num_return_sequences=copies,
                repetition_penalty=repetition_penalty,
                max_new_tokens=new_tokens,
                pad_token_id=end,
                **strategy,
            )
        completed = [_until(end, row) for row in output[:, tokens.shape[1] :].tolist()]
        for place, row in enumerate(rows):
            own = completed[place * copies : (place + 1) * copies]
            result[row] = own * (completions // copies)
    return result


def _until(end: int, tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens
