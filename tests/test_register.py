"""What a registration refuses, and what its server needs; all of it is tested in tests/test_chain.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from components.core import dvc
from components.core.errors import PricewrightError
from components.register import requirements

REPORT = Path("reports/evaluate.json")


@pytest.fixture(autouse=True)
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report and a folder as dvc.lock has them."""
    monkeypatch.chdir(tmp_path)
    REPORT.parent.mkdir()
    REPORT.write_text('{"winner": "sft", "mae": 30.1}')
    Path("artifacts/curate").mkdir(parents=True)
    Path("artifacts/curate/test.txt").write_text("rows")
    outs = [{"path": str(path), "md5": dvc.md5(path)} for path in (REPORT, Path("artifacts/curate"))]
    dvc.LOCK.write_text(yaml.safe_dump({"stages": {"a": {"outs": outs[:1]}, "b": {"outs": outs[1:]}}}))


def test_what_a_stage_wrote_is_read() -> None:
    assert dvc.report(REPORT) == {"winner": "sft", "mae": 30.1}
    assert dvc.intact(Path("artifacts/curate/test.txt")).read_text() == "rows"


def test_a_report_that_was_edited_by_hand_is_refused_with_the_way_back() -> None:
    REPORT.write_text('{"winner": "sft", "mae": 29.1}')
    with pytest.raises(PricewrightError, match=r"not what its stage wrote .* `dvc checkout reports/eval"):
        dvc.report(REPORT)


def test_a_file_is_refused_where_another_one_of_its_folder_was_edited() -> None:
    Path("artifacts/curate/more.txt").write_text("a row")
    with pytest.raises(PricewrightError, match=r"`dvc checkout artifacts/curate`"):
        dvc.intact(Path("artifacts/curate/test.txt"))


def test_a_file_that_no_stage_wrote_a_missing_one_and_a_missing_lock_are_refused() -> None:
    Path("loose.json").write_text("{}")
    with pytest.raises(PricewrightError, match=r"loose.json is not what its stage wrote"):
        dvc.report(Path("loose.json"))
    REPORT.unlink()
    with pytest.raises(PricewrightError, match=r"reports/evaluate.json is missing: run the stages above"):
        dvc.report(REPORT)
    dvc.LOCK.unlink()
    with pytest.raises(PricewrightError, match=r"dvc.lock is missing, .* run `dvc repro`"):
        dvc.report(REPORT)


def test_a_server_gets_what_the_format_of_its_model_needs() -> None:
    named = {kind: {line.split("==")[0] for line in requirements(kind)} for kind in ("nf4", "w4a16", "gguf")}
    assert named["w4a16"] - named["nf4"] == {"compressed-tensors"}
    assert named["gguf"] - named["nf4"] == {"gguf"}
