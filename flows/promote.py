"""The gate and the way back, as flows: `promote` and `rollback`.

    python -m flows.promote promote [--version 3] [--unseen]
    python -m flows.promote rollback [--version 3]

The work is done by components/promotion/promote.py in a process of its own; a flow adds a page for each
decision, a table in the terminal and, for a deployment with `promote.approval`, the wait for a person.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from prefect.states import Completed
from rich.console import Console
from rich.table import Table

from components.core.errors import PricewrightError
from components.core.params.file import load_params
from flows import process, server
from flows.screen import Screen

SCREEN = Screen()
LOOK_AGAIN = 10
"""Seconds between two looks whether a person has answered."""


class Approval(RunInput):
    """What the person who resumes the flow run is asked."""

    name: str
    """Who approves or declines."""
    approve: bool = True


@flow(name="promote")
def promote(version: str | None = None, unseen: bool = False) -> State[Any]:
    """Judge the challenger, or `version`, against the champion and make it champion where it is better.

    `unseen` judges a champion that was scored on other test rows on those that it was not made with.
    The state is named by the verdict. From a deployment, and with `promote.approval`, a promotion waits for
    a person. Raises PricewrightError where the decision cannot be made, or nobody approved it in time; the
    champion stays then.
    """
    section = load_params().promote
    hold = section.approval and deployment.id is not None
    command = ["promote", *_option("--version", version)]
    command += ["--unseen"] * unseen + ["--hold"] * hold
    record = _decide(*command)
    _page(record)
    if hold and record["verdict"] == "promoted":
        record = _approved(record, section.approval_hours)
        _page(record)
    return _shown(record)


@flow(name="rollback")
def rollback(version: str | None = None) -> State[Any]:
    """Make the `previous` version, or `version`, the champion again.

    Raises PricewrightError where it does not load and answer; the champion stays then.
    """
    load_params()
    record = _decide("rollback", *_option("--version", version))
    _page(record)
    return _shown(record)


def rows(record: dict[str, Any]) -> list[tuple[str, str]]:
    """What there is to say of a decision, for a person: name and figure."""
    champion = record["champion"]
    found = [
        ("version", f"{record['model']} {record['version']}"),
        ("champion before", f"{record['model']} {champion}" if champion else "none"),
    ]
    if record["kind"] == "promote":
        found += [
            ("judged against", record["against"]),
            ("MAE of the version", _dollars(record["mae_challenger"])),
            (f"MAE of {record['against']}", _dollars(record["mae_against"])),
            ("better by", _difference(record)),
            ("test rows", f"{record['rows']} (SHA-256 {record['test_sha256'][:12]})" + _left_out(record)),
        ]
        found += [(name, _budget(limit)) for name, limit in record["budgets"].items()]
    if record.get("rows_needed"):
        found.append(("rows needed", f"about {record['rows_needed']}"))
    found += [("why", reason) for reason in record["reasons"]]
    found.append(("by", f"{record['by']}, {record['when']}"))
    found += [
        (name.replace("_", " "), record[name]) for name in ("approved_by", "declined") if name in record
    ]
    return found


def headline(record: dict[str, Any]) -> str:
    """The decision in a few words."""
    if "declined" in record:
        return f"Declined: {record['model']} version {record['version']} is not promoted"
    return f"{record['verdict'].capitalize()}: {record['model']} version {record['version']}"


def markdown(record: dict[str, Any]) -> str:
    """The decision as a page."""
    lines = [f"# {headline(record)}", "", "| | |", "| --- | --- |"]
    return "\n".join(lines + [f"| {name} | {figure.replace('|', '/')} |" for name, figure in rows(record)])


def text(record: dict[str, Any]) -> str:
    """The decision as a table for a terminal."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, figure in rows(record):
        table.add_row(name, figure)
    console = Console(width=110, highlight=False)
    with console.capture() as captured:
        console.print(headline(record), style="bold")
        console.print()
        console.print(table)
    return captured.get()


# --- the process that decides ------------------------------------------------------------------------


def _decide(*arguments: str) -> dict[str, Any]:
    """Run promotion/promote.py; the record that it wrote. Raises PricewrightError with what it refused."""
    said: list[str] = []

    def show(line: str, finished: bool) -> None:
        if not finished:
            SCREEN.move(arguments[0], line)
        else:
            said.append(line)
            if not line.startswith("error: "):
                SCREEN.line(arguments[0], line)
                get_run_logger().info(line)

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "decision.json")
        command = [sys.executable, "-m", "components.promotion.promote", *arguments, "--out", str(out)]
        code = process.run(command, {**os.environ, "PYTHONUNBUFFERED": "1"}, None, threading.Event(), show)
        if code != 0:
            last = said[-1] if said else f"components.promotion.promote ended with exit code {code}"
            raise PricewrightError(last.removeprefix("error: "))
        record: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return record


def _approved(record: dict[str, Any], hours: float) -> dict[str, Any]:
    """Wait for a person, and settle the proposal by the answer.

    Without one it lapses: that is recorded too, and the run fails, as Prefect has it.
    """
    try:
        answer = pause_flow_run(
            wait_for_input=Approval, timeout=round(hours * 3600), poll_interval=LOOK_AGAIN
        )
    except FlowPauseTimeout:
        lapsed = f"nobody approved within {hours:g} hours"
        _page(_settled(record, "--declined", lapsed))
        raise PricewrightError(f"{lapsed}; the champion stays. Promote again to ask again") from None
    if answer.approve:
        return _settled(record, "--approved-by", answer.name)
    return _settled(record, "--declined", f"declined by {answer.name}")


def _settled(record: dict[str, Any], answer: str, words: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder, "held.json")
        held.write_text(json.dumps(record), encoding="utf-8")
        return _decide("settle", str(held), answer, words)


def _option(name: str, value: str | None) -> list[str]:
    return [] if value is None else [name, value]


def _page(record: dict[str, Any]) -> None:
    create_markdown_artifact(key=f"{record['kind']}-decision", markdown=markdown(record))


def _shown(record: dict[str, Any]) -> State[Any]:
    print("\n" + text(record), flush=True)
    name = "Declined" if "declined" in record else record["verdict"].capitalize()
    return Completed(name=name, message=headline(record), data=record)


def _difference(record: dict[str, Any]) -> str:
    if record["difference"] is None:
        return "unknown"
    interval = f"{record['low']:+.2f} to {record['high']:+.2f}"
    confidence = 1 - 2 * record["params"]["error_rate"]
    return f"{record['difference']:+.2f} dollars ({confidence:.4g} interval {interval})"


def _left_out(record: dict[str, Any]) -> str:
    left_out = record["rows_left_out"]
    return f"; {left_out} left out that the champion was made with" if left_out else ""


def _budget(limit: dict[str, float | None]) -> str:
    """A figure and its limits."""
    value = "not measured" if limit["value"] is None else f"{limit['value']:.4g}"
    words = {"at_least": "at least", "at_most": "at most"}
    limits = [f"{words[name]} {limit[name]:g}" for name in words if limit.get(name) is not None]
    return f"{value} ({', '.join(limits)})"


def _dollars(value: float | None) -> str:
    return "none (no readable answer)" if value is None else f"{value:.2f} dollars"


def main() -> None:
    """Run a flow here; the exit code is 1 after an error, 130 after Ctrl-C, 143 after SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m flows.promote")
    parser.add_argument("flow", choices=["promote", "rollback"])
    parser.add_argument("--version", help="version number; by default the alias challenger or previous")
    parser.add_argument("--unseen", action="store_true", help="promote: only on rows new to the champion")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    SCREEN.on = True
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).propagate = False
    try:
        load_params()
        SCREEN.line(arguments.flow, "starting")
        server.start()
        if arguments.flow == "promote":
            promote(arguments.version or None, arguments.unseen)
        else:
            rollback(arguments.version or None)
    except PricewrightError as error:
        raise SystemExit(f"\nerror: {error}") from None
    except KeyboardInterrupt:
        print("\nstopped. The champion is what it was, or the next call completes the move.", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
