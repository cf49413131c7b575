"""The watch on a real registry and a real store of requests: its report, its page, its run, its errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import yaml
from prefect.testing.utilities import prefect_test_harness

from components.core import registry
from components.core.errors import PricewrightError
from components.core.schemas import SERVED_INPUT
from components.promotion import gate_rows, trial
from components.serving.request_store import Kept, RequestStore, Truth, digest, now
from flows import watch as flow
from tests.support.registry import NAME, crown, label

GERMAN = "Das Gerät {} ist für den Alltag und wird mit einem Netzteil und der Anleitung geliefert."


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def served(project: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Version 1 is champion and version 2 its challenger; the gate's rows stand for those that are scored."""
    crown("1")
    label(champion="1", challenger="2")
    shutil.copytree(tiny_base, project / "artifacts/base")
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["watch"] |= {"batch_rows": 20, "components": 2, "bootstrap": 200}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.setattr(flow, "SCORED", ("gate",))
    return project


def keep(texts: list[str], version: str = "1", truths: bool = True) -> None:
    """Have requests with these texts answered as version 1 answered the gate's rows, one a minute, by a
    version, and better by version 2, unheard.
    """
    lost: list[int] = []
    store = RequestStore("sqlite:///requests.db", 90.0, lost.append)
    items = pd.read_parquet(gate_rows.GATE)
    answers = trial.run_trial(registry.open_version(NAME, "1"), items, "number").answers.to_dict("records")
    for place, text in enumerate(texts):
        record, value = {SERVED_INPUT: text}, float(items["target"][place % len(items)])
        time = now() - timedelta(days=1) + timedelta(minutes=place)
        answer = answers[place % len(items)]
        written = [json.dumps(row) for row in (record, answer, answer | {"value": value + 1})]
        key = f"{version}-{place}"
        store.add([Kept(time, key, 0, digest(record), *written[:2], version, 0.02, "2", written[2])])
        if truths:
            store.add([Truth(time + timedelta(hours=3), key, 0, json.dumps(value))])
    store.close()
    assert lost == []


def shop_texts() -> list[str]:
    return pd.read_parquet(gate_rows.GATE)["text"].tolist()


def logged() -> list[Any]:
    found = mlflow.MlflowClient().search_runs(
        [mlflow.get_experiment_by_name("pricewright").experiment_id],  # type: ignore[union-attr]
        "tags.`pricewright.kind` = 'watch'",
    )
    return list(found)


def test_a_shift_is_reported_on_the_page_in_the_run_and_by_the_name_of_the_state(served: Path) -> None:
    german = [GERMAN.format(number) for number in range(80)]
    keep([*shop_texts(), *german])
    state = flow.watch(return_state=True)
    assert (state.name, state.is_completed()) == ("Alarms", True)
    report = json.loads((flow.FOLDER / "watch.json").read_text(encoding="utf-8"))
    assert {alarm["feature"] for alarm in report["alarms"]} >= {"language"}
    language = next(alarm for alarm in report["alarms"] if alarm["feature"] == "language")
    assert language["last_row"] > len(shop_texts())
    assert language["detail"].startswith("English: 0%")
    assert {feature["feature"] for feature in report["inputs"]} >= {"language", "hidden states"}
    assert report["challenger"]["verdict"] == "promoted"
    assert report["challenger"]["rows"] == 120
    page = (flow.FOLDER / "watch.html").read_text(encoding="utf-8")
    assert "alarms by " in page
    assert "Version 2 on 120 requests with truth: promoted" in page
    [run] = logged()
    assert run.data.metrics["alarms"] == len(report["alarms"])
    assert run.data.metrics["latest.loss"] == report["truth"]["periods"][-1]["loss"] > 1
    files = {file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
    assert files == {"watch.html", "watch.json"}


def test_traffic_of_the_shop_raises_no_alarm_and_the_version_is_asked_once(
    served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(shop_texts()[:20], truths=False)
    assert flow.watch(return_state=True).name == "No alarm"

    def again(*_: object) -> None:
        raise AssertionError("the version has answered these rows already")

    monkeypatch.setattr(trial, "run_trial", again)
    report = flow.watch(return_state=True).result()
    assert (report["rows"], report["truth"]["rows"], report["alarms"]) == (20, 0, [])
    assert "no alarm; 20 requests, 0 of them with truth" in flow.text(report)
    assert "make truth" in (flow.FOLDER / "watch.html").read_text(encoding="utf-8")
    assert len(logged()) == 2


def test_only_what_the_champion_answered_counts(served: Path) -> None:
    keep(shop_texts()[:20], version="2", truths=False)
    with pytest.raises(PricewrightError, match="version 1, the champion, has answered no request"):
        flow.watch()


def test_a_text_of_a_request_cannot_write_into_the_page(served: Path) -> None:
    keep([f"<script>alert({number})</script> the and of" for number in range(40)])
    flow.watch(return_state=True)
    assert "<script" not in (flow.FOLDER / "watch.html").read_text(encoding="utf-8")


def test_the_error_says_what_is_missing(served: Path) -> None:
    with pytest.raises(PricewrightError, match="holds no request yet: `make serve`"):
        flow.watch()


def test_without_a_champion_there_is_nothing_to_watch(project: Path) -> None:
    assert "champion" not in registry.aliases(NAME)
    with pytest.raises(PricewrightError, match=f"{NAME} has no champion"):
        flow.watch()
