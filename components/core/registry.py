"""The model registry: versions with their files, aliases, tags. What moves when: promotion/aliases.py.

Apart from components/core/tracking.py, so that a stage which only tracks its run does not depend on it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from components.core import tracking
from components.core.errors import PricewrightError

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
"""Aliases of a registered model."""
LOG = "pricewright.log"
"""Tag of a registered model: the run that is the log of the decisions about it."""
MODEL_DIGEST = "model_sha256"
"""Tag of a version: SHA-256 of all files it was registered with."""
EVIDENCE, CARD, EXAMPLE_ANSWER = "evidence", "README.md", "example_answer.json"
"""Folder and files beside the model: what it was measured by and made from, its card, and the rows that it
answered to its example."""
DESCRIPTION_MAX = 5000
"""Most characters of a version's description on PostgreSQL (MLflow's own column)."""
WRITTEN_LATER = ("registered_model_meta", "__pycache__")
"""Files of a fetched version that were not there when it was registered."""


class MissingVersionError(PricewrightError):
    """The registry has no version of that number, or has it no longer."""


def register_version(
    run_id: str,
    model_name: str,
    *,
    data_path: Path,
    loader_module: str,
    code_path: Path,
    example: pd.DataFrame,
    answer: pd.DataFrame,
    options: dict[str, Any],
    requirements: list[str],
    evidence: list[Path],
    card: str,
    tags: dict[str, str],
) -> str:
    """Log the served model under the open run and make it a version in the registry; returns its number.

    `loader_module` holds `_load_pyfunc(path)`; the signature is that of `example` and `answer`, with
    `options`, what `params` of a request may name, and their values where it names none. No pickle is
    written: the model is the folder `data_path` and the code in `code_path`. Beside it are copies of the
    files `evidence`, in a folder of that name, `card` as README.md, whose beginning is the description, and
    the rows of `answer`, by which a service tells whether it still answers so. A tag holds the digest of all
    files, by which `fetched` tells whether they are still the same.
    """
    decision_log(model_name)
    logged = mlflow.pyfunc.log_model(
        name="model",
        loader_module=loader_module,
        data_path=str(data_path),
        code_paths=[str(code_path)],
        signature=mlflow.models.infer_signature(example, answer, options),
        input_example=example,
        pip_requirements=requirements,
    )
    _add_evidence(logged.model_id, evidence, {CARD: card, EXAMPLE_ANSWER: _rows(answer)})
    with tempfile.TemporaryDirectory() as folder:
        digest = sha256(_download(logged.model_uri, folder))
    tags = {"run_id": run_id, MODEL_DIGEST: digest, **tags}
    version = str(mlflow.register_model(logged.model_uri, model_name, tags=tags).version)
    MlflowClient().update_model_version(model_name, version, description=_description(card))
    return version


def _description(card: str) -> str:
    """The card, or as many of its lines as a description holds, and where the rest is."""
    if len(card) <= DESCRIPTION_MAX:
        return card
    more = f"\n\nThe rest of this card is in `{CARD}` of the version's files.\n"
    head = card[: DESCRIPTION_MAX - len(more)]
    return (head.rpartition("\n")[0] or head) + more


def _rows(answer: pd.DataFrame) -> str:
    return str(answer.to_json(orient="records", double_precision=15))


def _add_evidence(model_id: str, evidence: list[Path], texts: dict[str, str]) -> None:
    """Put copies of the files `evidence`, and `texts` by the names of their files, beside a logged model."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        Path(folder, EVIDENCE).mkdir()
        for path in evidence:
            shutil.copy(path, Path(folder, EVIDENCE))
        MlflowClient().log_model_artifacts(model_id, folder)


def set_alias(model_name: str, alias: str, version: str) -> None:
    """Move `alias` to `version`."""
    _put(lambda: MlflowClient().set_registered_model_alias(model_name, alias, version))


def aliases(model_name: str) -> dict[str, str]:
    """Alias to version number; empty where there is no such model. A version that it names may be deleted."""
    try:
        aliases = MlflowClient().get_registered_model(model_name).aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
    return {name: str(version) for name, version in aliases.items()}


@dataclass(frozen=True)
class Version:
    """A registered version, as it was when it was opened."""

    model: str
    number: str
    tags: dict[str, str]

    def __str__(self) -> str:
        return f"{self.model} version {self.number}"


def open_version(model_name: str, number: str) -> Version:
    """A version by its number. Raises MissingVersionError where there is none of it, or it is deleted."""
    try:
        return Version(model_name, number, dict(MlflowClient().get_model_version(model_name, number).tags))
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise MissingVersionError(
                f"{model_name} has no version {number}: it never existed or is deleted. "
                "`make mlflow` shows those that there are"
            ) from error
        raise


def decision_log(model_name: str) -> str:
    """The id of the log (`tracking.create_log`) in which the decisions about a model stand.

    Of several clones that need it first at the same time, all get the same log: it is created together with
    the registered model, of which the database lets there be one.
    """
    client = MlflowClient()
    if (log := model_tag(model_name, LOG)) is not None:
        return log
    proposed = tracking.create_log(f"decisions about {model_name}")
    if _created(lambda: client.create_registered_model(model_name, tags={LOG: proposed})):
        return proposed
    if (log := model_tag(model_name, LOG)) is None:  # a model that was registered before there were logs
        since = client.get_registered_model(model_name).creation_timestamp
        anchor = f"decisions about {model_name} since {since}"  # an experiment, since its name is unique too
        _created(lambda: client.create_experiment(anchor, tags={LOG: proposed}))
        experiment = client.get_experiment_by_name(anchor)
        assert experiment is not None
        log = str(experiment.tags[LOG])
        tag_model(model_name, LOG, log)
    if log != proposed:
        client.delete_run(proposed)
    return log


def _created(create: Callable[[], object]) -> bool:
    """Create what the database lets there be one of; False where it exists already."""
    try:
        create()
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return False
    return True


def tag_version(model_name: str, version: str, name: str, value: str) -> None:
    """Set a tag of a version."""
    _put(lambda: MlflowClient().set_model_version_tag(model_name, version, name, value))


def model_tag(model_name: str, name: str) -> str | None:
    """A tag of the registered model itself, None where it is not set or there is no such model."""
    try:
        value = MlflowClient().get_registered_model(model_name).tags.get(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return None if value is None else str(value)


def tag_model(model_name: str, name: str, value: str) -> None:
    """Set a tag of the registered model itself."""
    _put(lambda: MlflowClient().set_registered_model_tag(model_name, name, value))


def _put(write: Callable[[], None]) -> None:
    """Set a tag or an alias, twice where the first attempt fails.

    MLflow looks whether there is one and then inserts it. Where another process inserts it in between, the
    database refuses the insert; by the second attempt there is one to update.
    """
    try:
        write()
    except MlflowException:
        write()


def versions(model_name: str) -> list[Version]:
    """The versions that there are, the oldest first."""
    registered = MlflowClient().search_model_versions(f"name = '{model_name}'")
    versions = [Version(model_name, str(version.version), dict(version.tags)) for version in registered]
    return sorted(versions, key=lambda version: int(version.number))


@contextmanager
def downloaded(version: Version) -> Iterator[tuple[Path, bool]]:
    """A copy of the files of a version, in MLflow's layout, and whether they are those it was registered
    with; gone after the block. Raises PricewrightError where they cannot be fetched.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            files = _download(f"models:/{version.model}/{version.number}", folder)
        except (MlflowException, OSError) as error:
            raise PricewrightError(f"its files cannot be fetched: {_first_line(error)}") from error
        yield files, sha256(files) == version.tags.get(MODEL_DIGEST)


@contextmanager
def fetched(version: Version) -> Iterator[Path]:
    """A copy of the files of a version as they were registered; gone after the block.

    Raises PricewrightError where a file is missing, cut short or changed since.
    """
    if MODEL_DIGEST not in version.tags:
        raise PricewrightError(
            f"it has no tag {MODEL_DIGEST}, so that nobody can tell whether its files are the ones it was "
            "registered with: register it anew with `dvc repro -f register`"
        )
    with downloaded(version) as (files, whole):
        if not whole:
            raise PricewrightError(
                "its files are not those it was registered with (one is missing, cut short or changed): "
                "bring them back from a backup of the artifact store, or choose another version"
            )
        yield files


def registry_down(error: Exception) -> PricewrightError:
    """The error for a registry that cannot be reached or read; passwords in its address are left out."""
    address = re.sub(r"//[^/@]*@", "//", mlflow.get_tracking_uri())
    reason = re.sub(r"//[^/@\s]*@", "//", _first_line(error))
    return PricewrightError(
        f"the registry at {address} does not answer: {reason}. Start it, or mend MLFLOW_TRACKING_URI"
    )


@contextmanager
def connected() -> Iterator[None]:
    """Connect, and turn every failure of the registry inside the block into a PricewrightError."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # the default of 7 waits for minutes
    with reachable():
        tracking.connect()
        yield


@contextmanager
def reachable() -> Iterator[None]:
    """Turn every failure of the connected registry inside the block into a PricewrightError."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, ConnectionError) as error:
        raise registry_down(error) from error


# --- files -------------------------------------------------------------------------------------------


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
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
