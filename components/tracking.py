"""What happened: runs, metrics, pictures, data sets, the registry. The only importer of mlflow.

One parent run per flow (or per `dvc repro`), one child per stage that really ran. The store is
`sqlite:///mlflow.db` in the project's root, or what MLFLOW_TRACKING_URI names.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import psutil
from mlflow.data.pandas_dataset import from_pandas
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from components.records import PricewrightError

EXPERIMENT = "pricewright"
PARENT = "PRICEWRIGHT_PARENT_RUN"
"""Environment variable by which a flow hands its parent run to the stages. Never MLFLOW_RUN_ID: a child
that resumes that run would end it."""
CHATTY_LOGGERS = ("mlflow", "alembic")
STORE_LOCK = Path(".mlflow.lock")
PARAM_LENGTH = 500
MODEL_DIGEST = "model_sha256"
"""Tag of a version: SHA-256 of all files it was registered with."""
WRITTEN_LATER = ("registered_model_meta", "__pycache__")
"""Files of a fetched version that were not there when it was registered."""


class MissingVersionError(PricewrightError):
    """The registry has no version of that number, or has it no longer."""


@dataclass(frozen=True)
class Run:
    """An open run of one stage."""

    id: str

    def metric(self, name: str, value: float, step: int) -> None:
        """One point of a curve."""
        mlflow.log_metric(name, value, step=step, run_id=self.id)

    def metrics(self, values: dict[str, float]) -> None:
        """Final figures."""
        mlflow.log_metrics(values, run_id=self.id)

    def artifact(self, path: Path) -> None:
        """A file or folder, copied to the store."""
        MlflowClient().log_artifact(self.id, str(path))

    def tag(self, name: str, value: str) -> None:
        """A word about the run."""
        MlflowClient().set_tag(self.id, name, value)

    def dataset(self, frame: pd.DataFrame, name: str, source: Path) -> None:
        """A table that the stage wrote or read, with its schema and digest."""
        mlflow.log_input(from_pandas(frame, source=str(source), name=name))


@contextmanager
def flow_run(name: str) -> Iterator[str]:
    """Open the parent run of a flow and hand its id down by environment; ends as the block ends."""
    connect()
    parent = _create(name, {"pricewright.kind": "flow"})
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

    Without a flow, the stages of one `dvc repro` share a parent that is found by that process.
    """
    connect()
    handed_down = os.environ.get(PARENT)
    parent = handed_down or _session_run()
    tags = {"pricewright.kind": "stage", "pricewright.stage": name, "dvc.digest": digest, **git_state()}
    with mlflow.start_run(run_name=name, parent_run_id=parent, tags=tags) as active:
        mlflow.log_params({key: value[:PARAM_LENGTH] for key, value in _flat_text(params).items()})
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


# --- the registry ------------------------------------------------------------------------------------


def register_version(
    run: Run,
    model_name: str,
    *,
    data_path: Path,
    loader_module: str,
    code_path: Path,
    example: pd.DataFrame,
    answer: pd.DataFrame,
    requirements: list[str],
    tags: dict[str, str],
) -> str:
    """Log the served model under `run` and make it a version in the registry; returns its number.

    `loader_module` holds `_load_pyfunc(path)`; the signature is that of `example` and `answer`. No pickle
    is written: the model is the folder `data_path` and the code in `code_path`. The version is tagged with
    the digest of its files, by which `fetched` tells whether they are still the same.
    """
    logged = mlflow.pyfunc.log_model(
        name="model",
        loader_module=loader_module,
        data_path=str(data_path),
        code_paths=[str(code_path)],
        signature=mlflow.models.infer_signature(example, answer),
        input_example=example,
        pip_requirements=requirements,
    )
    with tempfile.TemporaryDirectory() as folder:
        digest = sha256(_download(logged.model_uri, folder))
    tags = {"run_id": run.id, MODEL_DIGEST: digest, **tags}
    return str(mlflow.register_model(logged.model_uri, model_name, tags=tags).version)


def aliased_version(model_name: str, alias: str) -> str | None:
    """Number of the version that carries `alias`, None where none does."""
    try:
        return str(MlflowClient().get_model_version_by_alias(model_name, alias).version)
    except MlflowException:
        return None


def set_alias(model_name: str, alias: str, version: str) -> None:
    """Move `alias` to `version`."""
    MlflowClient().set_registered_model_alias(model_name, alias, version)


def aliases(model_name: str) -> dict[str, str]:
    """Alias to version number; empty where there is no such model. A version that it names may be deleted."""
    try:
        found = MlflowClient().get_registered_model(model_name).aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
    return {name: str(version) for name, version in found.items()}


def version_tags(model_name: str, version: str) -> dict[str, str]:
    """Tags of a version. Raises MissingVersionError where there is none of that number, or it is deleted."""
    try:
        return dict(MlflowClient().get_model_version(model_name, version).tags)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise MissingVersionError(
                f"{model_name} has no version {version}: it never existed or is deleted. "
                "`make mlflow` shows those that there are"
            ) from error
        raise


def tag_version(model_name: str, version: str, name: str, value: str) -> None:
    """Set a tag of a version."""
    MlflowClient().set_model_version_tag(model_name, version, name, value)


def model_tag(model_name: str, name: str) -> str | None:
    """A tag of the registered model itself, None where it is not set or there is no such model."""
    try:
        found = MlflowClient().get_registered_model(model_name).tags.get(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return None if found is None else str(found)


def tag_model(model_name: str, name: str, value: str | None) -> None:
    """Set a tag of the registered model itself, or take it away with None."""
    if value is None:
        MlflowClient().delete_registered_model_tag(model_name, name)
    else:
        MlflowClient().set_registered_model_tag(model_name, name, value)


def decision_run(name: str, record: dict[str, Any]) -> str:
    """Log `record` as decision.json in a finished run of its own, tagged with what it decided; its id."""
    run = _create(name, {"pricewright.kind": "decision", "pricewright.decision": record["id"]})
    MlflowClient().log_dict(run, record, "decision.json")
    _end(run, "FINISHED")
    return run


@contextmanager
def fetched(model_name: str, version: str) -> Iterator[Path]:
    """A copy of the files of a version, in MLflow's layout, as they were registered; gone after the block.

    Raises PricewrightError where a file is missing, cut short or changed since.
    """
    wanted = version_tags(model_name, version).get(MODEL_DIGEST)
    if wanted is None:
        raise PricewrightError(
            f"it has no tag {MODEL_DIGEST}, so that nobody can tell whether its files are the ones it was "
            "registered with: register it anew with `dvc repro -f register`"
        )
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = _download(f"models:/{model_name}/{version}", folder)
        except (MlflowException, OSError) as error:
            raise PricewrightError(f"its files cannot be fetched: {_first_line(error)}") from error
        if sha256(found) != wanted:
            raise PricewrightError(
                "its files are not those it was registered with (one is missing, cut short or changed): "
                "bring them back from a backup of the artifact store, or choose another version"
            )
        yield found


def predict(model: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """What a fetched version answers to `rows`, one row each, in a process of its own and by its own code.

    Raises PricewrightError with the last line of what it said where it does not load or answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "rows.json"), Path(folder, "answers.json")
        asked.write_text(
            json.dumps({"dataframe_split": rows.to_dict("split", index=False)}), encoding="utf-8"
        )
        command = [sys.executable, "-m", "mlflow", "models", "predict", "--model-uri", str(model)]
        command += ["--env-manager", "local", "--content-type", "json"]
        command += ["--input-path", str(asked), "--output-path", str(answered)]
        child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = _progress(child)
        if child.wait() != 0 or not answered.is_file():
            raise PricewrightError(f"it does not load or answer: {said or f'exit code {child.returncode}'}")
        return pd.DataFrame(json.loads(answered.read_text(encoding="utf-8"))["predictions"])


def registry_down(error: Exception) -> PricewrightError:
    """The error for a registry that cannot be reached or read; passwords in its address are left out."""
    address = re.sub(r"//[^/@]*@", "//", mlflow.get_tracking_uri())
    reason = re.sub(r"//[^/@\s]*@", "//", _first_line(error))
    return PricewrightError(
        f"the registry at {address} does not answer: {reason}. Start it, or mend MLFLOW_TRACKING_URI"
    )


@contextmanager
def registry() -> Iterator[None]:
    """Connect, and turn every failure of the registry inside the block into a PricewrightError."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # the default of 7 waits for minutes
    try:
        connect()
        yield
    except (MlflowException, SQLAlchemyError, ConnectionError) as error:
        raise registry_down(error) from error


# --- the store ---------------------------------------------------------------------------------------


def connect() -> None:
    """Point mlflow at the store and make the store and the experiment where there is none yet."""
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
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

    A changed dvc.lock alone is not dirty: it is what the run itself writes, and its digest stands beside.
    """
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock")
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


def _fail(run_id: str) -> None:
    """End a run as failed; where the store cannot be written either, the first error is the one to show."""
    with suppress(Exception):
        _end(run_id, "FAILED")


def _session_run() -> str:
    """The parent run of the `dvc repro` that started this process; made by the first stage that asks."""
    ancestors = [psutil.Process(), *psutil.Process().parents()]
    session = next((process for process in ancestors if _is_dvc(process)), ancestors[0])
    key = f"{session.pid}-{session.create_time():.0f}"
    found = MlflowClient().search_runs([_experiment_id()], f"tags.`pricewright.session` = '{key}'")
    if found:
        return found[0].info.run_id
    return _create("dvc repro", {"pricewright.kind": "flow", "pricewright.session": key})


def _is_dvc(process: psutil.Process) -> bool:
    try:
        return any(Path(word).name == "dvc" for word in process.cmdline()[:3])
    except psutil.Error:
        return False


def _flat_text(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat_text(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def sha256(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their names."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    kept = [name for name in files if not set(name.split("/")) & set(WRITTEN_LATER)]
    lines = "".join(f"{sha256(path / name)}  {name}\n" for name in kept)
    return hashlib.sha256(lines.encode()).hexdigest()


def _download(uri: str, folder: str) -> Path:
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))


def _progress(child: subprocess.Popen[bytes]) -> str:
    """Pass a child's progress bars on to stderr until it closes its own; the last line that it said."""
    assert child.stderr is not None
    said = b""
    while piece := os.read(child.stderr.fileno(), 65536):
        if b"\r" in piece:
            sys.stderr.buffer.write(piece)
            sys.stderr.flush()
        said = (said + piece)[-4000:]
    lines = said.decode(errors="replace").split("\r")[-1].split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
