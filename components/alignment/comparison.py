"""The outcome of an alignment run: the kept policy against the SFT model and its controls, row by row."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from components.alignment.controls import entropy, matching_temperature, tempered
from components.alignment.rewards import expected, read_answers
from components.evaluation.metrics import paired_difference
from components.evaluation.resampling import Products
from components.model import adapters, loading, sampling
from components.model.answers import AnswerSet
from components.model.distribution import answer_masses, given_an_answer
from components.model.examples import PromptIds

WAYS = ("point", "greedy")
"""Ways to an answer without sampling: the answer with the lowest expected loss (the median of numbers, the
likeliest label), and the likeliest completion."""

Errors = dict[str, np.ndarray]
"""Each (rows,), as `AnswerSet.loss` counts: of the `point`, of the `greedy` completion (NaN
where that is no answer), and of a `sampled` completion, in expectation; and the probability that such a
completion is `malformed`."""


class Answers(NamedTuple):
    """What an adapter answers to each prompt."""

    masses: np.ndarray
    """Of `answer_masses`, (rows, answers)."""
    greedy: list[str]
    sampled: list[str]
    """At temperature 1."""


def answers(
    model: Any,
    tokenizer: Any,
    adapter: str,
    prompts: list[PromptIds],
    spelled: tuple[str, ...],
    *,
    batch_size: int,
    seed: int,
) -> Answers:
    """The answers of an adapter; whichever it is, the draws are those of the seed."""
    common: tuple[Any, ...] = (model, tokenizer, prompts)
    sizes: dict[str, Any] = {"completions": 1, "batch_size": batch_size}
    sizes["new_tokens"] = sampling.room_for(tokenizer, spelled)
    with adapters.use_adapter(model, adapter):
        masses = answer_masses(model, tokenizer, prompts, spelled, batch_size=batch_size, title="reading")
        greedy = sampling.complete(*common, temperature=0.0, title="greedy", **sizes)
        loading.seed_everything(seed)
        sampled = sampling.complete(*common, temperature=1.0, title="sampling", **sizes)
    return Answers(masses, [texts[0] for texts in greedy], [texts[0] for texts in sampled])


def errors(
    own: Answers, true: np.ndarray, answer_set: AnswerSet, under_cost: float, temperature: float = 1.0
) -> Errors:
    """The errors of answers against the truth, (rows,), where sampled at a temperature; an answer below the
    truth counts `under_cost` times.
    """
    masses = own.masses if temperature == 1 else tempered(own.masses, temperature)
    likeliest = answer_set.clipped(read_answers(own.greedy, answer_set))
    error, malformed = expected(masses, own.sampled, true, answer_set, answer_set.loss_max, under_cost)
    points = {"point": answer_set.point(given_an_answer(masses)), "greedy": likeliest}
    off = {way: answer_set.loss(true, point, under_cost) for way, point in points.items()}
    return {**off, "sampled": error, "malformed": malformed}


def outcome(
    sft: Answers,
    aligned: Answers,
    continued: Answers,
    true: np.ndarray,
    products: Products,
    answer_set: AnswerSet,
    *,
    under_cost: float,
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """`against_sft` of the answers of SFT, of the aligned policy and of SFT continued, with the temperature
    and the entropy of each control. `true` and `products` are (rows,).
    """
    sharpness = entropy(aligned.masses)
    plain = {"sft_tempered": sft, "sft_continued": continued}
    temperatures = {name: matching_temperature(own.masses, sharpness) for name, own in plain.items()}
    result = against_sft(
        errors(sft, true, answer_set, under_cost),
        errors(aligned, true, answer_set, under_cost),
        {name: errors(own, true, answer_set, under_cost, temperatures[name]) for name, own in plain.items()},
        products,
        bootstrap=bootstrap,
        seed=seed,
    )
    for name, own in plain.items():
        result["controls"][name] |= {
            "temperature": temperatures[name],
            "entropy": entropy(tempered(own.masses, temperatures[name])),
        }
    return result | {"entropy": sharpness}


def against_sft(
    sft: Errors,
    aligned: Errors,
    controls: dict[str, Errors],
    products: Products,
    *,
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """Mean errors and their paired differences, aligned minus SFT, with 95% intervals over `products`,
    (rows,); under `controls` the same against each control.

    `may_win`: neither by its point nor greedily is the aligned policy worse, in error or in readable answers.
    What is worse at either is never picked, however well it samples. `helps`: it may win, and against every
    control its sampled answer errs less by the whole interval, and its point no more.
    """
    options: dict[str, Any] = {"bootstrap": bootstrap, "seed": seed}
    compared = {way: compare("sft", sft[way], aligned[way], products, **options) for way in sft}
    beside = {
        name: {way: compare(name, own[way], aligned[way], products, **options) for way in own}
        for name, own in controls.items()
    }
    may_win = not any(_is_worse(compared[way], sft[way], aligned[way]) for way in WAYS)
    helps = may_win and all(_is_beaten(control) for control in beside.values())
    return {**compared, "controls": beside, "may_win": may_win, "helps": helps}


def _is_worse(compared: dict[str, Any], sft: np.ndarray, aligned: np.ndarray) -> bool:
    fewer_answers = bool(np.isnan(aligned).sum() > np.isnan(sft).sum())
    return fewer_answers or (compared["difference"] is not None and compared["difference"]["mean"] > 0)


def _is_beaten(control: dict[str, dict[str, Any]]) -> bool:
    sampled, point = (control[way]["difference"] for way in ("sampled", "point"))
    return bool(sampled and point) and sampled["high"] < 0 and point["mean"] <= 0


def compare(
    name: str, rival: np.ndarray, aligned: np.ndarray, products: Products, *, bootstrap: int, seed: int
) -> dict[str, Any]:
    """Means over the rows that both have, that of the rival under its `name`, that of the aligned policy with
    its interval, and their paired difference; None where there is no such row.
    """
    both = ~(np.isnan(rival) | np.isnan(aligned))
    if not both.any():
        return dict.fromkeys((name, "aligned", "aligned_low", "aligned_high", "difference"))
    options: dict[str, Any] = {"bootstrap": bootstrap, "seed": seed}
    own = paired_difference(aligned[both], np.zeros(int(both.sum())), products[both], **options)
    gap = paired_difference(aligned[both], rival[both], products[both], **options)
    return {
        name: float(rival[both].mean()),
        "aligned": float(aligned[both].mean()),
        "aligned_low": own[1],
        "aligned_high": own[2],
        "difference": dict(zip(("mean", "low", "high"), gap, strict=True)),
    }
