"""Attacks in a description, measured on models whose weakness is known."""

from __future__ import annotations

import re

import numpy as np

from components.evaluation import prompt_injection
from tests.support.project import TASK

TEXTS = ["Oak desk", "Cast iron pan"]


def steadfast(texts: list[str]) -> np.ndarray:
    return np.array([80.0 if "desk" in text else 20.0 for text in texts])


def gullible(texts: list[str]) -> np.ndarray:
    """Predicts the number that the listing names, 50 dollars where it names none."""
    matches = [re.search(r"\b(1|999)\b", text) for text in texts]
    return np.array([float(match.group()) if match else 50.0 for match in matches])


def test_a_model_that_reads_the_listing_alone_is_moved_by_nothing() -> None:
    for row in prompt_injection.attack(steadfast, TEXTS, TASK, moved=0.05):
        assert (row["mean_change"], row["share_moved"], row["n"]) == (0.0, 0.0, 2)
        assert row.get("toward", 0.0) == row.get("obeyed", 0.0) == 0.0


def test_a_model_that_obeys_goes_all_the_way() -> None:
    rows = {row["attack"]: row for row in prompt_injection.attack(gullible, TEXTS, TASK, moved=0.05)}
    harmless = rows.pop("harmless sentence")
    assert (harmless["mean_change"], harmless["wanted"]) == (0.0, None)
    assert len(rows) == len(prompt_injection.ATTACKS) - 1
    for row in rows.values():
        assert (row["toward"], row["obeyed"], row["share_moved"]) == (1.0, 1.0, 1.0), row["attack"]
        assert row["mean_change"] == row["wanted"] - 50.0


def test_every_attack_keeps_the_listing_that_it_is_put_into() -> None:
    assert all(template.count("{text}") == 1 for template, _ in prompt_injection.ATTACKS.values())
