"""What happened: runs, metrics, pictures, data sets. With registry.py the only importer of mlflow.

One parent run per flow (or per `dvc repro`), one child per stage that really ran. The store is
`sqlite:///mlflow.db` in the project's root, or what MLFLOW_TRACKING_URI names.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import psutil
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

EXPERIMENT = "pricewright"
PARENT = "PRICEWRIGHT_PARENT_RUN"
"""Environment variable by which a flow hands its parent run to the stages. Never MLFLOW_RUN_ID: a child
that resumes that run would end it."""
CLONE = "pricewright.clone"
"""Tag of a flow's run: the machine and folder that it ran in."""
CHATTY_LOGGERS = ("mlflow", "alembic")
STORE_LOCK = Path(".mlflow.lock")
PARAM_LENGTH = 500
ENTRY_LENGTH = 6000  # characters that MLflow keeps of a parameter
DECISION = "pricewright.decision"
"""Tag of the run of a decision: the id of its record."""


@dataclass(frozen=True)
class Run:
    """An open run of one stage."""

    id: str

    def metric(self, name: str, value: float, step: int) -> None:
        """One point of a curve."""
        mlflow.log_metric(name, value, step=step, run_id=self.id)

    def metrics(self, report: dict[str, Any]) -> None:
        """The numbers of a report, nested or not, as final figures with the names `a.b.c`."""
        numbers = {
            key: float(value) for key, value in _flat(report).items() if isinstance(value, int | float)
        }
        mlflow.log_metrics(numbers, run_id=self.id)

    def artifact(self, path: Path) -> None:
        """A file or folder, copied to the store."""
        MlflowClient().log_artifact(self.id, str(path))

    def tag(self, name: str, value: str) -> None:
        """A word about the run."""
        MlflowClient().set_tag(self.id, name, value)

    def dataset(self, frame: pd.DataFrame, name: str, source: Path) -> None:
        """A table that the stage wrote or read, with its schema and digest."""
        if frame.empty:  # mlflow 3 fails on an empty column of Arrow strings
            frame = frame.astype(object)
        mlflow.log_input(from_pandas(frame, source=str(source), name=name))


@contextmanager
def flow_run(name: str, tags: dict[str, str] | None = None) -> Iterator[str]:
    """Open the parent run of a flow, with `tags`, and hand its id down by environment; ends as the block
    ends.

    To be called by one process of a clone at a time: runs that an earlier one left open, killed before it
    could close them, are ended as failed.
    """
    connect()
    clone = f"{socket.gethostname()}:{Path.cwd()}"
    for left in _running(f"tags.`{CLONE}` = '{clone}'"):
        for child in _running(f"tags.`mlflow.parentRunId` = '{left}'"):
            _fail(child)
        _fail(left)
    parent = _create(name, {"pricewright.kind": "flow", CLONE: clone, **(tags or {})})
    os.environ[PARENT] = parent
    try:
        yield parent
    except BaseException:
        _fail(parent)
        raise
    finally:
        os.environ.pop(PARENT, None)
    _end(parent, "FINISHED")


@contextmanager
def stage_run(name: str, params: dict[str, Any], digest: str) -> Iterator[Run]:
    """Open a child run with the stage's parameters, the commit and the digest of its `dvc.lock` entry.

    Without a flow, the stages of one `dvc repro` share a parent, by the process of DVC.
    """
    connect()
    handed_down = os.environ.get(PARENT)
    parent = handed_down or _session_run()
    tags = {"pricewright.kind": "stage", "pricewright.stage": name, "dvc.digest": digest, **git_state()}
    with mlflow.start_run(run_name=name, parent_run_id=parent, tags=tags) as active:
        mlflow.log_params({key: _text(value)[:PARAM_LENGTH] for key, value in _flat(params).items()})
        try:
            yield Run(active.info.run_id)
        except BaseException as error:
            with suppress(Exception):
                mlflow.set_tag("error", str(error)[:PARAM_LENGTH])
            if not handed_down:
                _fail(parent)
            raise
    if not handed_down:
        _end(parent, "FINISHED")


@contextmanager
def own_run(name: str, tags: dict[str, str], params: dict[str, Any]) -> Iterator[Run]:
    """Open a run that belongs to no stage and no flow of this clone, beside whatever else is running."""
    connect()
    with mlflow.start_run(run_name=name, tags={**tags, **git_state()}) as active:
        mlflow.log_params({key: _text(value)[:PARAM_LENGTH] for key, value in _flat(params).items()})
        yield Run(active.info.run_id)


# --- decisions, and runs looked up again -------------------------------------------------------------


def log_decision(record: dict[str, Any]) -> None:
    """Log `record` as decision.json in a finished run of its own, once however often it is called."""
    wanted = f"tags.`{DECISION}` = '{record['id']}'"
    runs = MlflowClient().search_runs([_experiment_id()], wanted, max_results=1)
    tags = {"pricewright.kind": "decision", "pricewright.model": record["model"], DECISION: record["id"]}
    run = runs[0].info.run_id if runs else _create(record["kind"], tags)
    MlflowClient().log_dict(run, record, "decision.json")
    _end(run, "FINISHED")


def logged_decisions(model_name: str) -> list[dict[str, Any]]:
    """The records that `log_decision` logged of a model; one whose file is gone is left out."""
    wanted = f"tags.`pricewright.kind` = 'decision' and tags.`pricewright.model` = '{model_name}'"
    records: list[dict[str, Any]] = []
    token = None
    while True:
        page = MlflowClient().search_runs([_experiment_id()], wanted, page_token=token)
        for run in page:
            with suppress(MlflowException, OSError, ValueError):
                records.append(mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/decision.json"))
        if not (token := page.token):
            return records


def create_log(name: str) -> str:
    """A finished run whose parameters are a log: `append_once` writes each of them once. Returns its id."""
    run = _create(name, {"pricewright.kind": "log"})
    _end(run, "FINISHED")
    return run


def append_once(log: str, key: str, value: str) -> bool:
    """Write an entry to a log; False where there is another one under this key already.

    The database lets nobody change a parameter of a run, so of many writers at once exactly one succeeds.
    Raises ValueError for a value that the store would cut.
    """
    if len(value) > ENTRY_LENGTH:
        raise ValueError(f"an entry of {len(value)} characters; the store keeps {ENTRY_LENGTH}")
    try:
        MlflowClient().log_param(log, key, value)
    except MlflowException:
        if read_log(log).get(key) is None:
            raise  # the store itself does not work
        return False
    return True


def read_log(log: str) -> dict[str, str]:
    """The entries of a log."""
    return dict(MlflowClient().get_run(log).data.params)


def run_with_digest(digest: str) -> tuple[str, bool] | None:
    """The latest run of a stage whose inputs had this digest: its id, and whether it is deleted; None
    where this store never had one.
    """
    wanted = f"tags.`dvc.digest` = '{digest}'"
    for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY):
        if runs := MlflowClient().search_runs([_experiment_id()], wanted, view, max_results=1):
            return runs[0].info.run_id, view == ViewType.DELETED_ONLY
    return None


# --- the store ---------------------------------------------------------------------------------------


def connect() -> None:
    """Point mlflow at the store and make the store and the experiment where there is none yet."""
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.pop("MLFLOW_RUN_ID", None)  # mlflow would resume that run in the place of a new one
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    with STORE_LOCK.open("w") as lock:  # two processes that create the tables at once corrupt them
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            local = not os.environ.get("MLFLOW_TRACKING_URI")
            mlflow.create_experiment(EXPERIMENT, artifact_location=_local_artifacts() if local else None)
    mlflow.set_experiment(EXPERIMENT)


def git_state() -> dict[str, str]:
    """`git.commit` and `git.dirty`; the commit is `none` outside a repository.

    A changed dvc.lock or decisions.lock alone is not dirty: it is what a run or a decision itself writes, and
    its digest stands beside.
    """
    written = (":!dvc.lock", ":!decisions.lock")
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *written)
    return {"git.commit": _git("rev-parse", "HEAD") or "none", "git.dirty": str(bool(changes)).lower()}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _local_artifacts() -> str:
    return (Path.cwd() / "mlruns").as_uri()


def _create(name: str, tags: dict[str, str]) -> str:
    run = MlflowClient().create_run(_experiment_id(), run_name=name, tags={**tags, **git_state()})
    return run.info.run_id


def _experiment_id() -> str:
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None  # connect() has made it
    return experiment.experiment_id


def _end(run_id: str, status: str) -> None:
    MlflowClient().set_terminated(run_id, status)


def _running(wanted: str) -> list[str]:
    runs = MlflowClient().search_runs([_experiment_id()], f"{wanted} and attributes.status = 'RUNNING'")
    return [run.info.run_id for run in runs]


def _fail(run_id: str) -> None:
    """End a run as failed; where the store cannot be written either, the first error is the one to show."""
    with suppress(Exception):
        _end(run_id, "FAILED")


def _session_run() -> str:
    """The parent run of the `dvc repro` that started this process; made by its first stage."""
    ancestors = [psutil.Process(), *psutil.Process().parents()]
    session = next((process for process in ancestors if _is_dvc(process)), ancestors[0])
    key = f"{session.pid}-{session.create_time():.0f}"
    runs = MlflowClient().search_runs([_experiment_id()], f"tags.`pricewright.session` = '{key}'")
    if runs:
        return runs[0].info.run_id
    return _create("dvc repro", {"pricewright.kind": "flow", "pricewright.session": key})


def _is_dvc(process: psutil.Process) -> bool:
    try:
        return any(Path(word).name == "dvc" for word in process.cmdline()[:3])
    except psutil.Error:
        return False


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a nested dictionary, with the names `a.b.c`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
