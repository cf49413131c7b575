"""Prompt, completion, parser, and the price distribution that a language model holds.

The prompt asks for the price to the nearest dollar, the completion is the number. The model is read as
a distribution over whole-dollar prices: from one forward pass where the tokenizer has the prices as
single tokens, from a prefix tree over their tokens where it has not. The point estimate is the median,
which minimizes the expected absolute error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from components.records import PricewrightError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

QUESTION = "How much does this cost to the nearest dollar?"
ANSWER = "\n\nPrice is $"  # no space after it: tokenizers would glue it to the number
BEFORE = "x"  # a letter: no tokenizer glues one to the line break after it
LOGITS_MAX = 1 << 28  # numbers that a model may write at once: a gigabyte, however large its vocabulary
NUMBER = re.compile(r"\s*\$?(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?")


def prompt(text: str) -> str:
    """The question about one listing."""
    return f"{QUESTION}\n\n{text.strip()}{ANSWER}"


def few_shot(text: str, shots: list[tuple[str, float]]) -> str:
    """The question about one listing after priced examples (text, dollars)."""
    examples = [prompt(shot) + completion(price) for shot, price in shots]
    return "\n\n".join([*examples, prompt(text)])


def completion(price: float) -> str:
    """The answer: whole dollars, rounded half up, no cents and no separators."""
    return str(int(price + 0.5))


def parse(text: str) -> float | None:
    """Dollars at the beginning of a completion, None where it does not begin with a price."""
    found = NUMBER.match(text)
    return float(found.group(1).replace(",", "") + (found.group(2) or "")) if found else None


# --- tokens ------------------------------------------------------------------------------------------


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


def cut(tokenizer: PreTrainedTokenizerBase, prompt: str, limit: int) -> str:
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


def answered(tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str) -> list[int]:
    """Token ids of a prompt, a completion and the end-of-text token, as a reward model reads them.

    The reward stands at the completion's last token: the pooling of transformers skips the end-of-text
    token where it is the padding token too, in training (TRL) as in use.
    """
    asked = prompt_ids(tokenizer, prompt, tokenizer.model_max_length)
    answer = tokenizer(completion, add_special_tokens=False).input_ids
    return [*asked, *answer, int(tokenizer.eos_token_id)]


class PriceTree:
    """The prices 0 to `price_max` as paths of tokens, spelled as the tokenizer itself spells them.

    `paths[node]` is the token path of an inner node; node 0 is the root, whose path is empty. `tokens` are
    all tokens that a price is made of; where one is meant, its place among them stands. `steps[node]` is
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


@lru_cache(maxsize=2)
def _tree(tokenizer: PreTrainedTokenizerBase, price_max: int) -> PriceTree:
    """Kept, for it takes longer to spell a thousand prices than to read one listing."""
    return PriceTree(tokenizer, price_max)


def _digits(tokenizer: PreTrainedTokenizerBase, zero: int) -> list[int]:
    """Tokens that go on with a number after the token of `0`: `5` does, ` 5` does not, though a decoder
    drops the space where the token stands alone.
    """
    begun = len(tokenizer.decode([zero]))
    texts = tokenizer.batch_decode([[zero, token] for token in range(len(tokenizer))])
    return [token for token, text in enumerate(texts) if text[begun : begun + 1].isdecimal()]


# --- the distribution --------------------------------------------------------------------------------


def price_distribution(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    *,
    price_max: int,
    prompt_tokens: int,
    batch_size: int,
    title: str,
) -> np.ndarray:
    """Probability of each whole-dollar price, float32 of shape (prompts, price_max + 1), rows sum to 1.

    The probability of a price is that of all completions that begin with its digits, spelled as the
    tokenizer spells them, and go on with something other than a digit; a price that no longer one begins
    with counts whatever follows it. What the model gives to anything but a price from 0 to `price_max` is
    left out and the rest scaled to 1. A row is NaN where nothing is left.
    """
    masses = price_masses(
        model,
        tokenizer,
        prompts,
        price_max=price_max,
        prompt_tokens=prompt_tokens,
        batch_size=batch_size,
        title=title,
    )
    with np.errstate(invalid="ignore"):
        return masses / masses.sum(axis=1, keepdims=True)


def price_masses(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    *,
    price_max: int,
    prompt_tokens: int,
    batch_size: int,
    title: str,
) -> np.ndarray:
    """`price_distribution` before it is scaled: what is missing to 1 goes to completions that are no price
    from 0 to `price_max`.
    """
    tree = _tree(tokenizer, price_max)
    ids = [prompt_ids(tokenizer, text, prompt_tokens) for text in prompts]
    result = np.empty((len(prompts), price_max + 1), dtype=np.float32)
    at_once = max(1, min(batch_size, LOGITS_MAX // (len(tree.paths) * model.config.vocab_size)))
    shared = _shared(ids) if len(ids) > at_once else 0
    begun = _begin(model, ids[0][:shared]) if shared else None
    for rows in batches([len(row) for row in ids], at_once, title):
        rest = [ids[row][shared:] for row in rows]
        result[rows] = _masses(*_node_probabilities(model, rest, tree, begun), tree)
    return result


def quantile(distribution: np.ndarray, q: float | np.ndarray) -> np.ndarray:
    """Smallest price in dollars whose cumulative probability reaches `q`, shape (n,); NaN for NaN.

    `q` is one level or one for each row.
    """
    levels = np.broadcast_to(np.clip(q, 0.0, 1 - 1e-6), len(distribution))
    reached = np.cumsum(distribution, axis=1, dtype=np.float64) >= levels[:, None]
    return np.where(np.isnan(distribution[:, 0]), np.nan, reached.argmax(axis=1))


def mean(distribution: np.ndarray) -> np.ndarray:
    """Expected price in dollars, which minimizes the expected squared error, shape (n,); NaN for NaN."""
    return distribution @ np.arange(distribution.shape[1], dtype=np.float64)


def mode(distribution: np.ndarray) -> np.ndarray:
    """The likeliest price in dollars, the lowest of equals, shape (n,); NaN for NaN."""
    return np.where(np.isnan(distribution[:, 0]), np.nan, distribution.argmax(axis=1))


POINTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "median": lambda distribution: quantile(distribution, 0.5),
    "mean": mean,
    "mode": mode,
}
"""Ways to say one price for a distribution."""


def batches(lengths: list[int], batch_size: int, title: str) -> Iterator[np.ndarray]:
    """Row numbers in batches of similar length, longest first, under a progress bar."""
    from tqdm import tqdm

    order = np.argsort(lengths, kind="stable")[::-1]
    starts = range(0, len(order), batch_size)
    for start in tqdm(starts, desc=title, unit="batch", mininterval=2, leave=False):
        yield order[start : start + batch_size]


def _shared(ids: list[list[int]]) -> int:
    """With how many tokens all rows begin alike; at least one of each is left."""
    first, last = min(ids), max(ids)  # in the order of a dictionary: what these two share, all share
    alike = [one == other for one, other in zip(first, last, strict=False)]
    return min([*alike, False].index(False), min(map(len, ids)) - 1)


def _begin(model: Any, ids: list[int]) -> Any:
    """Keys and values of what all prompts begin with: the question, and examples where there are some."""
    import torch

    tokens = torch.tensor([ids], device=model.device)
    with torch.inference_mode():
        return model(input_ids=tokens, use_cache=True, logits_to_keep=1).past_key_values


def _node_probabilities(
    model: Any, ids: list[list[int]], tree: PriceTree, begun: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each of the tree's tokens after every inner node, float32 (rows, nodes, tokens), and
    of going on with a digit there, (rows, nodes). `ids` go on after what `_begin` gave, if anything.

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
        goes_on = (logits[..., tree.digits].logsumexp(dim=-1) - whole[..., 0]).exp()
        return steps.cpu().numpy(), goes_on.cpu().numpy()


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


def _tree_mask(real: torch.Tensor, tree: PriceTree, dtype: torch.dtype) -> torch.Tensor:
    """Additive attention mask of shape (rows, 1, length, length): prompt causal, nodes see ancestors."""
    import torch

    rows, width = real.shape
    length = width + len(tree.paths) - 1
    seen = torch.zeros(rows, length, length, dtype=torch.bool)
    seen[:, :width, :width] = torch.tril(torch.ones(width, width, dtype=torch.bool))
    seen[:, width:, :width] = True
    seen[:, :, :width] &= real[:, None, :].bool()
    for node in range(1, len(tree.paths)):
        ancestor = node
        while ancestor > 0:
            seen[:, width + node - 1, width + ancestor - 1] = True
            ancestor = tree.parents[ancestor]
    mask = torch.zeros(rows, 1, length, length, dtype=dtype)
    return mask.masked_fill_(~seen[:, None], torch.finfo(dtype).min)


def _masses(steps: np.ndarray, goes_on: np.ndarray, tree: PriceTree) -> np.ndarray:
    """Probability of each price, (rows, prices), from what `_node_probabilities` gives."""
    rows, nodes, _ = steps.shape
    reach = np.ones((rows, nodes))
    for node in range(1, nodes):
        parent = tree.parents[node]
        reach[:, node] = reach[:, parent] * steps[:, parent, tree.steps[node]]
    parents, tokens = np.array(tree.ends).T
    masses = reach[:, parents] * steps[:, parents, tokens]
    inner = np.array(tree.inner)
    longer = np.flatnonzero(inner >= 0)  # prices with which a longer one begins: the next must be no digit
    masses[:, longer] *= 1 - goes_on[:, inner[longer]]
    return masses
