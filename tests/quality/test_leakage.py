from __future__ import annotations

import pandas as pd
import pytest

from components.core.schemas import SPLITS, Split
from components.quality.leakage import GRAM, measure_leakage

SPLIT_TEXTS = {split: [f"{split} " + " ".join(f"{split}{word}" for word in range(30))] for split in SPLITS}
TEST_TEXT = SPLIT_TEXTS["test"][0]


def leakage(train_texts: list[str], corpus: list[str] | None = None) -> dict:
    texts: dict[Split, list[str]] = {**SPLIT_TEXTS, "train": train_texts}
    splits = {split: pd.DataFrame({"text": texts[split], "split": split}) for split in SPLITS}
    return measure_leakage(splits, corpus, 0.8, 0.5)["test"]


def test_texts_that_share_nothing_leak_nothing() -> None:
    assert leakage(["a lamp"]) == {
        "training": {"rows": 1, "exact": 0, "nearest": 0, "near": 0, "gram": 0, "gram_share": 0.0}
    }


def test_the_same_words_are_an_exact_leak_whatever_the_punctuation() -> None:
    training = leakage(["a lamp", TEST_TEXT.upper().replace(" ", ", ")])["training"]
    assert (training["exact"], training["near"], training["gram"], training["gram_share"]) == (1, 1, 1, 1.0)


def test_a_similar_text_is_near_and_only_one_with_hardly_another_word_is_nearest() -> None:
    words = TEST_TEXT.split()
    for changed, expected in ((5, (0, 1)), (31, (1, 1))):  # in the middle a word is in three shingles
        words_read = [*words[:changed], "other", *words[changed + 1 :]]
        training = leakage([" ".join(words_read)])["training"]
        assert (training["nearest"], training["near"]) == expected


@pytest.mark.parametrize("order", [1, -1])
def test_nearly_the_same_words_are_a_near_leak_and_no_exact_one(order: int) -> None:
    training = leakage(["a lamp", TEST_TEXT + " again"][::order])["training"]
    assert (training["exact"], training["near"], training["gram_share"]) == (0, 1, 1.0)


def test_a_shared_run_of_words_is_a_leak_of_grams_alone() -> None:
    run = " ".join(TEST_TEXT.split()[5 : 5 + GRAM])
    assert leakage([f"before {run} behind"])["training"]["gram"] == 1
    assert leakage([f"before {run} behind"])["training"]["near"] == 0
    assert leakage([f"before {run.rsplit(' ', 1)[0]} behind"])["training"]["gram"] == 0


def test_texts_of_the_base_are_counted_apart_from_those_of_training() -> None:
    both = leakage(["a lamp"], corpus=[TEST_TEXT])
    assert (both["training"]["exact"], both["base"]["exact"]) == (0, 1)


def test_the_preference_split_counts_as_training_and_the_other_scored_split_does_not() -> None:
    splits = {split: pd.DataFrame({"text": ["a lamp of oak"], "split": split}) for split in SPLITS}
    for split, expected in (("preference", 1), ("validation", 0)):
        texts = {
            name: rows if name in ("test", split) else rows.assign(text=name) for name, rows in splits.items()
        }
        assert measure_leakage(texts, None, 0.8, 0.5)["test"]["training"]["exact"] == expected


def test_a_split_without_texts_has_no_leaks() -> None:
    splits = {split: pd.DataFrame({"split": [split]}) for split in SPLITS}
    assert measure_leakage(splits, None, 0.8, 0.5)["test"]["training"]["rows"] == 0


def test_a_paragraph_in_every_text_makes_no_near_leak() -> None:
    paragraph = " ".join(f"word{number}" for number in range(150))
    texts = [" ".join(f"own{text}x{number}" for number in range(10)) for text in range(250)]
    splits: dict[Split, pd.DataFrame] = {
        split: pd.DataFrame(
            {"text": [f"{text} {paragraph}" for text in texts[position :: len(SPLITS)]], "split": split}
        )
        for position, split in enumerate(SPLITS)
    }
    assert measure_leakage(splits, None, 0.8, 0.5)["test"]["training"]["near"] == 0
    assert measure_leakage(splits, None, 0.8, 1.0)["test"]["training"]["near"] == 50
