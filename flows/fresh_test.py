"""Fresh rows for the gate: what came in since its versions were made, it decides by next.

    python -m flows.fresh_test

Listings are scraped and curated anew, those that no version and no decision has seen are drawn, and curation,
validation and baselines follow: the gate needs the listings' splits and the baselines' answers to them. No
model is trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner

from components.core import intakes, registry
from components.core.params.file import load_params
from components.promotion import intake
from components.promotion.decision import PREDICTIONS
from components.promotion.gate_rows import GATE
from flows import graph, lock, pipeline

NAME = "fresh-test"


@flow(name=NAME, task_runner=ThreadPoolTaskRunner())  # type: ignore[arg-type]
def fresh_test(wait: bool = False) -> State[Any]:
    """Draw the next intake of the gate, and have the baselines answer it; with `wait`, queue behind another
    run.

    Raises PricewrightError where there is no version to compare, too few listings are new, another run is at
    work in this clone, or a stage failed.
    """
    with lock.only_run(wait):
        params = load_params()
        name = params.register.model_name
        with registry.connected():
            versions = " and ".join(map(str, intake.opponents(name)))
        _bring_up_to_date(GATE)
        with registry.connected():
            drawn = intake.draw(name, params.promote.rows_min)
        _bring_up_to_date(PREDICTIONS)
    text = (
        f"Intake {drawn.number} of the gate: {drawn.rows} rows of {drawn.products} products, new to "
        f"{versions} and to every decision so far. `make promote` decides by them. Commit {intakes.FILE}, "
        "which keeps them out of training."
    )
    print(f"\n{text}", flush=True)
    return Completed(name="Fresh rows", message=text)


def _bring_up_to_date(output: Path) -> None:
    """Run what is due down to the stage with this output, artifacts/<stage>/<file>."""
    pipeline.bring_up_to_date(NAME, graph.upto(graph.stages(Path.cwd()), output.parts[1]))


def main() -> None:
    """Run the flow here."""
    with pipeline.in_terminal(NAME, wait=False):
        fresh_test()


if __name__ == "__main__":
    main()
