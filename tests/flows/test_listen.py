"""The servers that a person starts: a port that is taken, a registry without a champion, and a real start."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from components.core import registry, tracking
from components.core.errors import PricewrightError
from components.core.registry import Version
from flows import listen
from tests.support.constant import PRICES, register_constant
from tests.support.nosy_version import KEYS, register_nosy
from tests.support.project import ROOT
from tests.support.registry import crown


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


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("name", ["mlflow", "prefect", "serve"])
def test_a_port_in_use_is_named_with_one_that_is_free(name: str, busy_port: int) -> None:
    with pytest.raises(PricewrightError) as refused:
        listen.serve(busy_port) if name == "serve" else listen.command(name, busy_port)
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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(path: str, *arguments: str, body: bytes | None = None) -> Iterator[tuple[bytes, Path]]:
    """What a real server answers at `path`, once it does, and the file that holds what it has printed."""
    port, printed = free_port(), Path("printed.log")
    with printed.open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "flows.listen", *arguments, "--port", str(port)],
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=body, headers={"Content-Type": "application/json"}
    )
    try:
        until = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    yield answer.read(), printed
                break
            except OSError:
                assert server.poll() is None, printed.read_text()
                assert time.monotonic() < until, printed.read_text()
                time.sleep(0.3)
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)


def test_nothing_is_served_before_there_is_a_champion() -> None:
    with pytest.raises(PricewrightError, match="^pricer has no champion yet: .* `make serve VERSION=n`"):
        listen.serve(free_port())


def test_a_champion_that_no_decision_made_is_not_served_as_one() -> None:
    tracking.connect()
    registry.decision_log("pricer")
    MlflowClient().create_model_version("pricer", "model")
    MlflowClient().set_registered_model_alias("pricer", "champion", "1")
    with pytest.raises(PricewrightError, match="^the alias champion is at version 1, and the decisions have"):
        listen.serve(free_port())


def test_a_version_that_the_gate_has_not_passed_is_served_where_it_is_named_and_with_a_notice() -> None:
    tracking.connect()
    assert register_constant("pricer") == "1"
    with pytest.raises(PricewrightError, match="^pricer has no version 7"):
        listen.serve(free_port(), "7")
    listing = json.dumps({"dataframe_records": [{"description": "a lamp"}]}).encode()
    with served("/invocations", "serve", "--version", "1", body=listing) as (answer, printed):
        assert json.loads(answer) == {"predictions": [PRICES]}
        assert "NOT THE CHAMPION (there is none): pricer version 1 answers on your own" in printed.read_text()
    assert registry.aliases("pricer") == {}


@pytest.fixture
def champion(tmp_path: Path) -> Version:
    """A champion whose code leaves the file `ran` where it runs, and looks for keys."""
    tracking.connect()
    number = register_nosy("pricer", tmp_path / "ran")
    crown(number)
    return registry.open_version("pricer", number)


@pytest.mark.usefixtures("champion")
def test_the_champion_is_served_from_a_copy_and_finds_no_key(tmp_path: Path, monkeypatch: Any) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    for name, value in (KEYS | {"TMPDIR": str(copies)}).items():
        monkeypatch.setenv(name, value)
    listing = json.dumps({"dataframe_records": [{"description": "a lamp"}]}).encode()
    with served("/invocations", "serve", body=listing) as (answer, _):
        assert json.loads(answer) == {"predictions": [{"price": 0.0, "low": 0.0, "high": 1.0}]}
        assert (tmp_path / "ran").exists()
        assert list(copies.rglob("constant.py"))
    assert list(copies.rglob("constant.py")) == []


@pytest.mark.parametrize("changed", ["constant.py", "serving.json"])
def test_a_champion_whose_files_were_touched_is_not_served_and_none_of_its_code_runs(
    champion: Version, tmp_path: Path, changed: str
) -> None:
    [file] = tmp_path.glob(f"mlruns/**/artifacts/**/{changed}")
    file.write_text(file.read_text() + "\n")
    with pytest.raises(PricewrightError, match=f"^{champion} is not served: its files are not those"):
        listen.serve(free_port())
    assert not (tmp_path / "ran").exists()


def test_the_tracking_page_answers_on_loopback() -> None:
    with served("/health", "mlflow") as (answer, _):
        assert answer == b"OK"
