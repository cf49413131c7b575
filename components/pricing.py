"""Prompt, completion, parser, and the price distribution that a language model holds.

The prompt asks for the price to the nearest dollar, the completion is the number. The model is read as
a distribution over whole-dollar prices: from one forward pass where the tokenizer has the prices as
single tokens, from a prefix tree over their tokens where it has not. The point estimate is the median,
which minimizes the expected absolute error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from components.records import PricewrightError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

QUESTION = "How much does this cost to the nearest dollar?"
ANSWER = "\n\nPrice is $"  # no space after it: tokenizers would glue it to the number
COMPLETION_TOKENS = 8  # of a sampled completion: more than any price takes
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
    answer = tokenizer(ANSWER, add_special_tokens=False).input_ids
    head = tokenizer(prompt.removesuffix(ANSWER)).input_ids
    return [*head[: limit - len(answer)], *answer]


def cut(tokenizer: PreTrainedTokenizerBase, prompt: str, limit: int) -> str:
    """The prompt itself, or, where it has more than `limit` tokens, the text of its `prompt_ids`."""
    if len(tokenizer(prompt).input_ids) <= limit:
        return prompt
    return str(tokenizer.decode(prompt_ids(tokenizer, prompt, limit), skip_special_tokens=True))


def completion_ids(tokenizer: PreTrainedTokenizerBase, completion: str) -> list[int]:
    """Token ids of a completion as they follow `Price is $`, without the end-of-text token.

    Raises PricewrightError for a tokenizer that glues the number to the dollar sign.
    """
    answer = tokenizer(ANSWER, add_special_tokens=False).input_ids
    both = tokenizer(ANSWER + completion, add_special_tokens=False).input_ids
    if both[: len(answer)] != answer:
        raise PricewrightError(
            f"this tokenizer glues {completion!r} to the '$' before it; choose another base"
        )
    return both[len(answer) :]


def answered(tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str) -> list[int]:
    """Token ids of a prompt, a completion and the end-of-text token, as a reward model reads them.

    The reward stands at the completion's last token: the pooling of transformers skips the end-of-text
    token where it is the padding token too, in training (TRL) as in use.
    """
    asked = prompt_ids(tokenizer, prompt, tokenizer.model_max_length)
    answer = tokenizer(completion, add_special_tokens=False).input_ids
    return [*asked, *answer, int(tokenizer.eos_token_id)]


class PriceTree:
    """The prices 0 to `price_max` as paths of tokens.

    `paths[node]` is the token path of an inner node; node 0 is the root, whose path is empty. For each
    price, `ends[price] = (node, token)`: its last token follows that inner node. `inner[price]` is the
    node that the price itself is (when a longer price begins with it), or -1.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, price_max: int) -> None:
        spelled = [tuple(completion_ids(tokenizer, str(price))) for price in range(price_max + 1)]
        prefixes = {path[:cut] for path in spelled for cut in range(len(path))}
        self.paths = sorted(prefixes, key=lambda path: (len(path), path))
        index = {path: node for node, path in enumerate(self.paths)}
        self.parents = [index[path[:-1]] if path else -1 for path in self.paths]
        self.ends = [(index[path[:-1]], path[-1]) for path in spelled]
        self.inner = [index.get(path, -1) for path in spelled]
        pieces = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
        self.digits = [token for token, piece in enumerate(pieces) if piece[:1].isdigit()]


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

    The probability of a price is that of all completions that begin with its digits and go on with
    something other than a digit; a price of the greatest length counts whatever follows it. What the
    model gives to anything but a price from 0 to `price_max` is left out and the rest scaled to 1.
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
    tree = PriceTree(tokenizer, price_max)
    ids = [prompt_ids(tokenizer, text, prompt_tokens) for text in prompts]
    result = np.empty((len(prompts), price_max + 1), dtype=np.float32)
    for rows in batches([len(row) for row in ids], batch_size, title):
        result[rows] = _masses(_node_probabilities(model, [ids[row] for row in rows], tree), tree)
    return result


def quantile(distribution: np.ndarray, q: float) -> np.ndarray:
    """Smallest price in dollars whose cumulative probability reaches `q`, shape (n,); NaN for NaN."""
    reached = np.cumsum(distribution, axis=1, dtype=np.float64) >= min(q, 1 - 1e-6)
    return np.where(np.isnan(distribution[:, 0]), np.nan, reached.argmax(axis=1))


def batches(lengths: list[int], batch_size: int, title: str) -> Iterator[np.ndarray]:
    """Row numbers in batches of similar length, longest first, under a progress bar."""
    from tqdm import tqdm

    order = np.argsort(lengths, kind="stable")[::-1]
    starts = range(0, len(order), batch_size)
    for start in tqdm(starts, desc=title, unit="batch", mininterval=2, leave=False):
        yield order[start : start + batch_size]


def _node_probabilities(model: Any, ids: list[list[int]], tree: PriceTree) -> np.ndarray:
    """Next-token probabilities at every inner node, float32 of shape (rows, nodes, vocabulary).

    All nodes of a tree go through the model in one pass behind the prompt, each attending to the prompt
    and to its own ancestors only, so the prompt's keys and values are computed once.
    """
    import torch

    nodes = len(tree.paths)
    tokens, real, positions = left_padded(ids)
    extra = torch.tensor([path[-1] for path in tree.paths[1:]], dtype=torch.long)
    depths = torch.tensor([len(path) for path in tree.paths[1:]], dtype=torch.long)
    if nodes == 1:
        inputs: dict[str, Any] = {"input_ids": tokens, "attention_mask": real, "position_ids": positions}
    else:
        rows = len(ids)
        inputs = {
            "input_ids": torch.cat([tokens, extra.expand(rows, -1)], dim=1),
            "position_ids": torch.cat([positions, positions[:, -1:] + depths], dim=1),
            "attention_mask": _tree_mask(real, tree, model.dtype),
        }
    with torch.inference_mode():
        inputs = {name: value.to(model.device) for name, value in inputs.items()}
        logits = model(**inputs, use_cache=False, logits_to_keep=nodes).logits
        return torch.softmax(logits.float(), dim=-1).cpu().numpy()


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


def _masses(probabilities: np.ndarray, tree: PriceTree) -> np.ndarray:
    """Probability of each price, (rows, prices), from the next-token probabilities at every node."""
    rows, nodes, _ = probabilities.shape
    reach = np.ones((rows, nodes))
    for node in range(1, nodes):
        reach[:, node] = (
            reach[:, tree.parents[node]] * probabilities[:, tree.parents[node], tree.paths[node][-1]]
        )
    parents = np.array([node for node, _ in tree.ends])
    tokens = np.array([token for _, token in tree.ends])
    masses = reach[:, parents] * probabilities[:, parents, tokens]
    inner = np.array(tree.inner)
    longer = np.flatnonzero(inner >= 0)  # prices with which a longer one begins: the next must be no digit
    goes_on = probabilities[:, inner[longer]][:, :, tree.digits].sum(axis=2)
    masses[:, longer] *= 1 - goes_on
    return masses


# --- text completions --------------------------------------------------------------------------------


def sample(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    *,
    completions: int,
    temperature: float,
    prompt_tokens: int,
    batch_size: int,
    title: str,
) -> list[list[str]]:
    """Sampled completions of each prompt, without special tokens; see `sample_tokens`."""
    ids = [prompt_ids(tokenizer, text, prompt_tokens) for text in prompts]
    sampled = sample_tokens(
        model,
        tokenizer,
        ids,
        completions=completions,
        temperature=temperature,
        batch_size=batch_size,
        title=title,
    )
    return [tokenizer.batch_decode(said, skip_special_tokens=True) for said in sampled]


def sample_tokens(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    ids: list[list[int]],
    *,
    completions: int,
    temperature: float,
    batch_size: int,
    title: str,
) -> list[list[list[int]]]:
    """Sampled completions of each prompt as token ids, up to the end-of-text token and with it, at most
    COMPLETION_TOKENS of them. Draws from torch's global generator; at temperature 0 it draws nothing and
    takes the likeliest token each time.
    """
    import torch

    end = int(tokenizer.eos_token_id)
    result: list[list[list[int]]] = [[] for _ in ids]
    for rows in batches([len(row) for row in ids], batch_size, title):
        tokens, real, _ = left_padded([ids[row] for row in rows])
        with torch.inference_mode():
            output = model.generate(
                input_ids=tokens.to(model.device),
                attention_mask=real.to(model.device),
                do_sample=temperature > 0,
                temperature=temperature or 1.0,
                top_k=0,
                top_p=1.0,
                num_return_sequences=completions,
                max_new_tokens=COMPLETION_TOKENS,
                pad_token_id=end,
            )
        said = [_until(end, row) for row in output[:, tokens.shape[1] :].tolist()]
        for place, row in enumerate(rows):
            result[row] = said[place * completions : (place + 1) * completions]
    return result


def _until(end: int, tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens
