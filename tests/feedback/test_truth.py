"""Completions ranked by their distance to the true price."""

from __future__ import annotations

import pandas as pd

from components.feedback.truth import pairs, ranked_pairs
from components.model.labels import Labels
from tests.support.project import whole


def ranked(
    completions: list[str], margin_min: float = 5.0, most: int = 9, under_cost: float = 1.0
) -> list[tuple[str, str, float]]:
    return ranked_pairs(
        completions, 100.0, whole(999), margin_min=margin_min, most=most, under_cost=under_cost
    )


def test_the_closer_completion_is_chosen_and_the_margin_is_in_dollars() -> None:
    assert ranked(["90", "130"]) == [("90", "130", 20.0)]


def test_the_widest_margins_come_first_and_only_so_many() -> None:
    assert ranked(["100", "110", "150"], most=2) == [("100", "150", 50.0), ("110", "150", 40.0)]


def test_ties_and_small_margins_are_left_out() -> None:
    assert ranked(["90", "110", "90", "93"]) == []
    assert ranked(["90", "110"], margin_min=0.0) == []


def test_an_unreadable_completion_loses_to_every_readable_one() -> None:
    assert ranked(["cheap", "999", "300"]) == [
        ("300", "cheap", 799.0),
        ("300", "999", 699.0),
        ("999", "cheap", 100.0),
    ]


def test_selling_too_cheap_may_cost_more_than_asking_too_much() -> None:
    assert ranked(["90", "115"]) == [("90", "115", 5.0)]
    assert ranked(["90", "115"], under_cost=2.0) == [("115", "90", 5.0)]


NAMES = Labels(("Home", "Home Garden", "Toys"))


def test_the_right_label_is_chosen_and_one_wrong_label_is_no_better_than_another() -> None:
    options = {"margin_min": 0.0, "most": 9, "under_cost": 3.0}
    texts = [" Toys", " Home Garden", " Home", " Homes", " Toys"]
    assert ranked_pairs(texts, 1.0, NAMES, **options) == [
        (" Home Garden", " Homes", 2.0),
        (" Home Garden", " Toys", 1.0),
        (" Home Garden", " Home", 1.0),
        (" Toys", " Homes", 1.0),
        (" Home", " Homes", 1.0),
    ]
    assert ranked_pairs([" Toys", " Home"], 1.0, NAMES, **options) == []
    assert ranked_pairs([" Toys", " Home"], 2.0, NAMES, **options) == [(" Toys", " Home", 1.0)]


def test_a_prompt_whose_labels_are_all_wrong_or_all_right_gives_no_pair() -> None:
    texts = [[" Home", " Toys"], [" Home", " Home Garden"], [" Toys", " Toys and games"]]
    sampled = pd.DataFrame({"id": list("abc"), "prompt": list("xyz"), "completions": texts})
    found = pairs(
        sampled, pd.Series({"a": 0.0, "b": 2.0, "c": 2.0}), NAMES, margin_min=0.5, most=2, under_cost=1.0
    )
    assert [(pair.id, pair.chosen, pair.rejected, pair.margin) for pair in found.pairs] == [
        ("a", " Home", " Toys", 1.0)
    ]
    assert [reject.where for reject in found.rejects] == ["b", "c"]
    assert found.figures == {"median_margin": 1.0}
