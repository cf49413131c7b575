"""The watch on a champion that answers labels: a real version, its own rows, a real store of requests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
import yaml
from prefect.testing.utilities import prefect_test_harness

from components.core import registry
from components.core.schemas import SERVED_INPUT
from components.promotion import gate_rows, trial
from components.serving.request_store import Kept, RequestStore, Truth, digest, now
from components.tasks import NAMES as NAMES_FILE
from flows import watch as flow
from tests.support.registry import NAME, crown
from tests.support.served import NAMES


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


def test_labels_are_watched_by_the_names_of_today_whatever_their_order_was(
    labelled: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every answer is right, and stays so where the names stand in another order than when it was trained."""
    crown("1")
    shutil.copytree(tiny_base, "artifacts/base")
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["watch"] |= {"batch_rows": 20, "components": 2, "bootstrap": 200}
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    monkeypatch.setattr(flow, "SCORED", ("gate",))
    items = pd.read_parquet(gate_rows.GATE)
    answers = trial.run_trial(registry.open_version(NAME, "1"), items, "label").answers.to_dict("records")
    NAMES_FILE.chmod(0o644)
    NAMES_FILE.unlink()
    NAMES_FILE.write_text(json.dumps(NAMES[::-1]), encoding="utf-8")
    lost: list[int] = []
    store = RequestStore("sqlite:///requests.db", 90.0, lost.append)
    for place, (text, answer) in enumerate(zip(items["text"], answers, strict=True)):
        record, time = {SERVED_INPUT: text}, now() - timedelta(days=1) + timedelta(minutes=place)
        written = json.dumps(record), json.dumps(answer)
        store.add([Kept(time, f"k{place}", 0, digest(record), *written, "1", 0.02, None, None)])
        store.add([Truth(time + timedelta(hours=3), f"k{place}", 0, json.dumps(answer["value"]))])
    store.close()
    state = flow.watch(return_state=True)
    report = state.result()
    assert (state.name, report["kind"], lost) == ("No alarm", "label", [])
    assert report["truth"]["rows"] == len(items)
    assert {band["loss"] for band in report["truth"]["bands"]} == {0.0}
    assert {band["name"] for band in report["truth"]["bands"]} <= set(NAMES)
    held_out = pd.read_parquet(next(flow.ANSWERS.glob("*.parquet")))
    assert (held_out["predicted"] == held_out["value"]).all()
    assert "By predicted label" in (flow.FOLDER / "watch.html").read_text(encoding="utf-8")
