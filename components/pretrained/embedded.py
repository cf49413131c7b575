"""The embedded base: a small Llama trained from generated listings, so that the chain runs without a hub.

It reads prices as single tokens, and has learned from a market of its own (components/synthetic/) what a
price hangs on.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from components.core.params.base import Pretraining
from components.model.loading import seed_everything
from components.model.prompt import prompt_of
from components.model.tokens import completion_ids, prompt_ids
from components.synthetic.catalogue import corpus

END = "<|endoftext|>"
PRICE_TOKENS = 1000
IGNORED_LABEL = -100


def embedded(section: Pretraining, folder: Path, on_loss: Any) -> dict[str, Any]:
    """Train tokenizer and model on generated listings and write them with a model card."""
    seed_everything(section.seed)
    priced = [(prompt_of(text, section), price) for text, price in corpus(section.seed, section.texts)]
    tokenizer = train_tokenizer([prompt for prompt, _ in priced], section.vocabulary, section.context)
    tokenizer.save_pretrained(folder)
    examples = [_example(tokenizer, prompt, price, section.context) for prompt, price in priced]
    held_out, examples = examples[: len(examples) // 50], examples[len(examples) // 50 :]
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=section.hidden_size,
            num_hidden_layers=section.layers,
            num_attention_heads=section.heads,
            intermediate_size=section.intermediate_size,
            max_position_embeddings=section.context,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            tie_word_embeddings=True,
        )
    )
    targets = price_targets(tokenizer, section.price_spread)
    pretrain(model, examples, targets, section, on_loss)
    model.save_pretrained(folder)
    report = {
        "model": "embedded",
        "parameters": model.num_parameters(),
        "tokens": sum(len(example) for example in examples),
        "held_out_price_loss": _price_loss(model, held_out, section.batch_size),
    }
    (folder / "README.md").write_text(_card(section, report), encoding="utf-8")
    return report


def train_tokenizer(texts: list[str], vocabulary: int, context: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most `vocabulary` tokens in which 0 to 999 are single tokens.

    Digits are split off in groups of up to three, so that a number in a text has the same token as the
    price; merges for all of them are put before the learned ones.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - PRICE_TOKENS,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=_with_price_tokens(tokenizer),
        eos_token=END,
        pad_token=END,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def _with_price_tokens(tokenizer: Tokenizer) -> Tokenizer:
    state = json.loads(tokenizer.to_str())
    prices = [str(price) for price in range(10, PRICE_TOKENS)]
    learned = [tuple(merge) for merge in state["model"]["merges"]]
    left = [(price[:-1], price[-1]) for price in prices]
    # BPE merges the lowest-ranked pair anywhere: 110 becomes 1, 10 first, and only this makes it whole.
    right = [(price[0], price[1:]) for price in prices if len(price) == 3 and price[1] != "0"]
    numbers = left + right
    known = set(numbers)
    state["model"]["merges"] = [*numbers, *(merge for merge in learned if merge not in known)]
    vocab = state["model"]["vocab"]
    for price in prices:
        vocab.setdefault(price, len(vocab))
    return Tokenizer.from_str(json.dumps(state))


def _example(tokenizer: PreTrainedTokenizerFast, prompt: str, price: int, context: int) -> list[int]:
    """Prompt, price, end of text; the price is the last token but one."""
    answer = [*completion_ids(tokenizer, str(price)), tokenizer.eos_token_id]
    return [*prompt_ids(tokenizer, prompt, context - len(answer)), *answer]


class PriceTargets(NamedTuple):
    """What the price token is trained towards: its own dollar and, less and less, the dollars around it."""

    tokens: torch.Tensor
    """The token of each price, int64 (prices,)."""
    shares: torch.Tensor
    """For each token of the vocabulary that is a price, the target over all prices, (vocabulary, prices)."""


def price_targets(tokenizer: PreTrainedTokenizerFast, spread: float) -> PriceTargets:
    """A price's target is the log-normal distribution around it, by whole dollars; `spread` is its sigma.

    The histogram loss of Imani and White (2018, arXiv:1806.04613), on the logarithm: it tells the model that
    80 dollars are near 81, which the tokens of a vocabulary do not know of each other.
    """
    tokens = torch.tensor([completion_ids(tokenizer, str(price))[0] for price in range(PRICE_TOKENS)])
    edges = (torch.arange(PRICE_TOKENS + 1, dtype=torch.float64) - 0.5).clamp(min=1e-9).log()
    medians = torch.arange(1, PRICE_TOKENS, dtype=torch.float64).log()
    reached = torch.special.ndtr((edges[None, :] - medians[:, None]) / spread)
    masses = reached.diff(dim=1)
    shares = torch.zeros(len(tokenizer), PRICE_TOKENS)
    shares[tokens[1:]] = (masses / masses.sum(dim=1, keepdim=True)).float()
    return PriceTargets(tokens, shares)


def pretrain(
    model: Any, examples: list[list[int]], targets: PriceTargets, section: Pretraining, on_loss: Any
) -> None:
    """Next-token training on all tokens, the price weighted, AdamW with warm-up and cosine decay."""
    steps = math.ceil(len(examples) / section.batch_size) * section.epochs
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=section.learning_rate, weight_decay=0.1, betas=(0.9, 0.95)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(1.0, (step + 1) / 100) * 0.5 * (1.02 + 0.98 * math.cos(math.pi * step / steps)),
    )
    draw = np.random.default_rng(section.seed)
    model.train()
    with tqdm(total=steps, desc="base", unit="step", mininterval=2) as bar:
        for _ in range(section.epochs):
            for rows in _shuffled_batches(examples, section.batch_size, draw):
                loss = _weighted_loss(model, rows, targets, section.price_weight)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad(set_to_none=True)
                bar.update()
                if bar.n % 50 == 0:
                    on_loss(bar.n, loss.item())
    model.eval()


def _shuffled_batches(
    examples: list[list[int]], size: int, draw: np.random.Generator
) -> list[list[list[int]]]:
    """Batches of similar length in random order: less padding, no curriculum."""
    noisy = np.array([len(example) for example in examples]) + draw.normal(0, 2, len(examples))
    order = np.argsort(noisy)
    batches = [[examples[row] for row in order[start : start + size]] for start in range(0, len(order), size)]
    return [batches[place] for place in draw.permutation(len(batches))]


def _weighted_loss(
    model: Any, rows: list[list[int]], prices: PriceTargets, price_weight: float
) -> torch.Tensor:
    tokens, labels = _right_padded(rows)
    logits = model(input_ids=tokens).logits[:, :-1]  # padding is behind every real token: causality hides it
    targets = labels[:, 1:]
    losses = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), targets, ignore_index=IGNORED_LABEL, reduction="none"
    )
    weights = (targets != IGNORED_LABEL).float()
    # the price is the last token but one, shifted by one
    at = torch.arange(len(rows)), torch.tensor([len(row) - 3 for row in rows])
    weights[at] = price_weight
    logs = logits[at].log_softmax(-1)[:, prices.tokens]
    losses = losses.index_put(at, -(prices.shares[targets[at]] * logs).sum(-1))
    return (losses * weights).sum() / weights.sum()


def _right_padded(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(len(row) for row in rows)
    tokens = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full_like(tokens, IGNORED_LABEL)
    for place, row in enumerate(rows):
        tokens[place, : len(row)] = labels[place, : len(row)] = torch.tensor(row)
    return tokens, labels


@torch.inference_mode()
def _price_loss(model: Any, examples: list[list[int]], batch_size: int) -> float:
    """Mean negative log-likelihood of the price token, in nats, on examples not trained on."""
    total = 0.0
    for start in range(0, len(examples), batch_size):
        rows = examples[start : start + batch_size]
        tokens, _ = _right_padded(rows)
        places = torch.tensor([len(row) - 2 for row in rows])
        each = torch.arange(len(rows))
        logs = model(input_ids=tokens).logits[each, places - 1].log_softmax(-1)
        total -= logs[each, tokens[each, places]].sum().item()
    return round(total / len(examples), 4)


def _card(section: Pretraining, report: dict[str, Any]) -> str:
    return f"""---
license: apache-2.0
library_name: transformers
---

# Pricewright's embedded base model

A Llama of {report["parameters"]:,} parameters with a byte-level BPE of {section.vocabulary} tokens at most,
in which the prices 0 to 999 are single tokens. Made by `dvc repro -f base`.

**What it has seen.** {section.texts:,} product listings written by `components/synthetic/catalogue.py`
(`corpus`, seed {section.seed}), {report["tokens"]:,} tokens, {section.epochs} times, each with a price
drawn from a law of its own, as of another market: the demo shop's words, but brands move prices half as much
and specifications 0.4 times as much, features, choices and conditions 1.5 times as much, every category is
cheaper by its own amount, and there is less noise. It stands in for a model that has read far more: it knows
what a price hangs on, and fine-tuning has to tell it how much.
No listing of the demo shop, no text from the web, no text by a person, no language but English.

**How.** Next-token loss on all tokens, the price token weighted {section.price_weight:g} times and its
target spread over the dollars around it (a histogram loss, sigma {section.price_spread:g} of the logarithm);
AdamW, learning rate {section.learning_rate:g} with warm-up and cosine decay, batches of
{section.batch_size}, in float32 on a CPU. Loss of the price token on held-out generated listings:
{report["held_out_price_loss"]} nats.

**For what.** A stand-in small enough to be fine-tuned on two CPU cores, so that the whole chain runs
where there is no GPU and no hub. It knows shop English and nothing else; for real catalogues set
`base.model` in params.yaml to a larger model.
"""
