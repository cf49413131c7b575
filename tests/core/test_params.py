"""params.yaml is read strictly, and a fault is explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.core.params.file import Params, load_params
from components.core.params.section import ParamsError
from tests.support.project import ROOT


def written(tmp_path: Path, change: Any) -> Path:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    change(raw)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


def test_the_committed_file_parses(params: Params) -> None:
    assert params.task.number.max == 999.0


def test_values_are_frozen(params: Params) -> None:
    with pytest.raises(Exception, match="frozen"):
        params.sft.epochs = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda raw: raw["sft"].update(learing_rate=1.0),
            "sft.learing_rate: unknown key; did you mean learning_rate",
        ),
        (lambda raw: raw.update(scrap={}), "scrap: unknown key; did you mean scrape"),
        (
            lambda raw: raw["align"]["dpo"].update(betta=1.0),
            "align.dpo.betta: unknown key; did you mean beta",
        ),
        (lambda raw: raw["sft"]["lora"].pop("rank"), "sft.lora.rank: missing"),
        (lambda raw: raw.pop("reward"), "reward: missing"),
        (
            lambda raw: raw["sft"].update(learning_rate="2e-4"),
            "sft.learning_rate: '2e-4' is text, not a number",
        ),
        (
            lambda raw: raw["sft"].update(batch_size="16"),
            "sft.batch_size: Input should be a valid integer, found '16'",
        ),
        (
            lambda raw: raw["sft"].update(batch_size=0),
            "sft.batch_size: .*greater than or equal to 1, found 0",
        ),
        (
            lambda raw: raw["task"]["number"].update(min=1000.0),
            "task.number: min 1000 is not below max 999",
        ),
        (
            lambda raw: raw["task"]["number"].update(min=-1.0),
            "task.number: min -1 has no logarithm: raise it, or set logarithmic to false",
        ),
        (
            lambda raw: raw["task"]["number"].update(step=0.001),
            "task.number: from 0.5 to 999 by 0.001 are more than 100,000 answers: take a larger step",
        ),
        (
            lambda raw: raw["curate"]["shares"].update(test=0.5),
            r"curate.shares: the five shares add up to 1.285",
        ),
        (lambda raw: raw["align"].update(methods=["ppp"]), "align.methods.0: .*'dpo'.*, found 'ppp'"),
    ],
)
def test_a_fault_is_named_with_its_key_and_the_mend(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        load_params(written(tmp_path, change))


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    def two(raw: dict[str, Any]) -> None:
        raw["sft"]["epoch"] = 1.0
        raw["reward"]["epochs"] = -1.0

    with pytest.raises(ParamsError) as caught:
        load_params(written(tmp_path, two))
    assert "sft.epoch:" in str(caught.value)
    assert "reward.epochs:" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"), [("a: [", "not readable as YAML"), ("- 1", "the file"), ("", "the file")]
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ParamsError, match=message):
        load_params(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="no such file; run from the project's root"):
        load_params(tmp_path / "params.yaml")
