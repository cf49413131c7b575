"""The distribution over all answers that a language model holds, from one forward pass.

It is read directly where the tokenizer has the answers as single tokens, and through a prefix tree over their
tokens where it has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from components.model.prompt import Asked, prompt_of
from components.model.tokens import AnswerTree, batches, left_padded, prompt_ids

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LOGITS_MAX = 1 << 28  # numbers that a model may write at once: a gigabyte, however large its vocabulary


def listing_distribution(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: list[str],
    task: Asked,
    *,
    batch_size: int,
    title: str,
) -> np.ndarray:
    """`answer_distribution` of listings: each in the prompt that the task puts around it."""
    return answer_distribution(
        model,
        tokenizer,
        [prompt_of(text, task) for text in texts],
        task.spelled,
        prompt_tokens=task.tokens,
        batch_size=batch_size,
        title=title,
    )


def answer_distribution(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    spelled: tuple[str, ...],
    *,
    prompt_tokens: int,
    batch_size: int,
    title: str,
) -> np.ndarray:
    """Probability of each answer, float32 of shape (prompts, answers), rows sum to 1.

    The probability of an answer is that of all completions that begin with it, `spelled` as the tokenizer
    spells it, and go on with nothing that makes it a longer answer; where no longer answer begins with it,
    whatever follows. The probability of anything else is left out and the rest scaled to 1. A row is NaN
    where nothing is left.
    """
    ids = [prompt_ids(tokenizer, text, prompt_tokens) for text in prompts]
    return given_an_answer(answer_masses(model, tokenizer, ids, spelled, batch_size=batch_size, title=title))


def answer_masses(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    spelled: tuple[str, ...],
    *,
    batch_size: int,
    title: str,
) -> np.ndarray:
    """`answer_distribution` of prompts as token ids, before it is scaled: what is missing to 1 goes to
    completions that are no answer.
    """
    tree, ids = _tree(tokenizer, spelled), [list(prompt) for prompt in prompts]
    result = np.empty((len(ids), len(spelled)), dtype=np.float32)
    at_once = max(1, min(batch_size, LOGITS_MAX // (len(tree.paths) * model.config.vocab_size)))
    shared = _shared(ids) if len(ids) > at_once else 0
    begun = _begin(model, ids[0][:shared]) if shared else None
    for rows in batches([len(row) for row in ids], at_once, title):
        rest = [ids[row][shared:] for row in rows]
        result[rows] = _masses(*_node_probabilities(model, rest, tree, begun), tree)
    return result


def given_an_answer(masses: np.ndarray) -> np.ndarray:
    """`answer_masses` with each row scaled to 1, NaN where nothing is left."""
    with np.errstate(invalid="ignore"):
        return masses / masses.sum(axis=1, keepdims=True)


@lru_cache(maxsize=2)
def _tree(tokenizer: PreTrainedTokenizerBase, spelled: tuple[str, ...]) -> AnswerTree:
    """Cached: to spell a thousand answers takes longer than to read a listing."""
    return AnswerTree(tokenizer, spelled)


def _shared(ids: list[list[int]]) -> int:
    """How many tokens all rows begin with; at least one of each row is left."""
    first, last = min(ids), max(ids)  # in lexicographic order: what these two share, all share
    equal = [left == right for left, right in zip(first, last, strict=False)]
    return min([*equal, False].index(False), min(map(len, ids)) - 1)


def _begin(model: Any, ids: list[int]) -> Any:
    """Keys and values of the tokens that all prompts begin with: the question, and examples if any."""
    import torch

    tokens = torch.tensor([ids], device=model.device)
    with torch.inference_mode():
        return model(input_ids=tokens, use_cache=True, logits_to_keep=1).past_key_values


def _node_probabilities(
    model: Any, ids: list[list[int]], tree: AnswerTree, begun: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each of the tree's tokens after every inner node, float32 (rows, nodes, tokens), and
    of going on with a digit there, (rows, nodes). `ids` follow the tokens of `begun`, where there are any.

    All nodes of a tree go through the model in one pass behind the prompt, each attending to the prompt
    and to its own ancestors only, so the prompt's keys and values are computed once.
    """
    import torch

    rows, nodes = len(ids), len(tree.paths)
    tokens, real, positions = left_padded(ids)
    if begun is not None:
        shared = begun.get_seq_length()
        begun = deepcopy(begun)
        begun.batch_repeat_interleave(rows)
        real = torch.cat([torch.ones(rows, shared, dtype=real.dtype), real], dim=1)
        positions = positions + shared
    inputs: dict[str, Any] = {"input_ids": tokens, "attention_mask": real, "position_ids": positions}
    if nodes > 1:
        extra = torch.tensor([path[-1] for path in tree.paths[1:]], dtype=torch.long)
        depths = torch.tensor([len(path) for path in tree.paths[1:]], dtype=torch.long)
        inputs = {
            "input_ids": torch.cat([tokens, extra.expand(rows, -1)], dim=1),
            "position_ids": torch.cat([positions, positions[:, -1:] + depths], dim=1),
            "attention_mask": _tree_mask(real, tree, model.dtype)[:, :, real.shape[1] - tokens.shape[1] :],
        }
    with torch.inference_mode():
        inputs = {name: value.to(model.device) for name, value in inputs.items()}
        cached = {"past_key_values": begun, "use_cache": begun is not None}
        logits = model(**inputs, **cached, logits_to_keep=nodes).logits.float()
        whole = logits.logsumexp(dim=-1, keepdim=True)
        steps = (logits[..., tree.tokens] - whole).exp()
        goes_on = (logits[..., tree.longer].logsumexp(dim=-1) - whole[..., 0]).exp()
        return steps.cpu().numpy(), goes_on.cpu().numpy()


def _tree_mask(real: torch.Tensor, tree: AnswerTree, dtype: torch.dtype) -> torch.Tensor:
    """Additive attention mask of shape (rows, 1, length, length): prompt causal, nodes see ancestors."""
    import torch

    rows, width = real.shape
    length = width + len(tree.paths) - 1
    visible = torch.zeros(rows, length, length, dtype=torch.bool)
    visible[:, :width, :width] = torch.tril(torch.ones(width, width, dtype=torch.bool))
    visible[:, width:, :width] = True
    visible[:, :, :width] &= real[:, None, :].bool()
    for node in range(1, len(tree.paths)):
        ancestor = node
        while ancestor > 0:
            visible[:, width + node - 1, width + ancestor - 1] = True
            ancestor = tree.parents[ancestor]
    mask = torch.zeros(rows, 1, length, length, dtype=dtype)
    return mask.masked_fill_(~visible[:, None], torch.finfo(dtype).min)


def _masses(steps: np.ndarray, goes_on: np.ndarray, tree: AnswerTree) -> np.ndarray:
    """Probability of each answer, (rows, answers), from what `_node_probabilities` gives."""
    rows, nodes, _ = steps.shape
    reach = np.ones((rows, nodes))
    for node in range(1, nodes):
        parent = tree.parents[node]
        reach[:, node] = reach[:, parent] * steps[:, parent, tree.steps[node]]
    parents, tokens = np.array(tree.ends).T
    masses = reach[:, parents] * steps[:, parents, tokens]
    inner = np.array(tree.inner)
    longer = np.flatnonzero(inner >= 0)  # with which a longer one begins, and which end here
    masses[:, longer] *= 1 - goes_on[:, inner[longer]]
    return masses
