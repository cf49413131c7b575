from __future__ import annotations

import pandas as pd
import pytest

from components.core.schemas import SPLITS, Split
from components.quality.leakage import GRAM, leaks

SPLIT_TEXTS = {split: [f"{split} " + " ".join(f"{split}{word}" for word in range(30))] for split in SPLITS}
ASKED = SPLIT_TEXTS["test"][0]


def found(trained: list[str], reading: list[str] | None = None) -> dict:
    texts: dict[Split, list[str]] = {**SPLIT_TEXTS, "train": trained}
    splits = {split: pd.DataFrame({"text": texts[split], "split": split}) for split in SPLITS}
    return leaks(splits, reading, 0.8)["test"]


def test_texts_that_share_nothing_leak_nothing() -> None:
    assert found(["a lamp"]) == {"training": {"rows": 1, "exact": 0, "near": 0, "gram": 0, "gram_share": 0.0}}


def test_the_same_words_are_an_exact_leak_whatever_their_signs() -> None:
    again = found(["a lamp", ASKED.upper().replace(" ", ", ")])["training"]
    assert (again["exact"], again["near"], again["gram"], again["gram_share"]) == (1, 1, 1, 1.0)


@pytest.mark.parametrize("order", [1, -1])
def test_nearly_the_same_words_are_a_near_leak_and_no_exact_one(order: int) -> None:
    near = found(["a lamp", ASKED + " again"][::order])["training"]
    assert (near["exact"], near["near"], near["gram_share"]) == (0, 1, 1.0)


def test_a_shared_run_of_words_is_a_leak_of_grams_alone() -> None:
    run = " ".join(ASKED.split()[5 : 5 + GRAM])
    assert found([f"before {run} behind"])["training"]["gram"] == 1
    assert found([f"before {run} behind"])["training"]["near"] == 0
    assert found([f"before {run.rsplit(' ', 1)[0]} behind"])["training"]["gram"] == 0


def test_what_the_base_has_read_is_told_apart_from_what_is_trained_on() -> None:
    both = found(["a lamp"], reading=[ASKED])
    assert (both["training"]["exact"], both["base"]["exact"]) == (0, 1)


def test_the_preference_split_counts_as_training_and_the_other_scored_split_does_not() -> None:
    splits = {split: pd.DataFrame({"text": ["a lamp of oak"], "split": split}) for split in SPLITS}
    for split, expected in (("preference", 1), ("validation", 0)):
        apart = {
            one: rows if one in ("test", split) else rows.assign(text=one) for one, rows in splits.items()
        }
        assert leaks(apart, None, 0.8)["test"]["training"]["exact"] == expected


def test_a_split_without_texts_has_no_leaks() -> None:
    splits = {split: pd.DataFrame({"split": [split]}) for split in SPLITS}
    assert leaks(splits, None, 0.8)["test"]["training"]["rows"] == 0
