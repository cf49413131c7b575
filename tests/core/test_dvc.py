"""DVC's hashes and files, read without DVC and compared with what DVC itself writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components.core import dvc
from components.core.errors import PricewrightError

GRAPH = {
    "stages": {
        "copy": {
            "cmd": "cp -r source out",
            "params": ["copy.seed"],
            "deps": ["source"],
            "outs": ["out"],
        }
    }
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project whose only stage has run."""
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(yaml.safe_dump(GRAPH))
    Path("params.yaml").write_text("copy: {seed: 3, unused: 1}\n")
    Path("source/inner").mkdir(parents=True)
    Path("source/report.json").write_text('{"rows": 3}')
    Path("source/inner/ä.txt").write_text("text")
    for command in (["init", "--no-scm", "-q"], ["repro", "-q"]):
        subprocess.run([Path(sys.executable).parent / "dvc", *command], check=True, env=os.environ)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_hashes_and_entries_are_those_of_dvc() -> None:
    entry = yaml.safe_load(Path("dvc.lock").read_text())["stages"]["copy"]
    assert dvc.md5(Path("source")) == entry["deps"][0]["md5"]
    assert dvc.md5(Path("out")) == entry["outs"][0]["md5"]
    assert dvc.digest(dvc.pending_entry("copy")) == dvc.digest(entry)


@pytest.mark.usefixtures("project")
def test_an_output_is_intact_until_it_is_edited() -> None:
    report = Path("out/report.json")
    assert dvc.intact(report) == report
    assert dvc.report(report) == {"rows": 3}
    report.write_text(json.dumps({"rows": 4}))
    with pytest.raises(
        PricewrightError, match=r"out/report.json is not what its stage wrote .*`dvc checkout out`"
    ):
        dvc.report(report)
    with pytest.raises(PricewrightError, match=r"source/report.json is not what its stage wrote"):
        dvc.intact(Path("source/report.json"))


def test_a_file_that_is_missing_and_a_project_that_never_ran_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PricewrightError, match=r"nothing is missing: .*dvc repro"):
        dvc.md5(Path("nothing"))
    with pytest.raises(PricewrightError, match=r"dvc.lock is missing"):
        dvc.intact(Path("nothing"))


def test_compiled_python_files_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = dvc.md5(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"1")
    assert dvc.md5(tmp_path) == before
