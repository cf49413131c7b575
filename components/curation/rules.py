"""The rules by which `curate` refuses a listing: small functions that name their reason.

A rule looks at one candidate, or for the duplicates at all of them. The first rule that refuses decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from components.core.params.curate import Balance, Curate
from components.curation.minhash import Neighbours
from components.curation.products import numbers
from components.curation.shingles import mixed

COMPARED = 100  # listings at most that one with the same words and price is compared with


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
    """The price as written."""
    price: float | None
    """In the currency of `curate`, None where it cannot be read."""
    currencies: set[str]
    """ISO 4217 codes that the listing or its price names."""
    source: str
    address: str


class Verdict(NamedTuple):
    """Why a candidate is refused."""

    rule: str
    reason: str


# --- one candidate: the reason for which it is refused, or nothing -----------------------------------


def no_price(one: Candidate, _: Curate) -> str:
    return "" if one.written else "the source gives no price"


def unreadable_price(one: Candidate, _: Curate) -> str:
    return f"cannot read one price in {one.written!r}" if one.price is None else ""


def price_not_above_zero(one: Candidate, _: Curate) -> str:
    return f"price {one.price:g} is not above zero" if one.price is not None and one.price <= 0 else ""


def other_currency(one: Candidate, section: Curate) -> str:
    others = sorted(one.currencies - {section.currency})
    if not others or (len(one.currencies) == 1 and one.currencies <= section.rates.keys()):
        return ""
    return f"price in {' and '.join(others)}, not in {section.currency}"


def price_out_of_range(one: Candidate, section: Curate) -> str:
    if one.price is None or section.price_min <= one.price <= section.price_max:
        return ""
    return f"price {one.price:g} is not between {section.price_min:g} and {section.price_max:g}"


def no_text(one: Candidate, section: Curate) -> str:
    has, least = len(one.title) + len(one.description), section.text_min_characters
    return f"title and description have {has} characters, fewer than {least}" if has < least else ""


RULES: tuple[Callable[[Candidate, Curate], str], ...] = (
    no_price,
    unreadable_price,
    price_not_above_zero,
    other_currency,
    price_out_of_range,
    no_text,
)
NAMES = (*(rule.__name__ for rule in RULES), "exact_duplicate", "near_duplicate", "overfull_price_band")


def judge(one: Candidate, section: Curate) -> Verdict | None:
    """The first rule that refuses the candidate; None where all take it."""
    for rule in RULES:
        if reason := rule(one, section):
            return Verdict(rule.__name__, reason)
    return None


# --- duplicates --------------------------------------------------------------------------------------


def exact_duplicate(earlier: str, address: str) -> Verdict:
    """On a candidate whose words and price an earlier one has already."""
    return Verdict("exact_duplicate", f"same words and price as {earlier} ({address})")


def near_duplicates(candidates: list[Candidate], alike: Neighbours) -> list[Verdict | None]:
    """A verdict on each candidate that repeats an earlier one that stays.

    Of those that stay with the same words, price and numbers it is compared with the first COMPARED.
    """
    beside: dict[int, list[int]] = defaultdict(list)
    for one, other in alike.pairs.tolist():
        beside[one].append(other)
        beside[other].append(one)
    listed = np.bincount(alike.first, minlength=len(candidates))
    stay: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    verdicts: list[Verdict | None] = []
    for place, (one, group) in enumerate(zip(candidates, alike.first.tolist(), strict=True)):
        if listed[group] == 1 and group not in beside:
            verdicts.append(None)
            continue
        rest = (one.price, frozenset(numbers(one.description)))
        earlier = [
            other
            for near in (group, *beside[group])
            for other in stay.get((near, *rest), [])[:COMPARED]
            if _repeats(candidates[other], one)
        ]
        if earlier:
            repeated = candidates[min(earlier)]
            reason = f"like description and same price as {repeated.id} ({repeated.address})"
            verdicts.append(Verdict("near_duplicate", reason))
        else:
            stay[(group, *rest)].append(place)
            verdicts.append(None)
    return verdicts


def _repeats(one: Candidate, other: Candidate) -> bool:
    """Whether neighbours of the same price with the same numbers in their descriptions say nothing apart."""
    mine, yours = numbers(one.title), numbers(other.title)
    return (mine <= yours or yours <= mine) and all(  # a title may say less, but nothing else
        one.details[name] == other.details[name] for name in one.details.keys() & other.details.keys()
    )


# --- balance -----------------------------------------------------------------------------------------


def overfull_price_bands(prices: np.ndarray, draws: np.ndarray, balance: Balance) -> dict[int, Verdict]:
    """A verdict on each place that the draw leaves out of a price band that holds more than the mean.

    A place stays with the probability (mean size of the bands / size of its band) ** strength, at most 1.
    `draws` as by `draws_of`, mixed once more so that they are not those of the split.
    """
    if not balance.strength or not len(prices):
        return {}
    bands, which, sizes = np.unique(np.floor(prices / balance.band), return_inverse=True, return_counts=True)
    stays = np.minimum(1.0, len(prices) / len(bands) / sizes) ** balance.strength
    verdicts = {}
    for place in np.flatnonzero(mixed(draws) / 2.0**64 >= stays[which]).tolist():
        band = which[place]
        low, high = bands[band] * balance.band, (bands[band] + 1) * balance.band
        reason = f"{sizes[band]} listings cost {low:g} to {high:g}: {stays[band]:.0%} of them are drawn"
        verdicts[place] = Verdict("overfull_price_band", reason)
    return verdicts
