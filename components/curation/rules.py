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

COMPARED = 100  # listings at most that a listing with the same words and price is compared with


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


class Rejection(NamedTuple):
    """Why a candidate is rejected."""

    rule: str
    reason: str


# --- a single candidate: the reason for which it is refused, or nothing ------------------------------


def no_price(candidate: Candidate, _: Curate) -> str:
    return "" if candidate.written else "the source gives no price"


def unreadable_price(candidate: Candidate, _: Curate) -> str:
    return f"cannot read one price in {candidate.written!r}" if candidate.price is None else ""


def price_not_above_zero(candidate: Candidate, _: Curate) -> str:
    return (
        f"price {candidate.price:g} is not above zero"
        if candidate.price is not None and candidate.price <= 0
        else ""
    )


def other_currency(candidate: Candidate, section: Curate) -> str:
    others = sorted(candidate.currencies - {section.currency})
    if not others or (len(candidate.currencies) == 1 and candidate.currencies <= section.rates.keys()):
        return ""
    return f"price in {' and '.join(others)}, not in {section.currency}"


def price_out_of_range(candidate: Candidate, section: Curate) -> str:
    if candidate.price is None or section.price_min <= candidate.price <= section.price_max:
        return ""
    return f"price {candidate.price:g} is not between {section.price_min:g} and {section.price_max:g}"


def no_text(candidate: Candidate, section: Curate) -> str:
    characters, least = len(candidate.title) + len(candidate.description), section.text_min_characters
    return (
        f"title and description have {characters} characters, fewer than {least}"
        if characters < least
        else ""
    )


RULES: tuple[Callable[[Candidate, Curate], str], ...] = (
    no_price,
    unreadable_price,
    price_not_above_zero,
    other_currency,
    price_out_of_range,
    no_text,
)
NAMES = (*(rule.__name__ for rule in RULES), "exact_duplicate", "near_duplicate", "overfull_price_band")


def first_rejection(candidate: Candidate, section: Curate) -> Rejection | None:
    """By the first rule that refuses the candidate; None where all let it pass."""
    for rule in RULES:
        if reason := rule(candidate, section):
            return Rejection(rule.__name__, reason)
    return None


# --- duplicates --------------------------------------------------------------------------------------


def exact_duplicate(earlier: str, address: str) -> Rejection:
    """Of a candidate that has the words and the price of an earlier candidate."""
    return Rejection("exact_duplicate", f"same words and price as {earlier} ({address})")


def near_duplicates(candidates: list[Candidate], neighbours: Neighbours) -> list[Rejection | None]:
    """For each candidate a rejection where it repeats an earlier candidate that stays, else None.

    Of the earlier ones with the same words, price and numbers the first COMPARED are compared with it.
    """
    adjacent: dict[int, list[int]] = defaultdict(list)
    for left, right in neighbours.pairs.tolist():
        adjacent[left].append(right)
        adjacent[right].append(left)
    sizes = np.bincount(neighbours.first, minlength=len(candidates))
    stay: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    rejections: list[Rejection | None] = []
    for place, (candidate, group) in enumerate(zip(candidates, neighbours.first.tolist(), strict=True)):
        if sizes[group] == 1 and group not in adjacent:
            rejections.append(None)
            continue
        rest = (candidate.price, frozenset(numbers(candidate.description)))
        earlier = [
            other
            for near in (group, *adjacent[group])
            for other in stay.get((near, *rest), [])[:COMPARED]
            if _repeats(candidates[other], candidate)
        ]
        if earlier:
            repeated = candidates[min(earlier)]
            reason = f"like description and same price as {repeated.id} ({repeated.address})"
            rejections.append(Rejection("near_duplicate", reason))
        else:
            stay[(group, *rest)].append(place)
            rejections.append(None)
    return rejections


def _repeats(earlier: Candidate, later: Candidate) -> bool:
    """Whether nothing tells two neighbours apart that have one price and the same numbers in their texts."""
    before, after = numbers(earlier.title), numbers(later.title)
    return (before <= after or after <= before) and all(  # a title may say less, but nothing else
        earlier.details[name] == later.details[name] for name in earlier.details.keys() & later.details.keys()
    )


# --- balance -----------------------------------------------------------------------------------------


def overfull_price_bands(prices: np.ndarray, draws: np.ndarray, balance: Balance) -> dict[int, Rejection]:
    """A rejection for each place that the draw leaves out of a price band that holds more than the mean.

    A place stays with the probability (mean size of the bands / size of its band) ** strength, at most 1.
    `draws` as by `draws_of`, mixed once more so that they are not those of the split.
    """
    if not balance.strength or not len(prices):
        return {}
    bands, which, sizes = np.unique(np.floor(prices / balance.band), return_inverse=True, return_counts=True)
    stays = np.minimum(1.0, len(prices) / len(bands) / sizes) ** balance.strength
    rejections = {}
    for place in np.flatnonzero(mixed(draws) / 2.0**64 >= stays[which]).tolist():
        band = which[place]
        low, high = bands[band] * balance.band, (bands[band] + 1) * balance.band
        reason = f"{sizes[band]} listings cost {low:g} to {high:g}: {stays[band]:.0%} of them are drawn"
        rejections[place] = Rejection("overfull_price_band", reason)
    return rejections
