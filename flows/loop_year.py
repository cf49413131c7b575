"""The year of `make loop`, in the folder that flows/loop.py has made for it.

    python -m flows.loop_year

What the flows print goes to loop.log there; on the screen stands what happened, with its figures.
"""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, TextIO

import httpx
import yaml

from components.core import registry
from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.core.registry import CHAMPION, PREVIOUS
from components.monitoring import year
from components.monitoring.year_page import figure, page
from components.serving.request_store import now
from components.synthetic.market import questions, write_list
from components.tasks import load_task
from flows import pipeline, promote, retrain, server, watch
from flows.admission import HOST
from flows.loop_traffic import LOG, Plan, Year

SHOP, PAGES = Path("data/shop.jsonl"), Path("reports/loop")
READY_SECONDS = 180.0
NO_ALARM = "no alarm"
YEAR = Plan(
    seed=11,
    listings=1600,
    noise=0.25,
    rows=60,
    late=3,
    spring=13,
    level=1.5,
    look=2,
    autumn=36,
    narrow=0.3,
    winter=42,
    last=52,
)


def first_champion(plan: Plan, log: TextIO) -> None:
    """Train on the shop's list as it is in January; the gate makes the first champion.

    Raises PricewrightError where it does not.
    """
    write_list(SHOP, plan.seed, plan.listings, plan.noise, 1.0)
    with redirect_stdout(log), redirect_stderr(log):
        pipeline.train()
    if CHAMPION not in _aliases():
        raise PricewrightError(f"the gate has made no champion of the first version: see {LOG.resolve()}")


def play(this: Year) -> None:
    """The year, from the first champion on."""
    plan = this.plan
    this.weeks(plan.spring - 1)
    report = this.quietly(watch.watch).result()
    this.tell(
        "",
        f"A quarter without change: {_alarms(report['alarms'])}; error {this.loss(range(1, plan.spring))}.",
    )
    this.level = plan.level
    write_list(SHOP, plan.seed, plan.listings, plan.noise, plan.level)
    this.weeks(plan.spring)
    this.tell("the law shifts", f"From this week on everything costs {plan.level:g} times as much.")
    report = _until(this, plan.autumn, lambda report: bool(_raised(report, this, plan.spring)))
    alarms = _alarms(_raised(report, this, plan.spring))
    this.tell("alarm", _found(this, plan.spring, alarms))
    _learn_again(this)
    _decide(this)
    this.weeks(plan.autumn)
    _bad_challenger(this)
    this.weeks(plan.winter - 1)
    this.level = 1.0
    write_list(SHOP, plan.seed, plan.listings, plan.noise, 1.0)
    this.weeks(plan.winter)
    this.tell("it shifts back", "From this week on everything costs what it did in January.")
    _roll_back(this)
    this.weeks(plan.last)
    this.tell("", f"The year ends: {this.refused} of {this.sent:,} requests had no answer.")


def _learn_again(this: Year) -> None:
    began = time.monotonic()
    state = this.quietly(retrain.retrain, due=True)
    if state.name != "Challenger":
        raise PricewrightError(f"no challenger was trained: {state.message}")
    version, reasons = state.result()["version"], state.result()["reasons"]
    seconds = time.monotonic() - began
    this.tell(
        "retrained", f"Version {version} trained in {seconds:.0f} s, because of {reasons[0]}. It shadows."
    )
    until = time.monotonic() + READY_SECONDS
    while this.client.get("/card", params={"of": "challenger"}).status_code != 200:
        if time.monotonic() > until:
            raise PricewrightError(f"the service does not load the challenger: see {LOG}")
        time.sleep(0.2)


def _decide(this: Year) -> None:
    """Wait for live truth to tell, then let the gate decide, while requests go on."""
    report = _until(this, this.plan.autumn - 1, lambda report: _verdict(report) != "not enough evidence")
    live = report["challenger"]
    this.tell(
        "verdict",
        f"On live truth version {live['version']}: {live['verdict']}; {live['reasons'][-1]} "
        f"({live['rows']} requests that both answered).",
    )
    record = _decided(this, promote.promote, unseen=True)
    this.tell(
        "promoted" if record["verdict"] == "promoted" else "refused",
        f"The gate: {record['verdict']}, {record['reasons'][0]}.",
    )
    if record["verdict"] == "promoted":
        seconds = this.champion_answers(record["version"])
        first = this.week + 1
        this.weeks(this.week + 1 + this.plan.late)
        this.tell(
            "",
            f"The service moved to version {record['version']} in {seconds:.1f} s; error "
            f"{this.loss(range(first, this.week))}, {this.loss(range(this.plan.spring, first))} before.",
        )


def _bad_challenger(this: Year) -> None:
    """Somebody narrows the interval; the gate looks at what it holds."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    kept = params["evaluate"]["interval"]
    _set_interval(params, this.plan.narrow)
    this.quietly(pipeline.train)
    record = _decided(this, promote.promote, unseen=True)
    this.tell(
        "refused" if record["verdict"] == "rejected" else record["verdict"],
        f"Version {record['version']} with an interval of {this.plan.narrow:.0%}: {record['verdict']}, "
        f"{record['reasons'][0]}. Version {record['champion']} goes on.",
    )
    _set_interval(params, kept)


def _roll_back(this: Year) -> None:
    report = _until(
        this,
        this.plan.last - this.plan.late - 1,
        lambda report: bool(_raised(report, this, this.plan.winter)),
    )
    alarms = _alarms(_raised(report, this, this.plan.winter))
    this.tell("alarm", _found(this, this.plan.winter, alarms))
    if PREVIOUS not in _aliases():
        return this.tell("", "There is no version before this one to go back to.")
    before = range(this.plan.winter, this.week + 1)
    record = _decided(this, promote.rollback)
    seconds, first = this.champion_answers(record["version"]), this.week + 1
    this.weeks(this.week + 1 + this.plan.late)
    return this.tell(
        "rolled back",
        f"Version {record['version']} answers again, {seconds:.1f} s after the rollback; error "
        f"{this.loss(range(first, this.week))}, {this.loss(before)} before.",
    )


def _decided(this: Year, flow: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    """The record of a decision. Raises PricewrightError where none was made."""
    state = this.quietly(flow, **arguments)
    record: dict[str, Any] | None = state.result()
    if record is None:
        raise PricewrightError(f"no decision was made: {state.message}")
    return record


def _until(this: Year, last: int, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Look every `plan.look` weeks until a report is enough; the last one in week `last`."""
    while True:
        this.weeks(min(this.week + this.plan.look, last))
        report: dict[str, Any] = this.quietly(watch.watch).result()
        if enough(report) or this.week >= last:
            return report


def _raised(report: dict[str, Any], this: Year, since: int) -> list[dict[str, Any]]:
    """The alarms that fell into the weeks since `since`."""
    first = now() - year.WEEK * (this.week - since + 1)
    return [alarm for alarm in report["alarms"] if datetime.fromisoformat(alarm["to"]) >= first]


def _found(this: Year, since: int, alarms: str) -> str:
    weeks = this.week - since + 1
    return f"{'Not found' if alarms == NO_ALARM else 'Found'} within {weeks} weeks: {alarms}."


def _alarms(alarms: list[dict[str, Any]]) -> str:
    first = {alarm["feature"]: alarm for alarm in reversed(alarms)}
    words = [f"{name} ({alarm['detail']})" for name, alarm in reversed(first.items())]
    return "; ".join(words) or NO_ALARM


def _verdict(report: dict[str, Any]) -> str:
    return str((report["challenger"] or {}).get("verdict", "not enough evidence"))


def _set_interval(params: dict[str, Any], interval: float) -> None:
    params["evaluate"]["interval"] = interval
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def _aliases() -> dict[str, str]:
    with registry.connected():
        return registry.aliases(load_params().register.model_name)


# --- the service, and the whole ------------------------------------------------------------------------


@contextmanager
def service(log: TextIO) -> Iterator[httpx.Client]:
    """The service in a process of its own, as `make serve` has it, and a client of it.

    Raises PricewrightError where it does not become ready.
    """
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "flows.serve", "--port", str(port)]
    child = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://{HOST}:{port}", timeout=60, trust_env=False) as client:
            _wait_until_ready(client, child)
            yield client
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()


def _wait_until_ready(client: httpx.Client, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_SECONDS
    while child.poll() is None and time.monotonic() < until:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise PricewrightError(f"the service does not become ready: see {LOG.resolve()}")


def whole(plan: Plan) -> list[str]:
    """Play a year in this folder and leave its page in PAGES; the lines that were told.

    Raises PricewrightError where a step of it fails.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        log = stack.enter_context(LOG.open("a", encoding="utf-8"))
        first_champion(plan, log)
        client = stack.enter_context(service(log))
        asked = questions(plan.seed, plan.rows * plan.last, plan.noise)
        this = Year(plan, client, log, Random(plan.seed), asked)
        this.tell("", f"The gate made version 1 champion, after {time.monotonic() - began:.0f} s.")
        play(this)
        weeks = year.by_week(this.answered(), load_task())
        PAGES.mkdir(parents=True, exist_ok=True)
        figure(weeks, this.events).savefig(PAGES / "weeks.png", dpi=110)
        text = page(weeks, this.events, time.monotonic() - began, PAGES / "weeks.png")
        (PAGES / "loop.html").write_text(text, encoding="utf-8")
    return [event.text for event in this.events]


def main() -> None:
    """Play the year; exit code 1 with one line where a step fails."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for name in ("prefect.flow_runs", "prefect.task_runs", "prefect"):
        logging.getLogger(name).propagate = False
    try:
        server.start()
        whole(YEAR)
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
