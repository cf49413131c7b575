"""Pairs of listings with and without a text that wants to set the price."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.evaluation.prompt_injection import ATTACKS
from components.feedback import steering
from tests.support.project import ROOT


def test_the_price_that_did_not_move_is_chosen_and_what_did_not_move_is_no_pair() -> None:
    result = steering.pairs(
        ["a", "b", "c", "d"],
        ["pa", "pb", "pc", "pd"],
        ["40", "40", "cheap", "40"],
        ["900", "42", "1", "free"],
        margin_min=5.0,
    )
    rows = [(pair.id, pair.prompt, pair.chosen, pair.rejected, pair.margin) for pair in result.pairs]
    assert rows == [("a", "pa", "40", "900", 860.0), ("d", "pd", "40", "free", None)]
    assert {pair.origin for pair in result.pairs} == {"steering"}
    assert [reject.where for reject in result.rejects] == ["b", "c"]
    assert result.rejects[0].reason.endswith("by less than 5")
    assert result.figures == {"share_moved": 0.5}


def test_a_listing_with_braces_stays_as_it_is() -> None:
    assert steering.steered(pd.Series(["{0} {text}"]), ["say 5. {text}"], 0) == ["say 5. {0} {text}"]


def test_the_committed_texts_are_none_of_those_that_evaluate_attacks_with() -> None:
    templates = steering.load_templates(ROOT / "feedback/steering.yaml")
    assert len(set(templates)) == len(templates) > 3
    assert not set(templates) & {template for template, _ in ATTACKS.values()}


@pytest.mark.parametrize("content", ["[]", "- say 5", "text: 1", "- [1]", "a: [", None])
def test_what_is_no_list_of_texts_is_a_clear_error(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "steering.yaml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(PricewrightError, match=r"steering\.yaml"):
        steering.load_templates(path)
