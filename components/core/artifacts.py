"""The files that MLflow keeps of runs and versions, and the commands that remove them for good.

The commands are MLflow's own: what is deleted is only marked, and its files stay until `mlflow gc`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import mlflow
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

from components.core import registry, tracking

READABLE = {"", ".csv", ".html", ".json", ".jsonl", ".lock", ".md", ".parquet", ".txt", ".yaml", ".yml"}
"""Endings of files that may hold a listing; pictures and weights are not fetched."""
PAGE_RUNS = 1000  # runs that the store gives at a time


class RunFile(NamedTuple):
    """A file among the artifacts of a run."""

    run: str
    """Id of the run."""
    name: str
    """Of the run."""
    path: str
    """Relative to the artifacts of the run."""


def run_files(matches: Callable[[Path], bool]) -> Iterator[RunFile]:
    """The readable files of all runs that match, of those too that are only marked as deleted.

    `matches` gets a copy of each file. What of a run is gone is passed over.
    """
    client, token = MlflowClient(), None
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    assert experiment is not None  # tracking.connect() has made it
    while True:
        page = client.search_runs([experiment.experiment_id], "", ViewType.ALL, PAGE_RUNS, page_token=token)
        for run in page:
            for path in _paths(client, run.info.run_id, ""):
                with tempfile.TemporaryDirectory() as folder:
                    if matches(Path(client.download_artifacts(run.info.run_id, path, folder))):
                        yield RunFile(run.info.run_id, run.info.run_name, path)
        if not (token := page.token):
            return


def version_files(version: registry.Version, matches: Callable[[Path], bool]) -> list[str]:
    """The readable files of a version that match, relative to its folder.

    Raises PricewrightError where they cannot be fetched.
    """
    with registry.downloaded(version) as (folder, _):
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix in READABLE]
        return [path.relative_to(folder).as_posix() for path in files if matches(path)]


def _paths(client: MlflowClient, run: str, folder: str) -> Iterator[str]:
    for entry in client.list_artifacts(run, folder or None):
        if entry.is_dir:
            yield from _paths(client, run, entry.path)
        elif PurePosixPath(entry.path).suffix in READABLE:
            yield entry.path


# --- the commands ------------------------------------------------------------------------------------


def store_setting() -> list[str]:
    """The shell command that points MLflow at the store; none where the environment does so already."""
    known = "MLFLOW_TRACKING_URI" in os.environ
    return [] if known else [f"export MLFLOW_TRACKING_URI={mlflow.get_tracking_uri()}"]


def run_removal(runs: list[str]) -> list[str]:
    """The shell commands that remove runs with their files."""
    marked = [f"mlflow runs delete --run-id {run}" for run in runs]
    return [*marked, f"mlflow gc {_database()} --run-ids {','.join(runs)}"]


def version_removal(version: registry.Version) -> list[str]:
    """The shell commands that remove a version of the registry with its files."""
    model = MlflowClient().get_model_version(version.model, version.number).model_id
    code = f"client.delete_model_version('{version.model}', '{version.number}')"
    code += f"; client.delete_logged_model('{model}')" if model else ""
    removal = [f'python -c "import mlflow; client = mlflow.MlflowClient(); {code}"']
    return [*removal, *([f"mlflow gc {_database()} --logged-model-ids {model}"] if model else [])]


def _database() -> str:
    """What `mlflow gc` works on: the database itself, which a server hides."""
    behind_server = mlflow.get_tracking_uri().startswith("http")
    return (
        f"--backend-store-uri {'<the database of the server>' if behind_server else '$MLFLOW_TRACKING_URI'}"
    )
