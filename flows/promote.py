"""The gate and the way back, as flows: `promote` and `rollback`.

    python -m flows.promote promote [--version 3] [--unseen]
    python -m flows.promote rollback [--version 3]

A flow decides, asks a person where `promote.approval` is set (in the terminal, or a deployment by a form),
and moves the aliases; it leaves a page for each decision and a table in the terminal.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from prefect.states import Completed
from rich import markup
from rich.console import Console
from rich.table import Table

from components.core import registry
from components.core.errors import PricewrightError
from components.core.markdown import escaped, table
from components.core.params.file import load_params
from components.core.params.promote import Promote
from components.core.registry import CHALLENGER, CHAMPION
from components.promotion import aliases, anchor, decision_log
from components.promotion import promote as promotion
from components.promotion.decision import NothingToDecide, advice, propose
from components.promotion.gate import in_unit, shown
from components.promotion.spending import FreshRowsNeeded
from components.tasks import load_task
from flows import server, summary

POLL = 10
"""Seconds between two looks for the answer of a person."""


class Approval(RunInput):
    """The form for the person who resumes the flow run."""

    name: str
    """Who approves or declines."""
    approve: bool = True


@flow(name="promote")
def promote(version: str | None = None, unseen: bool = False) -> State[Any]:
    """Compare the challenger, or `version`, with the champion and make it champion where it is better.

    `unseen` compares with a champion that was scored on other gate rows, on those that it was not made with.
    The state is named by the verdict. With `promote.approval` a promotion waits for a person. Raises
    PricewrightError where the decision cannot be made, or nobody approved it in time; the champion stays
    then.
    """
    params = load_params()
    with registry.connected():
        with aliases.turn(params.register.model_name):
            pass  # what an interrupted call left half done is done before anything is read
        try:
            record = propose(params.register.model_name, version, unseen, params.promote, load_task())
        except NothingToDecide as nothing:
            print(f"\n{nothing}.", flush=True)
            return Completed(name="Nothing to decide", message=str(nothing))
        except FreshRowsNeeded as used_up:
            print(f"\n{used_up}.", flush=True)
            return Completed(name="Fresh rows needed", message=str(used_up))
        return _finished(_settled(record, params.promote))


@flow(name="rollback")
def rollback(version: str | None = None) -> State[Any]:
    """Make the `previous` version, or `version`, the champion again.

    With `promote.approval` it waits for a person. Raises PricewrightError where it never was champion, does
    not load and answer, or nobody approved it; the champion stays then.
    """
    params = load_params()
    with registry.connected():
        name, approval = params.register.model_name, params.promote.approval
        record = promotion.propose_rollback(name, version, approval, params.task.kind)
        return _finished(_settled(record, params.promote))


def first_champion() -> None:
    """Where there is no champion yet, have the gate decide on a challenger that it never decided on, and
    leave how things stand for the summary. Where a person has to approve, that is left to `make promote`.
    """
    params = load_params()
    name = params.register.model_name
    with registry.connected():
        challenger = registry.aliases(name).get(CHALLENGER)
        counted = decision_log.counted(decision_log.entries(name))
        decisions = [entry.record for entry in counted if entry.record["version"] == challenger]
        if CHAMPION in aliases.standing(name) or challenger is None or decisions:
            _stand(name, decisions[-1] if decisions else None)
        elif params.promote.approval:
            _stand(name, None, "a person has to approve it (promote.approval): `make promote`")
        else:
            try:
                promote()
            except PricewrightError as error:
                _stand(name, None, str(error))


def rows(record: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures of a decision, for a person: (name, figure)."""
    champion = record["champion"]
    figures = [
        ("version", f"{record['model']} {record['version']}"),
        ("champion before", f"{record['model']} {champion}" if champion else "none"),
    ]
    if record["kind"] == "promote":
        figures += [
            ("compared with", record["against"]),
            ("mean loss of the version", _loss(record, "loss_challenger")),
            (f"mean loss of {record['against']}", _loss(record, "loss_against")),
            ("better by", _difference(record)),
            ("gate rows", _rows_of(record)),
            ("products in them", str(record["products"])),
        ]
        figures.append(("error rate spent", _spent(record["spent"])))
        figures += [(name, _budget(limit)) for name, limit in record["budgets"].items()]
    if record.get("rows_needed"):
        figures.append(("products needed", f"about {record['rows_needed']}"))
    figures += [("why", reason) for reason in record["reasons"]]
    if record["kind"] == "promote" and (helps := advice(record)):
        figures.append(("what would help", helps))
    figures.append(("by", f"{record['by']}, {record['when']}"))
    figures += [
        (name.replace("_", " "), record[name]) for name in ("approved_by", "declined") if name in record
    ]
    return figures


def headline(record: dict[str, Any]) -> str:
    """The decision in a few words; until it is kept, and so has a number, it is a proposal."""
    version = f"{record['model']} version {record['version']}"
    if "declined" in record:
        return f"Declined: {version} does not become {CHAMPION}"
    return f"{record['verdict'].capitalize()}: {version}" if "number" in record else f"Proposed: {version}"


def markdown(record: dict[str, Any]) -> str:
    """The decision as a page."""
    return f"# {escaped(headline(record))}\n\n" + table(("", ""), rows(record))


def text(record: dict[str, Any]) -> str:
    """The decision as a table for a terminal."""
    figures = Table(box=None, pad_edge=False, show_header=False)
    for name, figure in rows(record):
        figures.add_row(name, markup.escape(figure))
    console = Console(width=110, highlight=False)
    with console.capture() as captured:
        console.print(markup.escape(headline(record)), style="bold")
        console.print()
        console.print(figures)
    return captured.get()


# --- the steps of a flow -----------------------------------------------------------------------------


def _settled(record: dict[str, Any], section: Promote) -> dict[str, Any]:
    """The decision that a proposal becomes, with the answer of a person where one is required."""
    if section.approval and decision_log.crowns(record):
        _page(record)
        by_form = deployment.id is not None
        record = _approved(record, section.approval_hours) if by_form else _asked(record)
    return promotion.conclude(record)


def _asked(record: dict[str, Any]) -> dict[str, Any]:
    """The record with the answer of the person at the terminal. Raises PricewrightError without one."""
    if not sys.stdin.isatty():
        raise PricewrightError(
            "a person has to approve this (promote.approval), and there is no terminal to ask in: run it in "
            f"one, or start the deployment `{record['kind']}`, which asks by a form. The {CHAMPION} stays"
        )
    print("\n" + text(record), flush=True)
    name = input(
        f"Your name approves {record['model']} version {record['version']}; nothing declines: "
    ).strip()
    return record | ({"approved_by": name} if name else {"declined": f"declined by {record['by']}"})


def _approved(record: dict[str, Any], hours: float) -> dict[str, Any]:
    """The record with the answer of a person by Prefect's form.

    Without one it lapses: that is recorded too, and the run fails, as Prefect has it.
    """
    try:
        answer = pause_flow_run(wait_for_input=Approval, timeout=round(hours * 3600), poll_interval=POLL)
    except FlowPauseTimeout:
        lapsed = f"nobody approved within {hours:g} hours"
        _page(promotion.conclude({**record, "declined": lapsed}))
        raise PricewrightError(f"{lapsed}; the champion stays. Start it again to ask again") from None
    if answer.approve:
        return {**record, "approved_by": answer.name}
    return {**record, "declined": f"declined by {answer.name}"}


def _page(record: dict[str, Any]) -> None:
    create_markdown_artifact(key=f"{record['kind']}-decision", markdown=markdown(record))


def _finished(record: dict[str, Any]) -> State[Any]:
    """Leave the page of a decision, show it, and name the state of the flow by it."""
    _page(record)
    _stand(record["model"], record)
    print(f"\n{text(record)}\n{anchor.ANCHOR} holds the new head of the decisions: commit it.", flush=True)
    name = "Declined" if "declined" in record else record["verdict"].capitalize()
    return Completed(name=name, message=headline(record), data=record)


def _stand(model_name: str, record: dict[str, Any] | None, reason: str = "") -> None:
    """Leave for the summary which version is champion and, where there is none, why and what would help."""
    standing = {"champion": aliases.standing(model_name).get(CHAMPION), "reason": reason, "advice": ""}
    if record is not None and record["kind"] == "promote":
        standing |= {"reason": f"{record['verdict']}: {record['reasons'][0]}", "advice": advice(record)}
    summary.STANDING.parent.mkdir(exist_ok=True)
    summary.STANDING.write_text(json.dumps(standing, indent=2) + "\n", encoding="utf-8")


def _difference(record: dict[str, Any]) -> str:
    if record["difference"] is None:
        return "unknown"
    unit = record["unit"]
    interval = f"{shown(record['low'], unit)} to {shown(record['high'], unit)}"
    confidence = 1 - 2 * record["spent"]["error_rate"]
    return f"{in_unit(record['difference'], unit)} ({confidence:.4g} interval {interval})"


def _spent(spent: dict[str, Any]) -> str:
    return (
        f"{spent['error_rate']:.2g} of {spent['shared']:g}: comparison {spent['position']} of at most "
        f"{spent['decisions_max']} on these rows"
    )


def _rows_of(record: dict[str, Any]) -> str:
    rows = f"{record['rows']} (SHA-256 {record['gate_sha256'][:12]})"
    if intake := record.get("intake"):
        rows += f" of intake {intake}"
    left_out = record["rows_left_out"]
    return f"{rows}; {left_out} left out that were seen before" if left_out else rows


def _budget(limit: dict[str, float | None]) -> str:
    """A figure and its limits."""
    value = "not measured" if limit["value"] is None else f"{limit['value']:.4g}"
    words = {"at_least": "at least", "at_most": "at most"}
    limits = [f"{words[name]} {limit[name]:g}" for name in words if limit.get(name) is not None]
    return f"{value} ({', '.join(limits)})"


def _loss(record: dict[str, Any], name: str) -> str:
    value = record[name]
    return "none (no readable answer)" if value is None else in_unit(value, record["unit"]).removeprefix("+")


def main() -> None:
    """Run a flow here; the exit code is 1 after an error, 130 after Ctrl-C, 143 after SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m flows.promote")
    parser.add_argument("flow", choices=["promote", "rollback"])
    parser.add_argument("--version", help="version number; by default the alias challenger or previous")
    parser.add_argument("--unseen", action="store_true", help="promote: only on rows new to the champion")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).propagate = False
    try:
        load_params()
        print(f"{arguments.flow}: starting", flush=True)
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
