"""A challenger that learned from requests, in a real DVC repository with a real registry and store."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from prefect import flow as flow_of
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.settings import get_current_settings
from prefect.states import Completed, Failed
from prefect.testing.utilities import prefect_test_harness

from components.core import registry
from components.core.errors import PricewrightError
from components.core.schemas import Sampled
from components.feedback.queue import QUEUE
from components.model.listing_text import listing_text
from components.serving.request_store import Kept, RequestStore, Truth, digest, now
from flows import pipeline
from flows import retrain as flow
from tests.support.project import ROOT
from tests.support.registry import NAME, label
from tests.support.toy_chain import curated, products, work_in, write_toy_chain

ALARM = {"feature": "loss", "detail": "41.2 instead of 27.9"}


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> None:
    """A toy chain, whose shop has been trained on once."""
    write_toy_chain(tmp_path, empty_store, retrain={"rows_min": 30, "queue_rows": 5, "days": 40.0})
    work_in(tmp_path, monkeypatch)


def asks(first: int, rows: int, hours: float, truth: bool = True) -> None:
    """So many requests about listings that differ from those of the shop, and what came true an hour ago:
    twice the price of the shop.
    """
    store = RequestStore("sqlite:///requests.db", 90.0, lambda _: None)
    for number, product in list(enumerate(products()))[first : first + rows]:
        text = listing_text(product.title, product.brand, product.details, f"Asked for by customer {number}")
        record = {"description": text}
        answer = {"value": 50.0, "low": 40.0, "high": 60.0 + number}
        key = f"order {number}"
        asked = Kept(
            time=now() - timedelta(hours=hours),
            key=key,
            row=0,
            input_sha256=digest(record),
            input=json.dumps(record),
            answer=json.dumps(answer),
            version="1",
            seconds=0.01,
            shadow_version=None,
            shadow_answer=None,
        )
        store.add([asked])
        if truth:
            store.add([Truth(now() - timedelta(hours=1), key, 0, json.dumps(2.0 * (product.price or 0)))])
    store.close()


def alarmed(*alarms: dict[str, Any]) -> None:
    """The last watch has raised these alarms."""
    flow.WATCHED.parent.mkdir(parents=True, exist_ok=True)
    flow.WATCHED.write_text(json.dumps({"alarms": alarms}))


def tags(version: str) -> dict[str, str]:
    return registry.open_version(NAME, version).tags


@pytest.mark.slow
def test_what_came_true_makes_a_challenger_and_the_record_says_why(chain: None, capsys: Any) -> None:
    pipeline.train()
    assert registry.aliases(NAME)["champion"] == "1"
    before = curated()
    asks(0, 20, hours=30)
    asks(60, 5, hours=24 * 50)
    assert flow.retrain(due=True, return_state=True).name == "Not due"
    assert not Path("data/requests.parquet").exists()
    alarmed(ALARM | {"to": (now() - timedelta(hours=2)).isoformat(timespec="seconds")})
    asks(20, 8, hours=30, truth=False)
    assert flow.retrain(due=True, return_state=True).name == "Challenger"
    reason = "alarm: loss, 41.2 instead of 27.9"
    assert tags("2")[flow.REASON] == reason
    client = MlflowClient()
    parent = client.get_run(client.get_run(tags("2")["run_id"]).data.tags["mlflow.parentRunId"])
    assert parent.data.tags[flow.REASON] == reason
    assert registry.aliases(NAME) == {"champion": "1", "challenger": "2"}, "nothing is promoted"
    after = curated()
    assert (after["source"] == "requests").sum() == 20
    assert (after.loc[before.index, "split"] == before["split"]).all()
    queue = pd.read_parquet(QUEUE)
    assert list(queue.columns) == Sampled.columns()
    assert list(queue["id"]) == [f"order {number} 0" for number in (27, 26, 25, 24, 23)], "the widest first"
    assert list(queue["completions"][0]) == ["40", "50", "87"]
    assert "asked for by" in queue["prompt"][0].lower()

    assert flow.retrain(due=True, return_state=True).name == "Not due", "that alarm was learned from"
    asks(28, 30, hours=30)
    store = RequestStore("sqlite:///requests.db", 90.0, lambda _: None)
    store.add([Truth(now(), f"order {number}", 0, "70") for number in range(28, 58)])
    store.close()
    flow.retrain(due=True, reason="a new season")
    assert tags("3")[flow.REASON] == (
        "a new season; 30 requests whose answer came true since the newest version learned"
    )
    assert flow.retrain(return_state=True).name == "Nothing new"
    label(challenger="3")
    assert "pricer version 3 is the challenger" in capsys.readouterr().out


def test_without_a_version_without_a_store_and_without_a_truth_it_says_what_to_do(
    chain: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PricewrightError, match="^pricer has no version yet: `make run` registers one"):
        flow.retrain()
    version = registry.Version(NAME, "1", {})
    monkeypatch.setattr(flow.registry, "versions", lambda _: [version])
    with pytest.raises(PricewrightError, match="holds no request yet: `make serve`"):
        flow.retrain()
    asks(0, 3, hours=2, truth=False)
    with pytest.raises(PricewrightError, match=r"^of 3 requests .* none has come true, .*`make truth FILE"):
        flow.retrain()
    assert not Path("data/requests.parquet").exists()


def ends(name: str, state: State[Any]) -> None:
    """A flow of this name runs, and ends in this state."""

    @flow_of(name=name)
    def some_flow() -> State[Any]:
        return state

    some_flow(return_state=True)


@pytest.mark.slow
def test_an_automation_starts_the_deployment_after_every_watch_and_after_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_API_URL", str(get_current_settings().api.url))
    monkeypatch.setenv("PREFECT_CLI_PROMPT", "false")
    monkeypatch.setenv("PWD", str(tmp_path))
    shutil.copy(ROOT / "prefect.yaml", tmp_path)
    shutil.copytree(ROOT / "flows", tmp_path / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    for arguments in (["work-pool", "create", "--type", "process", "pricewright"], ["deploy", "--all"]):
        subprocess.run([sys.executable, "-m", "prefect", *arguments], check=True, capture_output=True)
    for name, state in (
        ("else", Completed(name="Alarms")),
        ("watch", Completed(name="Alarms")),
        ("watch", Failed()),
        ("watch", Completed(name="No alarm")),
    ):
        ends(name, state)
    with get_client(sync_client=True) as client:
        started: list[FlowRun] = []
        until = time.monotonic() + 60
        while len(started) < 2 and time.monotonic() < until:
            time.sleep(0.5)
            started = [run for run in client.read_flow_runs() if run.deployment_id]
        time.sleep(2)
        started = [run for run in client.read_flow_runs() if run.deployment_id]
    assert [run.parameters["due"] for run in started] == [True, True]
