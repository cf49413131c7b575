"""The training flow over real DVC repositories whose stages are shell one-liners."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import psutil
import pytest
import yaml
from mlflow.tracking import MlflowClient
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from components.core.errors import PricewrightError
from components.core.params.section import ParamsError
from flows import lock, pipeline, process
from flows.screen import Screen
from tests.support.project import ROOT

ASIDE = "PREFECT_API_URL", "PREFECT_HOME", "COLUMNS"


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """One Prefect server for the flows that run in this process."""
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> Path:
    """A git and DVC repository with the project's params.yaml and no stage yet."""
    monkeypatch.chdir(tmp_path)
    for name in ASIDE:
        monkeypatch.delenv(name, raising=False)
    shutil.copy(empty_store, "mlflow.db")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
    return tmp_path


def stages(**blocks: dict[str, Any]) -> None:
    """Write dvc.yaml; each stage writes out/<name> and notes in `ran` that it ran."""
    for name, block in blocks.items():
        block.setdefault("outs", [f"out/{name}"])
        block["cmd"] = f"echo {name} >> ran; mkdir -p out; {block.get('cmd', f'echo {name} > out/{name}')}"
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": blocks}, sort_keys=False))


def ran() -> list[str]:
    return Path("ran").read_text().split() if Path("ran").exists() else []


def set_value(section: str, key: str, value: Any) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    params[section][key] = value
    Path("params.yaml").write_text(yaml.safe_dump(params))


def run_and_read_states() -> dict[str, str]:
    """Run the flow here; the state that each task ended in, as the server has it."""
    flow_run = pipeline.train(return_state=True).state_details.flow_run_id
    with get_client(sync_client=True) as client:
        for _ in range(100):  # the server hears of the tasks by events, a moment later
            only = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run]))
            states = {run.name: run.state_name for run in client.read_task_runs(flow_run_filter=only)}
            if states and not set(states.values()) & {"Running", "Pending", "Scheduled"}:
                return states
            time.sleep(0.2)
    raise AssertionError(f"tasks that never ended: {states}")


def parents() -> list[str]:
    """Statuses of the MLflow parent runs, oldest first."""
    mlflow.set_tracking_uri(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    experiment = mlflow.get_experiment_by_name("pricewright")
    if experiment is None:
        return []
    runs = MlflowClient().search_runs([experiment.experiment_id], order_by=["start_time ASC"])
    return [run.info.status for run in runs]


def alive(pid_file: str) -> bool:
    pid = int(Path(pid_file).read_text())
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


# --- the flow, run here ------------------------------------------------------------------------------


@pytest.mark.usefixtures("project", "server")
def test_a_second_run_is_cached_and_a_new_value_reruns_only_what_is_below_it() -> None:
    stages(
        first={"params": ["scrape"]},
        second={"deps": ["out/first"], "params": ["curate"], "cmd": "cp params.yaml out/second"},
        hand={
            "matrix": {"side": ["left", "right"]},
            "deps": ["out/second"],
            "cmd": "cat out/second > out/${item.side}",
            "outs": ["out/${item.side}"],
        },
    )
    everything = {"first", "second", "hand@left", "hand@right"}
    assert run_and_read_states() == dict.fromkeys(everything, "Completed")
    assert sorted(ran()) == ["first", "hand", "hand", "second"]
    assert parents() == ["FINISHED"]

    assert run_and_read_states() == dict.fromkeys(everything, "Cached")
    assert len(ran()) == 4
    assert parents() == ["FINISHED"]

    before = Path("params.yaml").read_text()
    set_value("curate", "seed", 24)
    assert run_and_read_states() == dict.fromkeys(everything, "Completed") | {"first": "Cached"}
    assert sorted(ran()[4:]) == ["hand", "hand", "second"]

    Path("params.yaml").write_text(before)
    assert set(run_and_read_states().values()) == {"Cached"}  # DVC fetches the earlier outputs from its cache
    assert len(ran()) == 7


@pytest.mark.usefixtures("project", "server")
def test_a_failed_stage_stops_what_is_below_it_alone_and_the_next_run_keeps_what_was_finished() -> None:
    bad = "echo loading; echo 'bad: error: no such column' >&2; test -e mended && touch out/bad"
    stages(
        first={},
        bad={"deps": ["out/first"], "cmd": bad},
        below={"deps": ["out/bad"], "cmd": "touch out/below"},
        aside={"deps": ["out/first"]},
    )
    with pytest.raises(pipeline.StageError) as failed:
        pipeline.train()
    assert str(failed.value).splitlines() == [
        "stage bad failed: bad: error: no such column",
        "Not run because of it: below.",
        "Mend it and run again: finished stages are kept.",
    ]
    assert sorted(ran()) == ["aside", "bad", "first"]
    assert parents() == ["FAILED"]
    Path("mended").touch()
    states = run_and_read_states()
    assert states == {"first": "Cached", "aside": "Cached", "bad": "Completed", "below": "Completed"}
    assert parents() == ["FAILED", "FINISHED"]


@pytest.mark.usefixtures("project", "server")
def test_a_stage_that_runs_out_of_time_is_ended_with_its_grandchildren(monkeypatch: Any) -> None:
    monkeypatch.setattr(process, "GRACE", 1.0)
    deaf = "bash -c 'trap \"\" TERM; sleep 300 & echo $! > pid; wait; sleep 300'; true"
    stages(slow={"cmd": deaf, "meta": {"timeout": 4}})
    with pytest.raises(pipeline.StageError, match=r"stage slow failed: ran longer than 4 s .*meta\.timeout"):
        pipeline.train()
    assert not alive("pid")


@pytest.mark.usefixtures("project", "server")
def test_a_stage_is_tried_again_only_where_its_meta_says_so(monkeypatch: Any) -> None:
    monkeypatch.setattr(pipeline, "RETRY_DELAY", 0.1)
    second_time = "test -e seen{0} && touch out/{0} || {{ touch seen{0}; false; }}"
    stages(
        again={"cmd": second_time.format("again"), "meta": {"retries": 1}},
        once={"cmd": second_time.format("once")},
    )
    with pytest.raises(pipeline.StageError, match="^stage once failed") as failed:
        pipeline.train()
    assert "again" not in str(failed.value).splitlines()[0]
    assert sorted(ran()) == ["again", "again", "once"]


@pytest.mark.usefixtures("project", "server")
def test_light_branches_run_side_by_side_and_heavy_ones_in_turn() -> None:
    meet = (
        "touch here{0}; for i in $(seq 300); do test -e here{1} && break; sleep 0.1; done; cp here{1} out/{0}"
    )
    alone = "mkdir busy && sleep 0.5 && rmdir busy && touch out/{0}"
    stages(
        a={"cmd": meet.format("a", "b")},
        b={"cmd": meet.format("b", "a")},
        c={"cmd": alone.format("c"), "meta": {"heavy": True}},
        d={"cmd": alone.format("d"), "meta": {"heavy": True}},
    )
    assert set(run_and_read_states().values()) == {"Completed"}


@pytest.mark.usefixtures("project", "server")
def test_a_typo_in_params_yaml_is_refused_before_anything_starts() -> None:
    stages(first={})
    set_value("curate", "sede", 1)
    with pytest.raises(ParamsError, match="sede"):
        pipeline.train()
    assert ran() == []
    assert parents() == []


@pytest.mark.usefixtures("project", "server")
def test_stages_run_with_the_python_of_the_flow_and_know_the_parent_run() -> None:
    stages(first={"cmd": "python -c 'import sys; print(sys.prefix)' > out/first; env > seen"})
    pipeline.train()
    assert Path("out/first").read_text().strip() == sys.prefix
    variables = dict(line.split("=", 1) for line in Path("seen").read_text().splitlines() if "=" in line)
    assert len(variables["PRICEWRIGHT_PARENT_RUN"]) == 32
    assert "MLFLOW_RUN_ID" not in variables


@pytest.mark.usefixtures("project")
def test_a_second_run_in_the_clone_says_who_holds_it_or_waits() -> None:
    hold = (
        "import time\nfrom flows import lock\nwith lock.only_run(False): print('held', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(PricewrightError, match=rf"process {holder.pid}, since 20\d\d-"), lock.only_run(False):
        pass
    threading.Timer(0.5, holder.communicate, ["\n"]).start()
    with lock.only_run(wait=True), lock.only_run(wait=False):
        assert f"process {os.getpid()}," in Path(".pricewright.lock").read_text()
    assert Path(".pricewright.lock").read_text() == ""


# --- the flow as a command ---------------------------------------------------------------------------


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "flows.pipeline", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PREFECT_HOME": str(Path.cwd() / ".prefect")},
    )


def stuck_in_a_stage() -> subprocess.Popen[str]:
    """The flow, at work on its second stage, which ends only where there is a file `mended`."""
    stages(
        first={},
        slow={
            "deps": ["out/first"],
            "cmd": "test -e mended || { sleep 300 & echo $! > pid; wait; }; touch out/slow",
        },
    )
    child = command()
    while not Path("pid").exists() or not Path("pid").read_text():
        assert child.poll() is None, child.communicate()
        time.sleep(0.1)
    return child


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_every_process_and_the_next_run_carries_on(sent: signal.Signals, code: int) -> None:
    child = stuck_in_a_stage()
    if sent is signal.SIGINT:
        os.killpg(child.pid, sent)  # as a terminal sends Ctrl-C: to Prefect's server as well
    else:
        os.kill(child.pid, sent)
    output, errors = child.communicate(timeout=60)
    assert child.returncode == code
    assert errors.strip() == "stopped. Run again: finished stages are kept."
    assert "done in" in output
    assert not alive("pid")
    assert parents() == ["FAILED"]
    Path("mended").touch()
    assert [node.name for node in pipeline.graph.stages(Path.cwd()) if node.changed] == ["slow"]


@pytest.mark.usefixtures("project")
def test_a_run_that_is_killed_leaves_no_process_and_no_lock_and_the_next_one_carries_on() -> None:
    """SIGKILL gives the flow no moment to end its stages and Prefect's server: their guards do."""
    child = stuck_in_a_stage()
    below = psutil.Process(child.pid).children(recursive=True)
    assert int(Path("pid").read_text()) in {descendant.pid for descendant in below}
    os.kill(child.pid, signal.SIGKILL)
    assert psutil.wait_procs(below, timeout=3 * process.GRACE)[1] == []
    child.communicate()
    Path("mended").touch()
    again = command()
    output, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert "first         unchanged" in output
    assert ran() == ["first", "slow", "slow"]
    assert parents() == ["FAILED", "FINISHED"]


@pytest.mark.usefixtures("project")
def test_the_command_shows_lines_thins_bars_and_ends_with_one_clear_message() -> None:
    bar = "".join(f"\\r{percent}%%|#" for percent in range(100))
    stages(
        first={"cmd": f"printf '{bar}\\r100%%|##########\\n' >&2; touch out/first"},
        bad={"deps": ["out/first"], "cmd": "echo 'bad: error: a port is in use' >&2; exit 3"},
    )
    child = command()
    output, errors = child.communicate(timeout=120)
    assert child.returncode == 1
    assert errors.strip().splitlines() == [
        "error: stage bad failed: bad: error: a port is in use",
        "Mend it and run again: finished stages are kept.",
    ]
    assert "first         100%|##########\n" in output
    assert len([line for line in output.splitlines() if line.startswith("first ") and "%|" in line]) <= 4
    assert "git add" not in output
    assert "Traceback" not in output + errors


@pytest.mark.usefixtures("project")
def test_a_prefect_server_that_does_not_answer_is_named(monkeypatch: Any) -> None:
    stages(first={})
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "0")
    child = command()
    assert "no Prefect server answers at http://127.0.0.1" in child.communicate(timeout=120)[1]
    assert child.returncode == 1
    assert ran() == []


# --- its parts ---------------------------------------------------------------------------------------


def test_lines_are_cut_at_newlines_and_a_carriage_return_starts_a_line_over() -> None:
    lines = process.Lines()
    assert list(lines.feed(b"one\ntw")) == [("one", True)]
    assert list(lines.feed(b"o\n\n\r 10%|#")) == [("two", True), (" 10%|#", False)]
    assert list(lines.feed(b"\r 20%|##\r 30%|###")) == [(" 30%|###", False)]
    assert list(lines.feed(b"\r100%|####\x1b[0m\nend\r\n")) == [("100%|####", True), ("end", True)]
    assert list(lines.feed(b"\r 40%|####\r          \r")) == [(" 40%|####", False)]
    assert list(lines.feed(b"error: it broke\n")) == [("error: it broke", True)]
    euro = "€".encode()
    assert list(lines.feed(euro[:2])) == []
    assert list(lines.feed(euro[2:] + b"\xff\n")) == [("€\ufffd", True)]


def test_a_command_ends_with_its_code_though_a_daemon_it_left_holds_the_pipe(tmp_path: Path) -> None:
    shown: list[str] = []
    pid = tmp_path / "pid"
    leave = f"sleep 300 & echo $! > {shlex.quote(str(pid))}; echo done; exit 7"
    started = time.monotonic()
    code = process.run(
        ["bash", "-c", leave], dict(os.environ), None, threading.Event(), lambda text, _: shown.append(text)
    )
    assert (code, shown) == (7, ["done"])
    assert time.monotonic() - started < process.GRACE
    assert not alive(str(pid))


def test_a_moving_line_is_thinned_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(every=60)
    assert screen.move("silent", "1%")
    assert capsys.readouterr().out == ""
    screen.on = True
    assert [screen.move("sft", f"{percent}%") for percent in range(50)] == [True] + [False] * 49
    screen.line("sft", "done")
    assert capsys.readouterr().out == "sft           0%\nsft           done\n"


# --- the deployment ----------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def prefect(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "prefect", *arguments]


@pytest.fixture
def prefect_server(project: Path, monkeypatch: Any) -> Iterator[Path]:
    """A Prefect server and a worker, as the README has them started."""
    port = free_port()
    monkeypatch.setenv("PREFECT_HOME", str(project / ".prefect"))
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    monkeypatch.setenv("PREFECT_CLI_PROMPT", "false")
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PWD", str(project))
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> None:
        with (project / "log").open("ab") as log:
            started.append(
                subprocess.Popen(prefect(*arguments), stdout=log, stderr=log, start_new_session=True)
            )

    start("server", "start", "--host", "127.0.0.1", "--port", str(port))
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=2).close()
            break
        except OSError:
            time.sleep(0.3)
    subprocess.run(prefect("work-pool", "create", "--type", "process", "pricewright"), check=True)
    start("worker", "start", "--pool", "pricewright")
    yield project
    for child in reversed(started):
        with_children = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
        for process_left in with_children:
            process_left.kill()
        child.wait()


@pytest.mark.slow
def test_a_worker_runs_the_deployment_and_a_cancel_ends_its_stage(prefect_server: Path) -> None:
    shutil.copy(ROOT / "prefect.yaml", prefect_server)
    shutil.copytree(ROOT / "flows", prefect_server / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    slow = "test -e mended || { sleep 300 & echo $! > pid; wait; }; touch out/second"
    stages(first={}, second={"deps": ["out/first"], "cmd": slow})
    subprocess.run(prefect("deploy", "--all"), check=True)
    subprocess.run(prefect("deployment", "run", "train/train"), check=True)
    wait_for(lambda: Path("pid").exists() and Path("pid").read_text() != "")
    with (
        temporary_settings({PREFECT_API_URL: os.environ["PREFECT_API_URL"]}),
        get_client(sync_client=True) as client,
    ):
        (running,) = client.read_flow_runs()
        subprocess.run(prefect("flow-run", "cancel", str(running.id)), check=True)
        wait_for(lambda: not alive("pid"))
        wait_for(lambda: client.read_flow_run(running.id).state_name in ("Cancelled", "Crashed"))

        Path("mended").touch()
        done = subprocess.run(
            prefect("deployment", "run", "train/train", "--watch"), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + Path("log").read_text()
    assert ran() == ["first", "second", "second"]
    assert parents() == ["FAILED", "FINISHED"]


def wait_for(happened: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, Path("log").read_text()
        time.sleep(0.3)
