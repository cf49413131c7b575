"""The README: three screens, every command run by a test, every folder named, the graph a true one."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.support.project import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SCREENS = 180
"""Lines of three screens."""
THEMSELVES = {"make run", "make test"}
EMPTY_CLONE = {  # run here, in a clone that has registered nothing: (exit code, a part of the answer)
    "make report": (0, "Nothing is evaluated yet: `make run` first."),
    "make history": (0, "Nothing is decided yet: `make promote` decides on the challenger."),
    "make promote": (2, "error: pricer has no challenger: register one with `make run`"),
    "make fresh-test": (2, "error: pricer has no challenger: register one with `make run`"),
    "make rollback": (2, "error: pricer has no previous version to go back to"),
    "make lineage": (2, "error: pricer has no version yet: `make run` registers one"),
    "make forget ADDRESS=/p/1": (2, "error: /p/1: no listing has this address or id"),
    "make serve": (2, "error: pricer has no champion yet"),
    "make docs": (0, "Open: file://"),
}
SERVERS = {"make mlflow": "/health", "make prefect": "/api/health"}  # run here: an address that answers
ELSEWHERE = {  # and what a command does with something registered is the business of these tests
    "make serve": "test_chain.py::test_the_served_version_answers_json_with_price_low_and_high",
    "curl http://127.0.0.1:5001/invocations": "test_chain.py::test_the_served_version_answers_json_with_price"
    "_low_and_high",
    "make promote": "flows/test_promote.py::test_one_command_promotes_a_better_challenger",
    "make rollback": "flows/test_promote.py::test_one_command_promotes_a_better_challenger",
    "make fresh-test": "flows/test_fresh_test.py::test_what_came_in_judges_and_is_never_trained_on",
    "make lineage": "test_chain.py::test_the_registered_version_says_where_it_came_from",
}
TESTED = set(EMPTY_CLONE) | set(SERVERS) | set(ELSEWHERE)


def commands() -> list[str]:
    """The commands in the README's blocks of shell, without comments; of `curl` the address."""
    blocks = "".join(re.findall(r"```sh\n(.*?)```", TEXT, re.S)).replace("\\\n", " ")
    lines = [line.split(" #")[0].strip() for line in blocks.splitlines()]
    return [" ".join(line.split()[:2]) if line.startswith("curl") else line for line in lines if line]


def test_it_has_at_most_three_screens() -> None:
    assert len(TEXT.splitlines()) <= SCREENS


def test_every_command_is_run_by_make_or_by_a_test() -> None:
    assert set(commands()) == THEMSELVES | TESTED


@pytest.mark.parametrize("name", sorted(set(ELSEWHERE.values())))
def test_the_test_that_runs_a_command_is_there(name: str) -> None:
    file, _, function = name.partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """The project's files without a run, and without an environment of its own."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("components", "flows", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "params.yaml", "dvc.yaml", "mkdocs.yml", "intakes.csv"):
        shutil.copy(ROOT / name, folder)
    shutil.copy(empty_store, folder / "mlflow.db")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize(("command", "answer"), EMPTY_CLONE.items())
def test_before_the_first_run_a_command_answers_with_what_there_is_to_do(
    command: str, answer: tuple[int, str], clone: Path
) -> None:
    done = subprocess.run(
        make(command), cwd=clone, env=environment(), capture_output=True, text=True, timeout=240, check=False
    )
    shown = done.stdout + done.stderr
    assert done.returncode == answer[0], shown
    assert answer[1] in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(("command", "path"), SERVERS.items())
def test_a_server_answers_on_the_port_that_is_named(command: str, path: str, clone: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (clone / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*make(command), f"PORT={port}"],
            cwd=clone,
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        for _ in range(180):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                    assert answer.status == 200
                return
            except OSError:
                assert server.poll() is None, (clone / "server.log").read_text()
                time.sleep(0.5)
        raise AssertionError((clone / "server.log").read_text())
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def make(command: str) -> list[str]:
    """A command of make that takes this interpreter's environment for the clone's own."""
    installed = [word for stamp in (".installed", ".docs") for word in ("-o", f".venv/{stamp}")]
    port = ["PORT=0"] if command == "make serve" else []  # whichever is free
    return [*command.split(), *installed, *port]


def environment() -> dict[str, str]:
    """This interpreter first on the PATH, and no server from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MAKE"))}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def test_it_names_every_top_level_folder_and_every_package() -> None:
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [Path(line).parts for line in files.stdout.splitlines() if (ROOT / line).exists()]
    folders = {f"{parts[0]}/" for parts in paths if len(parts) > 1 and not parts[0].startswith(".")}
    folders |= {f"components/{parts[1]}/" for parts in paths if parts[0] == "components" and len(parts) > 2}
    rows = re.findall(r"^\| (`.*?`) \|", TEXT, re.M)
    named = set(re.findall(r"`([\w./]+)`", " ".join(rows)))
    assert folders - named == set()
    assert {name for name in named if not (ROOT / name).exists()} <= {"reports/"}


def test_the_picture_of_the_graph_shows_every_stage_and_no_arrow_that_is_not_there() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    above: dict[str, set[str]] = {}
    for name, block in stages.items():
        read = {Path(path).parts[1] for path in block["deps"] if path.startswith("artifacts/")}
        above[name] = read - {name}
    drawn = re.search(r"flowchart LR\n(.*?)```", TEXT, re.S)
    assert drawn
    arrows = set()
    for line in drawn[1].splitlines():
        names = line.split("-->")
        arrows |= {(start.strip(), end.strip()) for start, end in pairwise(names)}
    assert {name for arrow in arrows for name in arrow} == set(stages)
    assert {arrow for arrow in arrows if arrow[0] not in above[arrow[1]]} == set()
