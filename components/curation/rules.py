"""The rules by which `curate` rejects a listing: small functions that name their reason.

A rule looks at a single candidate, or, for duplicates and price bands, at many. The first rule that rejects
a candidate is the one that is reported. What is predicted has rules of its own: a price or a label.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from components.core.currencies import SHARED
from components.core.params.curate import Balance, Curate
from components.core.params.task import Task
from components.curation.abuse import abusive_word
from components.curation.minhash import Neighbours
from components.curation.personal_data import personal_data as personal_data_in
from components.curation.products import numbers
from components.curation.rights import refusal
from components.curation.shingles import mixed

COMPARED_MAX = 100  # twins with the same target and numbers that a listing is compared with
LABEL_CHARACTERS = 60  # of a label in a reason


class Candidate(NamedTuple):
    """A cleaned listing on its way through the rules."""

    id: str
    title: str
    brand: str
    category: str
    description: str
    details: dict[str, str]
    text: str
    written: str
    """What is predicted, as the source wrote it."""
    target: float | None
    """The price in the currency of `curate`, None where it cannot be read; the place of a label among the
    names, None where it is not there."""
    currencies: set[str]
    """ISO 4217 code that the listing or its price names, or a shared sign; several where they disagree."""
    rights: str
    """What the source states, as in `Listing`."""
    source: str
    address: str


class Rejection(NamedTuple):
    """Why a candidate is rejected."""

    rule: str
    reason: str


# --- a single candidate: the reason why it is rejected, empty where it passes ------------------------


def no_price(candidate: Candidate, *_: Any) -> str:
    return "" if candidate.written else "the source gives no price"


def unreadable_price(candidate: Candidate, *_: Any) -> str:
    return f"cannot read one price in {candidate.written!r}" if candidate.target is None else ""


def other_currency(candidate: Candidate, section: Curate, *_: Any) -> str:
    others = sorted(candidate.currencies - possible_names(section.currency))
    if not others or (len(candidate.currencies) == 1 and candidate.currencies <= section.rates.keys()):
        return ""
    return f"price in {' and '.join(others)}, not in {section.currency}"


def possible_names(code: str) -> set[str]:
    """The code of a currency and the signs that it shares with others."""
    return {code} | {sign for sign, codes in SHARED.items() if code in codes}


def price_out_of_range(candidate: Candidate, _: Curate, task: Task) -> str:
    number = task.number
    if candidate.target is None or number.min <= candidate.target <= number.max:
        return ""
    return f"price {candidate.target:g} is not between {number.min:g} and {number.max:g} (task.number)"


def no_label(candidate: Candidate, _: Curate, task: Task) -> str:
    return "" if candidate.written else f"the source gives no {task.label.column}"


def unknown_label(candidate: Candidate, _: Curate, task: Task) -> str:
    if candidate.target is not None or not task.label.names:
        return ""
    return f"{_quoted(candidate)} is not among task.label.names"


def rare_label(candidate: Candidate, _: Curate, task: Task) -> str:
    if candidate.target is not None:
        return ""
    return f"fewer than {task.label.rows_min} listings have {_quoted(candidate)} (task.label.rows_min)"


def _quoted(candidate: Candidate) -> str:
    return repr(candidate.written[:LABEL_CHARACTERS])


def no_text(candidate: Candidate, section: Curate, *_: Any) -> str:
    characters, least = len(candidate.title) + len(candidate.description), section.text_min_characters
    return (
        f"title and description have {characters} characters, fewer than {least}"
        if characters < least
        else ""
    )


def personal_data(candidate: Candidate, section: Curate, *_: Any) -> str:
    kind = "" if section.personal_data else personal_data_in(_read(candidate))
    return f"its text names {kind}" if kind else ""


def abuse(candidate: Candidate, section: Curate, *_: Any) -> str:
    word = abusive_word(_read(candidate), section.abusive_words)
    return f"its text has the word {word!r}" if word else ""


def rights_reserved(candidate: Candidate, section: Curate, *_: Any) -> str:
    return refusal(candidate.rights, section.rights)


def _read(candidate: Candidate) -> str:
    """All that a model or a page may show of a candidate."""
    details = (part for item in candidate.details.items() for part in item)
    return "\n".join((candidate.title, candidate.description, candidate.brand, *details))


Rule = Callable[[Candidate, Curate, Task], str]
OF_TARGETS: dict[str, tuple[Rule, ...]] = {
    "number": (no_price, unreadable_price, other_currency, price_out_of_range),
    "label": (no_label, unknown_label, rare_label),
}
OF_TEXTS: tuple[Rule, ...] = (no_text, rights_reserved, personal_data, abuse)
OVERLONG = "overlong_line"  # before a listing is cleaned
DUPLICATES = ("exact_duplicate", "near_duplicate")
BANDS = {"number": ("overfull_price_band",), "label": ()}


def names_of(kind: str) -> tuple[str, ...]:
    """The names of the rules on a kind of task, in the order in which they are applied."""
    rules = (*OF_TARGETS[kind], *OF_TEXTS)
    return (OVERLONG, *(rule.__name__ for rule in rules), *DUPLICATES, *BANDS[kind])


NAMES = tuple(dict.fromkeys((*names_of("number"), *names_of("label"))))
"""Of all rules."""


def first_rejection(candidate: Candidate, section: Curate, task: Task) -> Rejection | None:
    """The rejection by the first rule that the candidate fails, None where it passes all."""
    for rule in (*OF_TARGETS[task.kind], *OF_TEXTS):
        if reason := rule(candidate, section, task):
            return Rejection(rule.__name__, reason)
    return None


def overlong_line(name: str, characters: int, limit: int) -> Rejection:
    """The rejection of a listing whose field of that name has too many characters to be cleaned."""
    return Rejection(
        OVERLONG, f"its {name} has {characters:,} characters, more than line_characters_max ({limit:,})"
    )


# --- duplicates --------------------------------------------------------------------------------------


def duplicate(rule: str, kind: str, earlier: str, address: str) -> Rejection:
    """The rejection, by one of DUPLICATES, of a candidate with the words and target of an `earlier` one (its
    id) at that address, or that repeats an earlier near duplicate.
    """
    target = {"number": "price", "label": "label"}[kind]
    alike = {"exact_duplicate": "same words and", "near_duplicate": "like description and same"}[rule]
    return Rejection(rule, f"{alike} {target} as {earlier} ({address})")


def repeated_by(candidates: list[Candidate], neighbours: Neighbours) -> np.ndarray:
    """For each candidate the earlier near duplicate that it repeats and that is kept, itself where there is
    none; int64 (n,).

    Of each group of twins among its near duplicates it is compared with the first COMPARED_MAX that are kept
    and have its target and numbers.
    """
    adjacent: dict[int, list[int]] = defaultdict(list)
    for left, right in neighbours.pairs.tolist():
        adjacent[left].append(right)
        adjacent[right].append(left)
    sizes = np.bincount(neighbours.first, minlength=len(candidates))
    kept: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    repeated = np.arange(len(candidates))
    for position, (candidate, group) in enumerate(zip(candidates, neighbours.first.tolist(), strict=True)):
        if sizes[group] == 1 and group not in adjacent:
            continue
        target_and_numbers = (candidate.target, frozenset(numbers(candidate.description)))
        earlier = [
            before
            for near in (group, *adjacent[group])
            for before in kept.get((near, *target_and_numbers), [])[:COMPARED_MAX]
            if _repeats(candidates[before], candidate)
        ]
        if earlier:
            repeated[position] = min(earlier)
        else:
            kept[(group, *target_and_numbers)].append(position)
    return repeated


def _repeats(earlier: Candidate, later: Candidate) -> bool:
    """Whether two near duplicates of the same target and numbers also agree in title and specifications."""
    before, after = numbers(earlier.title), numbers(later.title)
    return (before <= after or after <= before) and all(  # a title may say less, but nothing else
        earlier.details[name] == later.details[name] for name in earlier.details.keys() & later.details.keys()
    )


# --- balance -----------------------------------------------------------------------------------------


class LeftOut(NamedTuple):
    """Listings that are not drawn, n of them."""

    positions: np.ndarray
    """int64 (n,), ascending."""
    band: np.ndarray
    """int64 (n,): the price band of each, by its place in `reasons`."""
    reasons: list[str]


def overfull_price_bands(prices: np.ndarray, draws: np.ndarray, balance: Balance) -> LeftOut:
    """The listings that the draw leaves out of price bands larger than the mean.

    A listing is kept with the probability (mean size of the bands / size of its band) ** strength, at most 1.
    `draws` are those of `draws_of`, mixed once more so that they are not those of the split.
    """
    if not balance.strength or not len(prices):
        return LeftOut(np.empty(0, np.int64), np.empty(0, np.int64), [])
    bands, which, sizes = np.unique(np.floor(prices / balance.band), return_inverse=True, return_counts=True)
    keep = np.minimum(1.0, len(prices) / len(bands) / sizes) ** balance.strength
    left_out = np.flatnonzero(mixed(draws) / 2.0**64 >= keep[which])
    reasons = [
        f"{size} listings cost {band * balance.band:g} to {(band + 1) * balance.band:g}: {share:.0%} of them "
        "are drawn"
        for band, size, share in zip(bands, sizes, keep, strict=True)
    ]
    return LeftOut(left_out, which[left_out], reasons)
