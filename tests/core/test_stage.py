"""The frame of a stage, in real DVC repositories whose stages are the toy script below."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from components.core import dvc, stage
from components.core.errors import PricewrightError
from components.core.params.curate import Curate
from components.core.schemas import Reject
from tests.support.project import ROOT

TOY = """
import errno, sys, time
from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.align import Align
from components.core.params.curate import Curate
from components.core.params.sft import Sft

name, method, deed = (sys.argv[1:] + ["", ""])[:3]
with stage.run({"align": Align, "curate": Curate, "sft": Sft}[name], method) as frame:
    frame.folder.mkdir(parents=True, exist_ok=True)
    (frame.folder / "digest.txt").write_text(frame.digest)
    if deed == "refuse":
        raise PricewrightError("prices.csv has no column `price`; name it in params.yaml")
    if deed == "bug":
        raise ZeroDivisionError("a bug")
    if deed == "write":
        with open("full", "w", buffering=1) as file:
            file.write("x" * 100000)
    if deed == "words":
        raise RuntimeError("I/O error: No space left on device (os error 28)")
    if deed == "wait":
        print("ready", flush=True)
        time.sleep(60)
    frame.report({"rows": 3, "splits": {"test": {"share": 0.5}}, "name": "toy"})
"""
DVC_YAML = {
    "stages": {
        "curate": {
            "cmd": "python toy.py curate",
            "params": ["curate", "scrape.source"],
            "deps": ["toy.py"],
            "outs": ["artifacts/curate"],
        },
        "sft": {
            "cmd": "python toy.py sft",
            "params": ["sft"],
            "deps": ["artifacts/curate", "inputs"],
            "outs": ["artifacts/sft"],
        },
        "align": {
            "matrix": {"method": "${align.methods}"},
            "cmd": "python toy.py align ${item.method}",
            "params": ["align"],
            "deps": ["artifacts/sft"],
            "outs": ["artifacts/align/${item.method}"],
        },
    }
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> Path:
    """A git and DVC repository with three toy stages, one of which is a matrix."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copy(ROOT / ".dvcignore", tmp_path)
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(DVC_YAML))
    for file in ("b.txt", "a/x.txt", "a-z.txt", "a.txt", "__pycache__/left.pyc"):
        (tmp_path / "inputs" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "inputs" / file).write_text(file)
    for command in ("git init -q", "dvc init -q"):
        subprocess.run(command.split(), check=True, capture_output=True)
    return tmp_path


def toy(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "toy.py", *arguments], capture_output=True, text=True)


def repro() -> None:
    done = subprocess.run(["dvc", "repro"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def runs(project: Path, kind: str) -> list[Run]:
    mlflow.set_tracking_uri(f"sqlite:///{project / 'mlflow.db'}")
    experiment = MlflowClient().get_experiment_by_name("pricewright")
    assert experiment is not None
    return MlflowClient().search_runs(
        [experiment.experiment_id], f"tags.`pricewright.kind` = '{kind}'", order_by=["start_time ASC"]
    )


def test_dvc_repro_without_a_flow_groups_its_stages_under_one_parent_and_their_digests_are_dvcs(
    project: Path,
) -> None:
    repro()
    (parent,) = runs(project, "flow")
    children = runs(project, "stage")
    assert parent.info.run_name == "dvc repro"
    assert parent.info.status == "FINISHED"
    assert [child.info.run_name for child in children] == ["curate", "sft", "align/dpo"]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    locked = yaml.safe_load(Path("dvc.lock").read_text())["stages"]
    for name, entry in (("curate", "curate"), ("sft", "sft"), ("align/dpo", "align@dpo")):
        digest = dvc.digest(locked[entry])
        assert Path("artifacts", name, "digest.txt").read_text() == digest
        assert digest in {child.data.tags["dvc.digest"] for child in children}
    assert len({child.data.tags["dvc.digest"] for child in children}) == 3

    params = yaml.safe_load(Path("params.yaml").read_text())
    params["sft"]["batch_size"] += 1
    Path("params.yaml").write_text(yaml.safe_dump(params))
    repro()
    assert len(runs(project, "flow")) == 2
    again = [child.info.run_name for child in runs(project, "stage")][3:]
    assert again == ["sft", "align/dpo"]


def test_a_finished_stage_leaves_its_parameters_report_and_metrics_in_the_run(project: Path) -> None:
    assert toy("curate").returncode == 0
    assert json.loads(Path("reports/curate.json").read_text())["rows"] == 3
    (run,) = runs(project, "stage")
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"rows": 3.0, "splits.test.share": 0.5}
    assert run.data.params["shares.train"] == "0.43"
    assert [file.path for file in MlflowClient().list_artifacts(run.info.run_id)] == ["curate.json"]


def test_an_error_that_the_user_can_mend_is_one_line_exit_code_1_and_a_failed_run(project: Path) -> None:
    done = toy("curate", "", "refuse")
    assert done.returncode == 1
    expected = "curate: error: prices.csv has no column `price`; name it in params.yaml"
    assert done.stderr.strip().splitlines() == [expected]
    (run,) = runs(project, "stage")
    assert run.info.status == "FAILED"
    assert run.data.tags["error"].startswith("prices.csv has no column")
    assert [flow.info.status for flow in runs(project, "flow")] == ["FAILED"]


def test_a_bug_keeps_its_traceback(project: Path) -> None:
    done = toy("curate", "", "bug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert runs(project, "stage")[0].info.status == "FAILED"


@pytest.mark.parametrize("signalled", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_stage_with_its_code_and_the_run_as_failed(
    project: Path, signalled: tuple[signal.Signals, int]
) -> None:
    sent, code = signalled
    child = subprocess.Popen(
        [sys.executable, "toy.py", "curate", "", "wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.1)
    child.send_signal(sent)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == code
    assert "Traceback" not in errors
    assert runs(project, "stage")[0].info.status == "FAILED"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.usefixtures("project")
def test_a_full_disk_is_named_with_the_file_and_without_a_traceback() -> None:
    Path("full").symlink_to("/dev/full")
    done = toy("curate", "", "write")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(r"curate: error: no space left on the disk while writing .*run again", done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.usefixtures("project")
def test_a_full_disk_under_the_report_is_a_clear_message_too() -> None:
    Path("reports").mkdir()
    Path("reports/curate.json").symlink_to("/dev/full")
    done = toy("curate")
    assert done.returncode == 1
    assert done.stderr.startswith("curate: error: no space left on the disk")


@pytest.mark.usefixtures("project")
def test_a_full_disk_that_a_library_reports_in_words_alone_is_recognized() -> None:
    done = toy("curate", "", "words")
    assert done.returncode == 1
    assert "curate: error: no space left on the disk" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("project")
def test_a_typo_in_params_yaml_is_refused_before_a_run_is_opened() -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("personal_data:", "personal_datan:", 1))
    Path("mlflow.db").unlink()
    done = toy("curate")
    assert done.returncode == 1
    assert "personal_datan" in done.stderr
    assert "personal_data" in done.stderr.replace("personal_datan", "")
    assert not Path("mlflow.db").exists()


@pytest.mark.usefixtures("project")
def test_a_stage_whose_input_is_missing_says_which_and_what_to_do() -> None:
    done = toy("sft")
    assert done.returncode == 1
    assert "artifacts/curate is missing: run the stages above with `dvc repro`" in done.stderr


def test_save_writes_the_columns_of_the_contract_in_their_order_and_logs_the_data_set(project: Path) -> None:
    with stage.run(Curate) as frame:
        row = dict.fromkeys(reversed(Reject.columns()), "x") | {"extra": "y"}
        path = frame.save("rejects.parquet", pd.DataFrame([row]), Reject)
    assert path == Path("artifacts/curate/rejects.parquet")
    assert list(stage.read(path).columns) == Reject.columns()
    (run,) = runs(project, "stage")
    assert [used.dataset.name for used in run.inputs.dataset_inputs] == ["rejects"]


def test_a_table_that_is_missing_or_cut_short_is_named(tmp_path: Path) -> None:
    with pytest.raises(PricewrightError, match=r"none\.parquet is missing"):
        stage.read(tmp_path / "none.parquet")
    whole = tmp_path / "cut.parquet"
    pd.DataFrame({"a": range(100)}).to_parquet(whole)
    whole.write_bytes(whole.read_bytes()[:200])
    with pytest.raises(PricewrightError, match=r"cut\.parquet is not readable"):
        stage.read(whole)
