"""Preference data sets in TRL's format, from files and pinned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.core.params.preferences import PreferenceSet
from components.feedback import dataset

GOOD = {"prompt": "p", "chosen": "90", "rejected": "300"}


def section(params: Params, path: object, **changes: Any) -> PreferenceSet:
    return params.preferences.dataset.model_copy(update={"path": str(path)} | changes)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_file_with_prompts_becomes_pairs(params: Params, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pairs.{suffix}"
    table = pd.DataFrame([GOOD])
    table.to_parquet(path) if suffix == "parquet" else table.to_json(path, orient="records", lines=True)
    result = dataset.pairs(section(params, path))
    assert [(pair.prompt, pair.chosen, pair.rejected, pair.margin) for pair in result.pairs] == [
        ("p", "90", "300", None)
    ]


def test_a_prompt_that_both_sides_begin_with_is_split_off(params: Params, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"chosen": "Price is $ 90", "rejected": "Price is $ 300"}), encoding="utf-8")
    [pair] = dataset.pairs(section(params, path)).pairs
    assert (pair.prompt, pair.chosen.strip(), pair.rejected.strip()) == ("Price is $", "90", "300")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (GOOD | {"rejected": "90"}, "chosen and rejected are equal"),
        (GOOD | {"rejected": None}, "have to be text"),
        (GOOD | {"prompt": " "}, "there is no prompt"),
    ],
)
def test_a_bad_row_is_rejected_with_its_number_and_a_reason(
    params: Params, tmp_path: Path, bad: dict[str, Any], reason: str
) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in (GOOD, bad)), encoding="utf-8")
    result = dataset.pairs(section(params, path))
    assert len(result.pairs) == 1
    [reject] = result.rejects
    assert reject.where.endswith("pairs.jsonl:2")
    assert reason in reject.reason


@pytest.mark.parametrize(
    ("path", "revision", "message"),
    [
        ("someone/preferences", None, "needs its revision"),
        ("someone/preferences", "main", "40 hex digits"),
        ("pairs.jsonl", "0" * 40, "is for a data set of the hub"),
        ("none.jsonl", None, "does not load"),
        ("someone/preferences", "0" * 40, "does not load"),
    ],
)
def test_what_is_not_pinned_or_not_there_is_a_clear_error(
    params: Params, tmp_path: Path, path: str, revision: str | None, message: str
) -> None:
    where = tmp_path / path if path.endswith("jsonl") else path
    with pytest.raises(PricewrightError, match=message):
        dataset.pairs(section(params, where, revision=revision))
