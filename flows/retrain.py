"""A version that has learned from what the champion was asked, for a reason that stands with it.

    python -m flows.retrain [--due] [--reason TEXT]

Requests whose answer came true become listings (components/sources/requests.py), the chain is brought up to
date, and the version that it registers is the challenger: it shadows the champion where `serve.shadow` says
so, and the gate decides. Nothing is promoted here.
"""

from __future__ import annotations

import argparse
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner

from components.core import registry
from components.core.errors import PricewrightError
from components.core.markdown import escaped, table
from components.core.params.file import Params, load_params
from components.core.registry import Version
from flows import graph, lock, pipeline

if TYPE_CHECKING:
    import pandas as pd

    from components.tasks import AnyTask

NAME = "retrain"
REASON, LEARNED = "pricewright.reason", "pricewright.learned"
"""Tags of a version, the first of the flow's run too: why it was trained, and until when (UTC) it has learned
from requests."""
WATCHED = Path("reports/watch/watch.json")
"""The report of `make watch`."""
ASKED_FOR = "asked for"


@flow(name=NAME, task_runner=ThreadPoolTaskRunner())  # type: ignore[arg-type]
def retrain(due: bool = False, reason: str | None = None, wait: bool = False) -> State[Any]:
    """Train a challenger on all listings and the requests whose answer is known; with `due` only where an
    alarm of the last watch or enough new truth says so, with `wait` behind another run.

    `reason` stands in the record beside those. Raises PricewrightError where no version is registered yet,
    nothing that was asked has come true, another run is at work in this clone, or a stage failed.
    """
    from components.tasks import load_task

    with lock.only_run(wait):
        params = load_params()
        name = params.register.model_name
        with registry.connected():
            newest = _newest(name)
        task = load_task()
        answered, until = _answered(params, task)
        known, why = _reasons(answered, newest, params, task)
        if due and not why:
            return Completed(name="Not due", message=f"{len(known)} requests have come true; no alarm")
        _write(known, params)
        why = [*filter(None, [reason]), *why] or [ASKED_FOR]
        pipeline.bring_up_to_date(NAME, graph.stages(Path.cwd()), {REASON: "; ".join(why)})
        _queue(answered, params, task)
        with registry.connected():
            version = _newest(name)
            if version.number == newest.number:
                return Completed(name="Nothing new", message=f"{newest} has learned from all of it")
            registry.tag_version(name, version.number, REASON, "; ".join(why))
            registry.tag_version(name, version.number, LEARNED, until.isoformat())
    return _finished(version, why, len(known))


def _newest(model_name: str) -> Version:
    if versions := registry.versions(model_name):
        return versions[-1]
    raise PricewrightError(f"{model_name} has no version yet: `make run` registers one")


def _answered(params: Params, task: AnyTask) -> tuple[pd.DataFrame, datetime]:
    """What was answered in the last `retrain.days` and what came true of it, and until when (UTC)."""
    from components.monitoring.truth import answered
    from components.serving.request_store import now, opened

    until = now()
    with opened(params.serve.store) as engine:
        return answered(engine, until - timedelta(days=params.retrain.days), task), until


def _reasons(
    answered: pd.DataFrame, newest: Version, params: Params, task: AnyTask
) -> tuple[pd.DataFrame, list[str]]:
    """(what can be learned, why it should be now). Raises PricewrightError where there is nothing."""
    from components.monitoring import retraining

    known = retraining.learnable(answered, task)
    if known.empty:
        raise PricewrightError(
            f"of {len(answered)} requests in {params.serve.store} none has come true, or their texts are "
            "not kept (serve.keep_input): `make truth FILE=sales.csv` tells what did"
        )
    alarms = json.loads(WATCHED.read_text(encoding="utf-8"))["alarms"] if WATCHED.is_file() else []
    learned = newest.tags.get(LEARNED)
    since = datetime.fromisoformat(learned) if learned else None
    return known, retraining.reasons(known, alarms, since, params.retrain.rows_min)


def _write(known: pd.DataFrame, params: Params) -> None:
    """Put the requests where `scrape` reads them; the same requests are the same bytes."""
    path = params.scrape.requests.path
    if path is None:
        raise PricewrightError("scrape.requests.path is null: name the file that requests are to go to")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    half = Path(f"{path}.half")
    known.drop(columns="truth_time").to_parquet(half, index=False)
    half.replace(path)


def _queue(answered: pd.DataFrame, params: Params, task: AnyTask) -> None:
    """Leave the requests that a person may help with the most for the ranking page."""
    from components.feedback.queue import QUEUE, least_certain

    QUEUE.parent.mkdir(exist_ok=True)
    least_certain(answered, params.retrain.queue_rows, task).to_parquet(QUEUE, index=False)


def _finished(version: Version, why: list[str], known: int) -> State[Any]:
    """Leave the page of a retraining, show it, and name what it led to."""
    lines = [*(("why", line) for line in why), ("requests learned from", str(known))]
    head = f"{version} is the challenger"
    create_markdown_artifact(key=NAME, markdown=f"# {escaped(head)}\n\n" + table(("", ""), lines))
    print(f"\n{head}. " + "\n".join(f"{name}: {line}" for name, line in lines), flush=True)
    print(
        "`serve.shadow: challenger` has it answer unheard, `make watch` compares it on live truth, `make "
        "promote UNSEEN=1` on the gate's rows that the champion was not made with.",
        flush=True,
    )
    return Completed(name="Challenger", message=head, data={"version": version.number, "reasons": why})


def main() -> None:
    """Run the flow here."""
    parser = argparse.ArgumentParser(prog="python -m flows.retrain")
    parser.add_argument("--due", action="store_true", help="only where an alarm or enough new truth says so")
    parser.add_argument("--reason", help="stands in the record")
    arguments = parser.parse_args()
    with pipeline.in_terminal(NAME, wait=False):
        state = retrain(arguments.due, arguments.reason or None, return_state=True)
        if state.is_failed():
            state.result()
        print(f"{state.name}: {state.message}", flush=True)


if __name__ == "__main__":
    main()
