"""Completions ranked by their distance to the true price."""

from __future__ import annotations

from components.feedback.truth import ranked_pairs


def ranked(
    completions: list[str], margin_min: float = 5.0, most: int = 9, under_cost: float = 1.0
) -> list[tuple[str, str, float]]:
    return ranked_pairs(completions, 100.0, margin_min=margin_min, most=most, under_cost=under_cost)


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
