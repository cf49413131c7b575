"""A team's database: MLflow and Prefect on a PostgreSQL that this file starts on loopback, and stops.

It is set up by the script that compose.yaml uses, asks for a password, and the password comes from the
environment, as in compose.yaml.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2
import pytest
from mlflow.entities import Run, ViewType
from mlflow.tracking import MlflowClient
from sqlalchemy import create_engine, text

from components.core import registry, tracking
from components.promotion import aliases, anchor, decision_log, promote
from components.promotion.history import history
from components.provenance.lineage import Lineage
from components.serving import request_store
from tests.support.constant import register_constant
from tests.support.project import ROOT
from tests.support.registered_repository import registered_repository
from tests.support.registry import NAME, conclude_at_once, crown

USER, PASSWORD = "pricewright", "p@ss/w:rd"  # characters that would have to be escaped in a URL
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "")]
needs_postgres = pytest.mark.skipif(
    not BINARIES[-1].is_file(), reason="no PostgreSQL server here: apt-get install postgresql"
)

TRACKED = """
from pathlib import Path
from components.core import tracking
Path("report.json").write_text("{}")
with tracking.flow_run("train"):
    with tracking.stage_run("sft", {"epochs": 3.0, "lora": {"rank": 16}}, "digest") as run:
        run.metric("loss", 0.5, step=1)
        run.metric("loss", 0.25, step=2)
        run.metrics({"test.mae": 31.7})
        run.artifact(Path("report.json"))
"""
FLOW = """
from prefect import flow, task

@task
def one() -> int:
    return 1

@flow(name="on-postgres")
def train() -> int:
    return one()

assert train() == 1
"""


def _postgres_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: there the account that came with it is taken."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _served(folder: Path, port: int) -> Iterator[None]:
    """A cluster in `folder` that is up inside the block, and down after it whatever happened there."""
    tools, data, password = BINARIES[-1].parent, folder / "data", folder / "password"
    password.write_text(PASSWORD)
    if account := _postgres_user():
        for path in (folder, password):
            shutil.chown(path, account["user"], account["group"])
    make = [tools / "initdb", "-D", data, "-U", USER, "--auth=scram-sha-256", f"--pwfile={password}"]
    subprocess.run(
        [*make, "--no-locale", "--encoding=UTF8", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
        **account,
    )
    settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", f"port={port}"]
    serve = [tools / "postgres", "-D", data, *(word for setting in settings for word in ("-c", setting))]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(serve, stdout=log, stderr=log, cwd=folder, **account)
    try:
        ready = [tools / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-t", "1", "-q"]
        deadline = time.monotonic() + 30
        while subprocess.run(ready, check=False).returncode != 0:
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield
    finally:
        server.send_signal(signal.SIGINT)  # "fast": rolls back and disconnects who is still there
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(scope="module")
def postgres() -> Iterator[dict[str, str]]:
    """libpq's environment for a fresh server with the databases `mlflow` and `prefect`."""
    port = _free_port()
    access = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": USER, "PGPASSWORD": PASSWORD}
    # not pytest's folder: that is closed to PostgreSQL's account
    with tempfile.TemporaryDirectory(prefix="pricewright-postgres-") as folder, _served(Path(folder), port):
        path = f"{BINARIES[-1].parent}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            [ROOT / "infra" / "postgres-init.sh"],
            env=os.environ | access | {"PATH": path, "POSTGRES_USER": USER},
            check=True,
            capture_output=True,
        )
        yield access


@pytest.fixture
def team_store(postgres: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process works in a folder of its own, on the runs and the registry in PostgreSQL."""
    store = {"MLFLOW_TRACKING_URI": f"postgresql+psycopg2://{USER}@127.0.0.1:{postgres['PGPORT']}/mlflow"}
    for key, value in (postgres | store).items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    tracking.connect()


def _python(code: str, folder: Path, settings: dict[str, str]) -> subprocess.Popen[str]:
    """A process of its own that runs `code` in `folder`: what it sees is its environment alone."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=env | {"PYTHONPATH": str(ROOT), "DO_NOT_TRACK": "1"} | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish(*processes: subprocess.Popen[str], seconds: float = 120) -> None:
    """Wait for all of them; none outlives the test. Fails with the output of one that failed."""
    try:
        outputs = [process.communicate(timeout=seconds)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output


def _runs(client: MlflowClient) -> dict[str, Run]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_name: run for run in client.search_runs(experiments, run_view_type=ViewType.ALL)}


@needs_postgres
def test_a_flow_and_its_stage_are_a_parent_and_a_child_run_in_postgresql(
    postgres: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"postgresql+psycopg2://{USER}@127.0.0.1:{postgres['PGPORT']}/mlflow"
    _finish(_python(TRACKED, tmp_path, postgres | {"MLFLOW_TRACKING_URI": address}))

    for key, value in postgres.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    client = MlflowClient(address)
    runs = _runs(client)
    assert set(runs) == {"train", "sft"}
    parent, child = runs["train"], runs["sft"]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert child.data.params == {"epochs": "3.0", "lora.rank": "16"}
    assert child.data.metrics == {"loss": 0.25, "test.mae": 31.7}
    assert [point.value for point in client.get_metric_history(child.info.run_id, "loss")] == [0.5, 0.25]
    assert [file.path for file in client.list_artifacts(child.info.run_id)] == ["report.json"]


@needs_postgres
@pytest.mark.usefixtures("team_store")
def test_of_two_promotions_of_two_clones_at_once_postgresql_lets_one_win(
    tmp_path: Path,
) -> None:
    client = MlflowClient()
    client.create_registered_model(NAME)
    for _ in range(3):
        client.create_model_version(NAME, str(tmp_path / "model"))
    crown("1")
    winner, loser, error = conclude_at_once(tmp_path, ("2", "3"), {})
    assert "now; it was 1 when" in error or "made at the same moment" in error
    assert registry.aliases(NAME) == {"champion": winner, "previous": "1"}
    shutil.copy(tmp_path / f"clone-{winner}" / anchor.ANCHOR, anchor.ANCHOR)
    records, faults = history(NAME)
    assert ([record["version"] for record in records], faults) == (["1", winner], [])
    assert aliases.decisions(registry.open_version(NAME, loser)) == []


@needs_postgres
@pytest.mark.usefixtures("team_store")
def test_a_version_with_a_long_card_is_registered_promoted_and_rolled_back_on_postgresql() -> None:
    name = "cards"
    card = "# A card\n\n" + "- A line about the data.\n" * 500
    for number in ("1", "2"):
        assert register_constant(name, card) == number
    described = MlflowClient().get_model_version(name, "2").description
    assert described.startswith("# A card")
    assert "README.md" in described
    with registry.fetched(registry.open_version(name, "2")) as files:
        assert (files / registry.CARD).read_text() == card
    for number, champion in (("1", None), ("2", "1")):
        record = aliases.new_record("promote", name, number, champion) | {"verdict": "promoted"}
        promote.conclude(decision_log.store(record))
    assert registry.aliases(name) == {"champion": "2", "previous": "1"}
    promote.conclude(promote.propose_rollback(name, None, approval=False, kind="number"))
    assert registry.aliases(name) == {"champion": "1", "previous": "2"}
    assert [len(registry.versions(name)), history(name)[1]] == [2, []]


@needs_postgres
def test_a_version_in_postgresql_is_walked_back_to_its_runs_rows_and_pages(
    postgres: dict[str, str], tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in postgres.items():
        monkeypatch.setenv(key, value)
    address = f"postgresql+psycopg2://{USER}@127.0.0.1:{postgres['PGPORT']}/mlflow"
    with registered_repository(tmp_path, empty_store, address):
        assert not Path("mlflow.db").exists()
        version = registry.versions(NAME)[-1]
        walked = _lineage(version.number)
        assert walked.returncode == 0, walked.stdout + walked.stderr
        assert "Everything holds." in walked.stdout
        runs = {step.name: step for step in Lineage(version).steps() if step.kind == "runs"}
        assert {name: step.state for name, step in runs.items()} == dict.fromkeys(
            ("scrape", "curate", "register"), "holds"
        )
        [row] = pd.read_parquet("source/curate/test.parquet").head(1).to_dict("records")
        shown = _lineage(version.number, "--row", row["id"])
        assert (shown.returncode, row["address"] in shown.stdout) == (0, True), shown.stdout + shown.stderr
        MlflowClient().delete_run(runs["curate"].note.removeprefix("run "))
        assert _lineage(version.number).returncode == 1


def _lineage(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.lineage", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@needs_postgres
def test_a_prefect_flow_leaves_its_run_in_postgresql(postgres: dict[str, str], tmp_path: Path) -> None:
    address = f"postgresql+asyncpg://{USER}@127.0.0.1:{postgres['PGPORT']}/prefect"
    script = tmp_path / "train.py"
    script.write_text(FLOW)  # Prefect reads a flow's source from its file
    settings = {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": address,
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    _finish(_python("import runpy; runpy.run_path('train.py')", tmp_path, postgres | settings), seconds=150)

    with psycopg2.connect(dbname="prefect", **_libpq(postgres)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT flow.name, flow_run.state_type FROM flow_run JOIN flow ON flow.id = flow_run.flow_id"
        )
        assert cursor.fetchall() == [("on-postgres", "COMPLETED")]
        cursor.execute("SELECT state_type FROM task_run")
        assert cursor.fetchall() == [("COMPLETED",)]
    assert not list((tmp_path / "prefect").glob("*.db")), "Prefect wrote to SQLite instead"


def _libpq(access: dict[str, str]) -> dict[str, str]:
    return {"host": access["PGHOST"], "port": access["PGPORT"], "user": USER, "password": PASSWORD}


def test_requests_are_kept_in_postgresql_whose_password_is_in_pgpassword_alone(
    team_store: None, postgres: dict[str, str]
) -> None:
    lost: list[int] = []
    address = f"postgresql+psycopg2://{USER}@127.0.0.1:{postgres['PGPORT']}/mlflow"
    store = request_store.RequestStore(address, 30.0, lost.append)
    when = request_store.now()
    kept = request_store.Kept(when, "order 7", 0, "0" * 64, "{}", '{"value": 1.0}', "1", 0.1, None, None)
    store.add([kept, request_store.Truth(when, "order 7", 0, "12.5")])
    store.close()
    assert lost == []
    with create_engine(address).connect() as database:
        joined = "SELECT r.answer, t.value FROM requests r JOIN truths t ON r.key = t.key AND r.row = t.row"
        assert [tuple(row) for row in database.execute(text(joined))] == [('{"value": 1.0}', "12.5")]
