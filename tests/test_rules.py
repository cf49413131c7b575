from __future__ import annotations

import numpy as np
import pytest

from components.params import Curate, Shares
from components.rules import NAMES, Candidate, exact_duplicates, judge, near_duplicates

SECTION = Curate(
    seed=1,
    currency="USD",
    price_min=1.0,
    price_max=999.0,
    text_min_characters=20,
    text_max_characters=900,
    near_duplicate_similarity=0.8,
    shares=Shares(train=0.64, preference=0.1, validation=0.13, test=0.13),
)
LAMP = Candidate(
    id="a",
    title="Oak lamp 40W",
    brand="Lumo",
    category="Lamps",
    description="A lamp of oak with 2 switches",
    details={"Power": "40 W"},
    text="Oak lamp 40W\nBrand: Lumo.\nA lamp of oak with 2 switches",
    written="$40",
    price=40.0,
    currencies={"USD"},
    source="files",
    address="a:1",
)
PAIR = np.array([[0, 1]])


def test_a_sound_candidate_is_taken() -> None:
    assert judge(LAMP, SECTION) is None
    assert judge(LAMP._replace(currencies=set()), SECTION) is None


@pytest.mark.parametrize(
    ("rule", "change", "said"),
    [
        ("no_price", {"written": "", "price": None}, "no price"),
        ("unreadable_price", {"written": "call", "price": None}, "'call'"),
        ("price_not_above_zero", {"price": 0.0}, "not above zero"),
        ("price_not_above_zero", {"price": -3.0}, "-3"),
        ("price_out_of_range", {"price": 0.99}, "not between 1 and 999"),
        ("price_out_of_range", {"price": 999.01}, "999.01"),
        ("other_currency", {"currencies": {"USD", "EUR"}}, "in EUR, not in USD"),
        ("no_text", {"title": "", "description": ""}, "0 characters"),
        ("no_text", {"title": "Lamp", "description": "Red"}, "7 characters, fewer than 20"),
    ],
)
def test_each_rule_refuses_its_fault_and_says_why(rule: str, change: dict, said: str) -> None:
    verdict = judge(LAMP._replace(**change), SECTION)
    assert verdict is not None
    assert verdict.rule == rule
    assert said in verdict.reason
    assert rule in NAMES


def test_of_several_faults_the_first_rule_is_the_reason() -> None:
    verdict = judge(LAMP._replace(written="", price=None, title="", description=""), SECTION)
    assert verdict is not None
    assert verdict.rule == "no_price"


def test_the_same_words_at_the_same_price_are_an_exact_duplicate() -> None:
    again = LAMP._replace(id="b", text="OAK lamp, 40w! Brand: Lumo. A lamp of oak with 2 switches")
    dearer = again._replace(id="c", price=41.0)
    verdicts = exact_duplicates([LAMP, again, dearer])
    assert [verdict and verdict.rule for verdict in verdicts] == [None, "exact_duplicate", None]
    assert verdicts[1] is not None
    assert "a (a:1)" in verdicts[1].reason


def test_another_title_over_a_like_description_at_the_same_price_repeats_a_listing() -> None:
    verdicts = near_duplicates([LAMP, LAMP._replace(id="b", title="Oak lamp bestseller", details={})], PAIR)
    assert [verdict and verdict.rule for verdict in verdicts] == [None, "near_duplicate"]


@pytest.mark.parametrize(
    "change",
    [
        {"price": 41.0},
        {"title": "Oak lamp 60W"},
        {"description": "A lamp of oak with 3 switches"},
        {"details": {"Power": "60 W"}},
    ],
)
def test_a_neighbour_with_another_price_number_or_specification_is_another_listing(change: dict) -> None:
    assert near_duplicates([LAMP, LAMP._replace(id="b", **change)], PAIR) == [None, None]


def test_a_listing_is_not_refused_for_repeating_one_that_was_refused_itself() -> None:
    middle = LAMP._replace(id="b", title="Oak lamp")
    last = LAMP._replace(id="c", title="Oak lamp 60W")  # repeats the middle one, not the first
    verdicts = near_duplicates([LAMP, middle, last], np.array([[0, 1], [0, 2], [1, 2]]))
    assert [verdict is None for verdict in verdicts] == [True, False, True]
