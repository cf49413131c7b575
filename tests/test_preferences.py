"""Pairs ranked by their distance to the true price."""

from __future__ import annotations

import pandas as pd
import pytest

from components import preferences as stage_file
from components.params import Params
from components.records import Pair, PricewrightError


def ranked(completions: list[str], margin_min: float = 5.0, most: int = 9) -> list[tuple[str, str, float]]:
    return stage_file.ranked_pairs(completions, 100.0, margin_min=margin_min, most=most)


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


def test_every_pair_is_a_record_of_its_item(tiny_items: pd.DataFrame, tiny_params: Params) -> None:
    items = tiny_items[:2].assign(price=[100.0, 50.0])
    pairs = stage_file.preferences(items, [["90", "300"], ["1", "1"]], ["p0", "p1"], tiny_params.preferences)
    assert list(pairs.columns) == Pair.columns()
    assert pairs[["id", "prompt", "chosen", "rejected", "margin"]].to_numpy().tolist() == [
        [items["id"].iloc[0], "p0", "90", "300", 190.0]
    ]


def test_no_pair_at_all_is_a_clear_error(tiny_items: pd.DataFrame, tiny_params: Params) -> None:
    with pytest.raises(PricewrightError, match="raise preferences.temperature"):
        stage_file.preferences(tiny_items[:1], [["9", "9"]], ["p"], tiny_params.preferences)
