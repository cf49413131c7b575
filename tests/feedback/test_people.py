"""Rankings by people: agreement, majority, bad lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import PricewrightError
from components.feedback import people
from components.feedback.result import Preferences


def line(annotator: str, ranks: Any, completions: Any = ("90", "300"), prompt: str = "p") -> dict[str, Any]:
    completions = list(completions) if isinstance(completions, tuple) else completions
    return {"prompt": prompt, "completions": completions, "ranks": ranks, "annotator": annotator}


def read(tmp_path: Path, *lines: Any) -> Preferences:
    path = tmp_path / "rankings.jsonl"
    texts = [text if isinstance(text, str) else json.dumps(text) for text in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    return people.pairs(path)


def chosen(result: Preferences) -> list[tuple[str, str, float | None]]:
    return [(pair.chosen, pair.rejected, pair.margin) for pair in result.pairs]


def test_a_ranking_becomes_its_pairs_best_over_worse(tmp_path: Path) -> None:
    result = read(tmp_path, line("ann", [2, 1, 3], ("90", "100", "?")))
    assert sorted(chosen(result)) == [("100", "90", 1), ("100", "?", 1), ("90", "?", 1)]
    assert {pair.origin for pair in result.pairs} == {"people"}


def test_the_majority_decides_whatever_the_order_of_the_answers(tmp_path: Path) -> None:
    votes = [line("ann", [1, 2]), line("bob", [1, 2], ("300", "90")), line("cat", [2, 1], ("300", "90"))]
    result = read(tmp_path, *votes)
    assert chosen(result) == [("90", "300", 1)]
    assert result.figures["annotators"] == 3


def test_a_tie_drops_out_with_a_reason(tmp_path: Path) -> None:
    result = read(tmp_path, line("ann", [1, 2]), line("bob", [2, 1]))
    assert result.pairs == []
    assert [reject.reason for reject in result.rejects] == ["a tie between '300' and '90'"]


def test_agreement_is_cohens_kappa_worked_out_by_hand(tmp_path: Path) -> None:
    """Four prompts, one disagreement: seen 3/4, by chance 1/2 * 3/4 + 1/2 * 1/4 = 1/2, kappa 1/2."""
    first, second = [1, 2], [2, 1]
    ranks_of = {"ann": (first, first, second, second), "bob": (first, first, first, second)}
    ann, bob = (
        [line(annotator, ranks, prompt=name) for name, ranks in zip("abcd", own, strict=True)]
        for annotator, own in ranks_of.items()
    )
    assert read(tmp_path, *ann, *bob).figures["agreement"] == pytest.approx(0.5)


def test_one_annotator_agrees_with_nobody_and_two_who_agree_agree_wholly(tmp_path: Path) -> None:
    assert read(tmp_path, line("ann", [1, 2])).figures["agreement"] is None
    assert read(tmp_path, line("ann", [1, 2]), line("bob", [1, 2])).figures["agreement"] == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line("bad", [1], ("90",)), "1 completion: there is nothing to compare"),
        (line("bad", [1, 2], ("90", "90")), "two completions are equal"),
        (line("bad", None), "ranks are missing"),
        ({"prompt": "p", "completions": ["90", "300"], "annotator": "bad"}, "ranks are missing"),
        (line("bad", [1]), "ranks are missing"),
        (line("bad", [1, 0]), "whole numbers from 1"),
        (line("bad", [1, "2"]), "whole numbers from 1"),
        (line("bad", [1, 2], "90"), "have to be text"),
        (line("ann", [1, 2]), "a second ranking of the same prompt by ann"),
        ("{", "no JSON object"),
        ("[1]", "no JSON object"),
        ('{"prompt": "p"}', "no JSON object"),
    ],
)
def test_a_bad_line_is_rejected_with_its_number_and_a_reason(tmp_path: Path, bad: Any, reason: str) -> None:
    result = read(tmp_path, line("ann", [1, 2]), bad)
    assert chosen(result) == [("90", "300", 1)]
    [reject] = result.rejects
    assert reject.where.endswith("rankings.jsonl:2")
    assert reason in reject.reason


def test_an_annotator_who_always_answers_1_is_rejected_and_outvotes_nobody(tmp_path: Path) -> None:
    lazy = [line("lazy", [1, 1], prompt=name) for name in "pq"]
    result = read(tmp_path, line("ann", [1, 2]), *lazy)
    assert chosen(result) == [("90", "300", 1)]
    assert [reject.reason for reject in result.rejects] == ["lazy gives every completion the same rank"] * 2
    assert result.figures["annotators"] == 1


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(PricewrightError, match="python -m components.feedback.annotate"):
        people.pairs(tmp_path / "none.jsonl")
