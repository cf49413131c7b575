"""The champion in service, watched: its traffic, its answers, what came true, and its challenger.

    python -m flows.watch

Nothing is moved and nothing is trained: it ends in reports/watch/ and in a tracked run, and its state is
named `Alarms` or `No alarm`, by which an automation of Prefect can start what is to follow. It may run
beside any other flow.
"""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from components.core import registry, tracking
from components.core.errors import PricewrightError
from components.core.markdown import escaped, table
from components.core.params.file import Params, load_params
from components.core.registry import CHALLENGER, CHAMPION
from components.core.schemas import SCORED
from flows import server

if TYPE_CHECKING:
    import pandas as pd

    from components.monitoring.watching import Reference
    from components.tasks import AnyTask
    from components.tasks.label import LabelTask

FOLDER = Path("reports/watch")
ANSWERS = Path("work/watch")
"""How a version answered held-out rows: asked once."""
LOOKS = 60
"""Points of the picture of the confidence sequence."""
NO_ALARM, ALARMS = "No alarm", "Alarms"


@flow(name="watch")
def watch() -> State[Any]:
    """Report on the champion in service. The state's data is the report.

    Raises PricewrightError where there is no champion, it has answered nothing yet, or the registry or the
    store of requests does not answer.
    """
    params = load_params()
    with registry.connected():
        report = _report(params)
        _written(report, params)
    create_markdown_artifact(key="watch", markdown=markdown(report))
    print(f"\n{text(report)}\n\nThe page: file://{(FOLDER / 'watch.html').resolve()}", flush=True)
    return Completed(name=ALARMS if report["alarms"] else NO_ALARM, message=_headline(report), data=report)


def text(report: dict[str, Any]) -> str:
    """The report in some lines for a terminal."""
    lines = [_headline(report)]
    lines += [
        f"  alarm: {alarm['feature']}, {alarm['rows']} rows to {alarm['to']}: {alarm['detail']} "
        f"({alarm['test']}, p {alarm['p']:.1e}, effect {alarm['effect']:.3f})"
        for alarm in report["alarms"]
    ]
    if challenger := report["challenger"]:
        reasons = " ".join(challenger["reasons"])
        lines.append(f"  challenger version {challenger['version']}: {challenger['verdict']}; {reasons}")
    return "\n".join(lines)


def markdown(report: dict[str, Any]) -> str:
    """The report as a page of Prefect."""
    rows = [(alarm["feature"], alarm["to"], alarm["detail"]) for alarm in report["alarms"]]
    return f"# {escaped(_headline(report))}\n\n" + table(("alarm", "until", "what differs"), rows)


# --- the report --------------------------------------------------------------------------------------


def _report(params: Params) -> dict[str, Any]:
    from components.monitoring import watching
    from components.tasks import load_task

    name, task = params.register.model_name, load_task()
    champion, challenger = (registry.aliases(name).get(alias) for alias in (CHAMPION, CHALLENGER))
    if champion is None:
        raise PricewrightError(f"{name} has no {CHAMPION}, so nothing is served: `make promote`")
    answered = _answered(params, champion, task)
    version = registry.open_version(name, champion)
    reference, states = _compared_with(version, answered, params, task)
    own = answered[answered["version"] == champion].reset_index(drop=True)
    return {
        "model": name,
        "version": champion,
        "kind": task.kind,
        "alarm_rate": params.watch.alarm_rate,
        "batch_rows": params.watch.batch_rows,
        **watching.watch(own, states, reference, params.watch, params.evaluate, task),
        "challenger": None
        if challenger in (None, champion)
        else _challenger(answered, champion, str(challenger), params, task),
    }


def _answered(params: Params, champion: str, task: AnyTask) -> pd.DataFrame:
    """What was answered. Raises PricewrightError where the champion has answered nothing."""
    from components.monitoring.truth import answered
    from components.serving.request_store import now, opened

    with opened(params.serve.store) as engine:
        rows = answered(engine, now() - timedelta(days=params.serve.keep_days), task)
    if not (rows["version"] == champion).any():
        raise PricewrightError(
            f"version {champion}, the {CHAMPION}, has answered no request that is kept in "
            f"{params.serve.store}: `make serve`, ask it something, and try again"
        )
    return rows


def _compared_with(
    version: registry.Version, answered: pd.DataFrame, params: Params, task: AnyTask
) -> tuple[Reference, Any]:
    """(what the champion was trained on and how it answers held-out rows, the hidden states of the requests
    or None).
    """
    from components.monitoring import watching
    from components.monitoring.states import states_of
    from components.provenance.lineage import Lineage
    from components.tasks.label import LabelTask

    section, made_with = params.watch, Lineage(version)
    training = _drawn(made_with.rows("train"), section.reference_rows, section.seed)
    items = _drawn(made_with.rows(*SCORED), section.reference_rows, section.seed)
    if isinstance(task, LabelTask):
        items = _renamed(items, made_with.names(), task)
    held_out = _held_out(version, items, task)
    if not section.components:
        return watching.Reference(training, held_out, None), None
    own = answered[answered["version"] == version.number]
    texts = watching.texts_of(watching.first_of_each_input(own))
    known, states = states_of(
        [training["text"].tolist(), texts],
        task,
        depths=params.baseline.hidden_depths,
        batch_size=section.batch_size,
    )
    return watching.Reference(training, held_out, known), states


def _drawn(rows: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    return rows.sample(min(most, len(rows)), random_state=seed).reset_index(drop=True)


def _renamed(items: pd.DataFrame, names: list[str], task: LabelTask) -> pd.DataFrame:
    """The rows with their targets, places among `names`, as places among those of the task."""
    places = items["target"].map(lambda target: task.answers.place(names[int(target)]))
    return items.assign(target=places.astype(float))


def _held_out(version: registry.Version, items: pd.DataFrame, task: AnyTask) -> pd.DataFrame:
    """How a version answers rows that it was not fitted on, and their true values; asked once and kept."""
    import pandas as pd

    from components.promotion.trial import run_trial

    known = [*items["id"], *(task.section.label.names if task.kind == "label" else ())]
    rows = hashlib.sha256(json.dumps(known).encode()).hexdigest()
    path = ANSWERS / f"{version.tags[registry.MODEL_DIGEST][:16]}-{rows[:16]}.parquet"
    if not path.is_file():
        answers = run_trial(version, items, task.kind).measured(items, task)
        path.parent.mkdir(parents=True, exist_ok=True)
        answers.assign(value=items["target"].to_numpy(float)).to_parquet(path, index=False)
    return pd.read_parquet(path)


def _challenger(
    answered: pd.DataFrame, champion: str, challenger: str, params: Params, task: AnyTask
) -> dict[str, Any]:
    from components.promotion import live

    loss_max = min(params.watch.loss_max, task.answers.loss_max)
    rows = live.compared_live(answered, champion, challenger)
    decision = live.decide_live(rows, params.promote, loss_max, task)
    figures = {name: value for name, value in asdict(decision).items() if name != "rows_needed"}
    return {
        "version": challenger,
        **figures,
        "needed": decision.rows_needed,
        "sequence": live.sequence(rows, params.promote, loss_max, task, LOOKS),
    }


# --- what is written ---------------------------------------------------------------------------------


def _written(report: dict[str, Any], params: Params) -> None:
    """The report, its figures and its page, in reports/watch/ and in a run of their own."""
    from components.monitoring import figures
    from components.monitoring.page import PERIODS, SEQUENCE, page

    FOLDER.mkdir(parents=True, exist_ok=True)
    if report["truth"]["periods"]:
        drawn = figures.periods(report["truth"]["periods"], params.evaluate.interval, report["kind"])
        drawn.savefig(FOLDER / PERIODS, dpi=110)
    if report["challenger"] and report["challenger"]["sequence"]:
        drawn = figures.sequence(report["challenger"]["sequence"], params.promote.minimum_effect)
        drawn.savefig(FOLDER / SEQUENCE, dpi=110)
    (FOLDER / "watch.html").write_text(page(report, FOLDER), encoding="utf-8")
    written = json.dumps(report, indent=2, ensure_ascii=False)
    (FOLDER / "watch.json").write_text(written + "\n", encoding="utf-8")
    tags = {"pricewright.kind": "watch", "pricewright.version": report["version"]}
    with tracking.own_run("watch", tags, params.watch.model_dump()) as run:
        run.metrics(_metrics(report))
        run.artifact(FOLDER / "watch.html")
        run.artifact(FOLDER / "watch.json")


def _metrics(report: dict[str, Any]) -> dict[str, Any]:
    features = [*report["inputs"], *report["outputs"], *report["truth"]["features"]]
    latest = (report["truth"]["periods"] or [{}])[-1]
    return {
        "requests": report["rows"],
        "truths": report["truth"]["rows"],
        "alarms": len(report["alarms"]),
        "effect": {feature["feature"].replace(" ", "_"): feature["effect"] for feature in features},
        "latest": {name: latest.get(name) for name in ("loss", "coverage")},
    }


def _headline(report: dict[str, Any]) -> str:
    from components.monitoring.page import headline

    return headline(report)


def main() -> None:
    """Run the flow here; the exit code is 0 with alarms too, 1 after an error."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).propagate = False
    try:
        load_params()
        print("watch: starting", flush=True)
        server.start()
        watch()
    except PricewrightError as error:
        raise SystemExit(f"\nerror: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
