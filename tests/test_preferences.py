"""Pairs of all origins, checked and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components import preferences as stage_file
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.core.schemas import Pair
from components.feedback.result import Preferences
from components.model import loading
from components.model.examples import read_prompts
from tests.support.project import asked, named

READ = asked(tokens=128, maximum=999)


def sampled(*completions: list[str]) -> pd.DataFrame:
    names = [f"p{number}" for number in range(len(completions))]
    return pd.DataFrame({"id": names, "prompt": names, "completions": list(completions)})


def untouched() -> Preferences:
    raise AssertionError("no steering text was wanted")


@pytest.fixture
def tokenizer(tiny_base: Path) -> Any:
    return loading.load_tokenizer(tiny_base)


@pytest.mark.parametrize("completions", [["9"], ["9", "9"]])
def test_a_single_completion_and_equal_completions_are_rejected_with_a_reason(
    completions: list[str], params: Params, tokenizer: Any
) -> None:
    prices = pd.Series({"p0": 100.0, "p1": 50.0})
    result = stage_file.preferences(
        sampled(["90", "300"], completions), prices, params.preferences, READ.answers, untouched
    )
    pairs, rejects = stage_file.usable(result, set(), tokenizer, READ)
    assert list(pairs.columns) == Pair.columns()
    assert pairs[["id", "prompt", "chosen", "rejected", "margin"]].to_numpy().tolist() == [
        ["p0", "p0", "90", "300", 190.0]
    ]
    assert rejects[["origin", "where"]].to_numpy().tolist() == [["truth", "p1"]]
    assert "no two completions differ" in rejects["reason"][0]


def test_no_pair_at_all_is_a_clear_error(params: Params, tokenizer: Any) -> None:
    result = stage_file.preferences(
        sampled(["9", "9"]), pd.Series({"p0": 10.0}), params.preferences, READ.answers, untouched
    )
    with pytest.raises(PricewrightError, match=r"no pair is left of truth, 1 were rejected: truth, p0"):
        stage_file.usable(result, set(), tokenizer, READ)


def by_people(*prompts: str) -> Preferences:
    result = Preferences("people")
    for prompt in prompts:
        result.pair(prompt[:8], prompt, "90", "300", 1)
    return result


def test_a_prompt_of_validation_or_test_is_in_no_pair(tokenizer: Any) -> None:
    held_back = set(read_prompts(tokenizer, ["held back"], READ.tokens))
    pairs, rejects = stage_file.usable([by_people("held back\n", "free")], held_back, tokenizer, READ)
    assert pairs["prompt"].tolist() == ["free"]
    assert rejects["reason"].tolist() == ["its prompt is in validation or test"]


def test_a_prompt_longer_than_the_context_is_rejected_with_its_length(tokenizer: Any) -> None:
    whole = asked(tokens=tokenizer.model_max_length, maximum=999)
    pairs, rejects = stage_file.usable([by_people("word " * 600, "free")], set(), tokenizer, whole)
    assert pairs["prompt"].tolist() == ["free"]
    assert f"context of {tokenizer.model_max_length}" in rejects["reason"][0]


def test_the_report_has_shares_by_origin_and_a_bias_of_length(tokenizer: Any) -> None:
    truth = Preferences("truth")
    for chosen, rejected in (("90", "300 300 300"), ("90 90", "300"), ("90", "70"), ("90", "80 80")):
        truth.pair("p", "free", chosen, rejected, 5.0)
    result = [truth, by_people("one", "two", "three", "four")]
    pairs, rejects = stage_file.usable(result, set(), tokenizer, READ)
    report = stage_file.report_of(result, pairs, rejects, tokenizer)
    assert {name: origin["share"] for name, origin in report["origins"].items()} == {
        "truth": 0.5,
        "people": 0.5,
    }
    assert report["tokens"]["differ"] == 3
    assert report["tokens"]["longer_chosen"] == pytest.approx(1 / 3)
    assert report["tokens"]["rejected"] > report["tokens"]["chosen"]


def test_of_labels_the_right_one_is_preferred_and_what_is_none_is_counted(
    params: Params, tokenizer: Any
) -> None:
    task = named("Lamps", "Rugs")
    rows = sampled([" Lamps", " Rugs", "Rug"], [" Rugs", " Rugs"])
    section = params.preferences.model_copy(update={"margin_min": 0.5})
    result = stage_file.preferences(rows, pd.Series({"p0": 1.0, "p1": 1.0}), section, task.answers, untouched)
    pairs, rejects = stage_file.usable(result, set(), tokenizer, task)
    assert pairs[["id", "chosen", "rejected", "margin"]].to_numpy().tolist() == [["p0", " Rugs", "Rug", 2.0]]
    assert rejects["where"].tolist() == ["p1"]
    assert stage_file.counts_of(rows, task.answers) == {"prompts": 2, "completions": 5, "unparsed": 1}
