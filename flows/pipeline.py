"""The training flow: DVC's graph as Prefect tasks, one generic task per stage.

    python -m flows.pipeline [--wait]

The flow adds to `dvc repro` what a graph of files cannot give: time-outs and retries (each stage's `meta`
in dvc.yaml), branches side by side, a picture of the run, one MLflow parent run, the gate's decision on a
first champion, a summary.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Cancelled, Completed
from prefect.task_runners import ThreadPoolTaskRunner

from components.core.errors import PricewrightError
from components.core.params.file import load_params
from flows import graph, lock, process, server, summary
from flows.graph import StageNode
from flows.screen import NAME_WIDTH, Screen

RETRY_DELAY = 5.0
"""Seconds between two attempts."""
LAST_WORDS = 2 * process.GRACE + 10.0
"""Seconds between a signal and the end of the command, whoever is still busy."""
NOTHING_DONE = ("didn't change, skipping", "is cached - skipping run")
DVC_HINTS = (
    "To track the changes with git",
    "\tgit add",
    "To enable auto staging",
    "\tdvc config core.autostage",
    "Use `dvc push`",
    "Updating lock file",
    "Generating lock file",
    "Running stage",
    "Verifying data sources",
    "WARNING: Process '",  # a lock of a run that was killed, which DVC has just taken away
)
KEPT = "Mend it and run again: finished stages are kept."
STOPPED = "stopped. Run again: finished stages are kept."

SCREEN = Screen()
STOP = threading.Event()
ONE_HEAVY = threading.Semaphore(1)


class StageError(PricewrightError):
    """A stage ended with an error; the message is the last line of its output."""


@flow(name="train", task_runner=ThreadPoolTaskRunner())  # type: ignore[arg-type]
def train(wait: bool = False) -> None:
    """Bring every stage up to date, then print the summary; with `wait`, queue behind another run.

    Raises PricewrightError where params.yaml or dvc.yaml is wrong (nothing has started then), where another
    run is at work in this clone, and where a stage failed.
    """
    with lock.only_run(wait):
        load_params()
        due = bring_up_to_date("train", graph.stages(Path.cwd()))
        if Path("reports/register.json").is_file() and (due or not summary.STANDING.is_file()):
            _first_champion()
    if text := summary.text(Path("reports")):
        create_markdown_artifact(key="train-summary", markdown=summary.markdown(Path("reports")))
        print(text, flush=True)


def bring_up_to_date(name: str, nodes: list[StageNode], tags: dict[str, str] | None = None) -> bool:
    """Run these stages within the flow of this name, whose run gets `tags`; whether there was anything to do.

    Raises StageError where one failed.
    """
    due = [node for node in nodes if node.changed]
    _say(name, f"{len(nodes)} stages, {len(due)} to run")
    with _parent_run(name, tags) if due else nullcontext():
        _run_all(nodes)
    return bool(due)


@task(cache_policy=NO_CACHE)
def run_stage(node: StageNode) -> State[Any]:
    """Reproduce one stage; ends as Cached where DVC has nothing to do, as Cancelled when the flow is stopped.

    Raises StageError with the stage's last error line, or where it ran out of time.
    """
    if not node.changed:
        _say(node.name, "unchanged")
        return Completed(name="Cached", message="unchanged: no process was started")
    try:
        with _turn(node):
            started = time.monotonic()
            lines = _reproduce(node)
    except process.StoppedError:
        return Cancelled(message="the flow was stopped")
    if any(remark in line for line in lines for remark in NOTHING_DONE):
        _say(node.name, "unchanged")
        return Completed(name="Cached", message="DVC had nothing to run")
    _say(node.name, f"done in {time.monotonic() - started:.0f} s")
    return Completed(message="done")


def main() -> None:
    """Run the flow here."""
    parser = argparse.ArgumentParser(prog="python -m flows.pipeline", description=train.__doc__)
    parser.add_argument("--wait", action="store_true", help="queue behind another run in this clone")
    wait = parser.parse_args().wait
    with in_terminal("train", wait):
        train(wait)


@contextmanager
def in_terminal(name: str, wait: bool) -> Iterator[None]:
    """The frame of a flow that runs here, with Prefect's server; with `wait`, it queues behind another run.

    Raises SystemExit: code 1 after an error, 130 after Ctrl-C, 143 after SIGTERM.
    """
    signal.signal(signal.SIGTERM, _terminate)
    SCREEN.on = True
    for logger in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(logger).propagate = False  # the run's page gets them; the terminal has the screen
    try:
        with lock.only_run(wait):
            load_params()  # before the seconds that Prefect's server takes to start
            SCREEN.line(name, "starting")
            server.start()
            yield
    except PricewrightError as error:
        raise SystemExit(f"\nerror: {error}") from None
    except KeyboardInterrupt:
        print(f"\n{STOPPED}", file=sys.stderr)
        raise SystemExit(130) from None


def _terminate(*_: object) -> None:
    print(f"\n{STOPPED}", file=sys.stderr)
    sys.exit(143)


def _leave_within(seconds: float, code: int) -> None:
    """End this command even if Prefect's server, stopped by the same signal, cannot hear of its end."""

    def leave() -> None:
        for child in psutil.Process().children(recursive=True):
            child.kill()
        print(f"\n{STOPPED}", file=sys.stderr, flush=True)
        os._exit(code)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


def _run_all(nodes: list[StageNode]) -> None:
    STOP.clear()
    futures: dict[str, PrefectFuture[Any]] = {}
    try:
        for node in nodes:
            above = [futures[name] for name in node.upstream]
            futures[node.name] = _as_task(node).submit(node, wait_for=above)
        for future in futures.values():
            future.wait()
    except BaseException as stopped:
        STOP.set()  # cancel, SIGTERM, Ctrl-C: the running stages' process groups end, then the tasks
        if SCREEN.on:
            _leave_within(LAST_WORDS, 130 if isinstance(stopped, KeyboardInterrupt) else 143)
        raise
    states = {name: future.state for name, future in futures.items()}
    failed = {name: state for name, state in states.items() if state.is_failed() or state.is_crashed()}
    if failed:
        left = [name for name, state in states.items() if not state.is_final()]
        raise StageError(_explain(failed, left))


def _as_task(node: StageNode) -> Any:
    return run_stage.with_options(
        name=node.name,
        task_run_name=node.name,
        retries=node.retries,
        retry_delay_seconds=RETRY_DELAY,
        retry_condition_fn=lambda *_: not STOP.is_set(),
    )


def _explain(failed: dict[str, State[Any]], left: list[str]) -> str:
    reasons = [
        f"stage {name} failed: {state.result(raise_on_failure=False)}" for name, state in failed.items()
    ]
    if left:
        reasons.append(f"Not run because of it: {', '.join(left)}.")
    return "\n".join([*reasons, KEPT])


def _first_champion() -> None:
    from flows import promote  # mlflow takes seconds to import, see below

    _say("promote", "the first champion passes the gate too")
    promote.first_champion()


def _parent_run(name: str, tags: dict[str, str] | None) -> AbstractContextManager[str]:
    from components.core import (
        tracking,  # mlflow takes seconds to import; a wholly cached run needs none of it
    )

    return tracking.flow_run(name, tags)


class _turn:
    """The wait of a heavy stage for its turn; a light one has it at once."""

    def __init__(self, node: StageNode) -> None:
        self._heavy = node.heavy

    def __enter__(self) -> None:
        while self._heavy and not ONE_HEAVY.acquire(timeout=process.POLL):
            if STOP.is_set():
                raise process.StoppedError

    def __exit__(self, *_: object) -> None:
        if self._heavy:
            ONE_HEAVY.release()


def _reproduce(node: StageNode) -> list[str]:
    """`dvc repro --single-item`, its lines shown as they come; returns the lines of its output."""
    output: list[str] = []

    def show(text: str, finished: bool) -> None:
        if not finished:
            if SCREEN.move(node.name, text):
                get_run_logger().info(text)
        elif not text.startswith(DVC_HINTS):
            output.append(text)
            _say(node.name, text)

    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", node.name]
    try:
        code = process.run(command, _environment(), node.timeout, STOP, show)
    except process.OutOfTimeError:
        raise StageError(f"ran longer than {node.timeout:g} s (meta.timeout in dvc.yaml)") from None
    if code != 0:
        raise StageError(_last_error(output) or f"dvc repro ended with exit code {code}")
    return output


def _say(name: str, text: str) -> None:
    """One line for the terminal and for the run's page."""
    SCREEN.line(name, text)
    get_run_logger().info(text)


def _environment() -> dict[str, str]:
    """Ours, with this interpreter first in PATH: `python` in dvc.yaml means the one that runs the flow."""
    return os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": str(shutil.get_terminal_size().columns - NAME_WIDTH - 1),  # for progress bars
    }


def _last_error(lines: list[str]) -> str:
    """The last line of a stage's output, passing over DVC's own remark that its command failed."""
    remark = re.compile(r"ERROR: failed to reproduce .*failed to run: ")
    own = [line for line in lines if not remark.match(line)]
    return own[-1].strip() if own else ""


if __name__ == "__main__":
    main()
