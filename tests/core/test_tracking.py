"""Parent and child runs in a real SQLite store."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from components.core import tracking
from tests.support.project import ROOT


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, "mlflow.db")


def read(run_id: str) -> Run:
    return MlflowClient().get_run(run_id)


def test_a_flow_is_the_parent_of_its_stages_which_find_it_by_our_own_variable() -> None:
    with tracking.flow_run("train") as parent:
        assert os.environ[tracking.PARENT] == parent
        assert "MLFLOW_RUN_ID" not in os.environ
        with tracking.stage_run("sft", {"lora": {"rank": 16}, "name": "x"}, "abc") as run:
            run.metric("loss", 2.0, step=1)
            run.metric("loss", 1.0, step=2)
            run.metrics({"mae": 3.5})
            assert "MLFLOW_RUN_ID" not in os.environ
        assert read(parent).info.status == "RUNNING"
    assert tracking.PARENT not in os.environ
    child = read(run.id)
    assert child.data.tags["mlflow.parentRunId"] == parent
    assert child.data.tags["dvc.digest"] == "abc"
    assert child.data.params == {"lora.rank": "16", "name": "x"}
    assert child.data.metrics == {"loss": 1.0, "mae": 3.5}
    assert [point.value for point in MlflowClient().get_metric_history(run.id, "loss")] == [2.0, 1.0]
    assert (read(parent).info.status, child.info.status) == ("FINISHED", "FINISHED")


def test_a_failed_stage_fails_alone_and_a_failed_flow_fails_its_parent() -> None:
    with pytest.raises(ValueError, match="too hot"):  # noqa: SIM117, PT012
        with tracking.flow_run("train") as parent:
            with (
                pytest.raises(RuntimeError),
                tracking.stage_run("sft", {}, "abc") as run,
            ):
                raise RuntimeError("out of paper")
            assert read(run.id).info.status == "FAILED"
            assert read(run.id).data.tags["error"] == "out of paper"
            assert read(parent).info.status == "RUNNING"
            raise ValueError("too hot")
    assert read(parent).info.status == "FAILED"
    assert tracking.PARENT not in os.environ


def test_runs_that_a_killed_flow_left_open_are_ended_by_the_next_one_of_the_clone() -> None:
    killed = """
import os
from components.core import tracking
with tracking.flow_run("train"), tracking.stage_run("sft", {}, "abc"):
    os._exit(9)
"""
    subprocess.run([sys.executable, "-c", killed], env=_here(), check=False)
    tracking.connect()
    client = MlflowClient()
    elsewhere = client.create_run("1", tags={tracking.CLONE: "another:/clone"}).info.run_id
    with tracking.flow_run("train") as parent:
        running = client.search_runs(["1"], "attributes.status = 'RUNNING'")
        assert {run.info.run_id for run in running} == {parent, elsewhere}
    assert len(client.search_runs(["1"], "attributes.status = 'FAILED'")) == 2


def test_a_run_that_the_environment_names_is_neither_resumed_nor_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracking.connect()
    foreign = MlflowClient().create_run("1").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", foreign)
    with tracking.stage_run("sft", {}, "abc") as run:
        assert run.id != foreign
    assert read(foreign).info.status == "RUNNING"


def test_files_and_tables_are_kept_with_the_run() -> None:
    Path("report.json").write_text("{}")
    with tracking.stage_run("curate", {}, "abc") as run:
        run.artifact(Path("report.json"))
        run.dataset(pd.DataFrame({"price": [1.0, 2.0]}), "train", Path("train.parquet"))
        run.tag("word", "yes")
    logged = read(run.id)
    assert [used.dataset.name for used in logged.inputs.dataset_inputs] == ["train"]
    assert logged.data.tags["word"] == "yes"
    assert [file.path for file in MlflowClient().list_artifacts(run.id)] == ["report.json"]
    assert next(Path("mlruns").rglob("report.json")).read_text() == "{}"


def test_of_a_nested_report_the_numbers_are_logged_with_dotted_names() -> None:
    with tracking.stage_run("evaluate", {}, "abc") as run:
        run.metrics({"a": {"b": 1, "c": "text"}, "d": 2.5, "e": None})
    assert read(run.id).data.metrics == {"a.b": 1.0, "d": 2.5}


def test_a_long_parameter_is_cut_and_not_refused() -> None:
    with tracking.stage_run("scrape", {"paths": ["p" * 9000]}, "abc") as run:
        pass
    assert len(read(run.id).data.params["paths"]) == tracking.PARAM_LENGTH


def test_two_processes_that_make_the_store_at_once_do_not_break_it() -> None:
    Path("mlflow.db").unlink()
    code = "from components.core import tracking\nwith tracking.stage_run('sft', {}, 'abc'): pass"
    both = [
        subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=_here())
        for _ in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    tracking.connect()
    experiment = mlflow.get_experiment_by_name(tracking.EXPERIMENT)
    assert experiment is not None
    finished = MlflowClient().search_runs(
        [experiment.experiment_id], "tags.`pricewright.kind` = 'stage' and attributes.status = 'FINISHED'"
    )
    assert len(finished) == 2


def test_a_change_of_dvc_lock_alone_is_not_a_dirty_tree() -> None:
    assert tracking.git_state() == {"git.commit": "none", "git.dirty": "false"}
    for name in ("dvc.lock", "code.py"):
        Path(name).write_text("1")
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "first")
    Path("dvc.lock").write_text("2")
    assert tracking.git_state()["git.dirty"] == "false"
    Path("code.py").write_text("2")
    assert tracking.git_state()["git.dirty"] == "true"
    assert len(tracking.git_state()["git.commit"]) == 40


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def _here() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}
