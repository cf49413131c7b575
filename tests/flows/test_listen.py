"""The pages that a person starts: a port that is taken, and a real start."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.core.errors import PricewrightError
from flows import listen
from tests.support.project import ROOT
from tests.support.server import environment, served


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, "mlflow.db")
    shutil.copy(ROOT / "params.yaml", "params.yaml")


@pytest.fixture
def busy_port() -> Iterator[int]:
    """A port on which something listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield int(holder.getsockname()[1])


@pytest.mark.parametrize("name", ["mlflow", "prefect"])
def test_a_port_in_use_is_named_with_one_that_is_free(name: str, busy_port: int) -> None:
    with pytest.raises(PricewrightError) as refused:
        listen.command(name, busy_port)
    message = str(refused.value)
    assert message.startswith(f"port {busy_port} of 127.0.0.1 cannot be listened on (Address already in use)")
    instead = int(message.split(f"`make {name} PORT=")[1].rstrip("`"))
    assert instead > busy_port
    listen.free(name, instead)


def test_make_ends_with_an_error_where_the_port_is_taken(busy_port: int) -> None:
    """By the Makefile of the project; its set-up is taken as done."""
    done = subprocess.run(
        ["make", "-C", str(ROOT), "-o", ".venv/.installed", "prefect", f"PORT={busy_port}"],
        env=environment() | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert f"error: port {busy_port} of 127.0.0.1" in done.stderr
    assert "`make prefect PORT=" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_tracking_page_answers_on_loopback() -> None:
    with served("/health", "flows.listen", "mlflow") as (answer, _):
        assert answer == b"OK"
