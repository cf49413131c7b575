"""The whole graph, end to end, on a tiny catalogue: a clone, the flow, DVC alone, registry, server."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient

from components.core import dvc
from components.serving import pyfunc
from tests.support.project import ROOT, tiny_yaml

pytestmark = pytest.mark.slow

HEADPHONES = "Wireless headphones with noise cancelling"
STAGES = {
    "scrape",
    "curate",
    "validate",
    "base",
    "baseline",
    "sft",
    "blend",
    "preferences",
    "reward",
    "align/dpo",
    "evaluate",
    "quantize",
    "register",
}


class Clone:
    """A clone of the working tree in a folder of its own."""

    def __init__(self, folder: Path, params: str) -> None:
        self.folder = folder
        names = _run(["git", "ls-files", "-co", "--exclude-standard"], ROOT).stdout.splitlines()
        for name in names:
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        (folder / "params.yaml").write_text(params, encoding="utf-8")
        _run(["git", "init", "--quiet"], folder)
        _run(["git", "add", "--all"], folder)
        author = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        _run(["git", *author, "commit", "--quiet", "--message", "A clone"], folder)

    def run(self, *command: str, seconds: int = 800) -> subprocess.CompletedProcess[str]:
        """Run a Python module in the clone with this interpreter."""
        return _run([sys.executable, "-m", *command], self.folder, seconds)

    def report(self, name: str) -> Any:
        """A report as JSON."""
        return json.loads((self.folder / "reports" / f"{name}.json").read_text(encoding="utf-8"))

    def runs(self) -> pd.DataFrame:
        """All tracked runs, newest first."""
        mlflow.set_tracking_uri(f"sqlite:///{self.folder / 'mlflow.db'}")
        result = mlflow.search_runs(experiment_names=["pricewright"])
        assert isinstance(result, pd.DataFrame)
        return result

    def change(self, section: str, key: str, value: Any) -> None:
        """Set one value of params.yaml."""
        path = self.folder / "params.yaml"
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        raw[section][key] = value
        path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")


def _run(command: list[str], folder: Path, seconds: int = 120) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(folder)}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which the training flow has run once."""
    fresh = Clone(tmp_path_factory.mktemp("clone"), tiny_yaml())
    done = fresh.run("flows.pipeline")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    fresh.first_output = done.stdout + done.stderr  # type: ignore[attr-defined]
    return fresh


def test_the_flow_ends_with_a_table_and_the_commands_to_look_further(clone: Clone) -> None:
    output = clone.first_output  # type: ignore[attr-defined]
    for word in (
        "noise floor",
        "tfidf_ridge",
        "sft",
        "dpo",
        "challenger",
        "make mlflow",
        "make prefect",
        "make report",
    ):
        assert word in output, word


def test_where_no_version_passes_the_gate_there_is_no_champion_and_the_summary_says_what_would_help(
    clone: Clone,
) -> None:
    output = clone.first_output  # type: ignore[attr-defined]
    [standing] = re.findall(r"No champion: (?:not enough evidence|rejected): .+", output)
    assert re.search(r"What would help: (?:about|a better model|a model within the limit)", output)
    assert standing in clone.run("flows.summary").stdout


def test_every_candidate_is_measured_on_both_splits(clone: Clone) -> None:
    report = clone.report("evaluate")
    assert {"mean", "median", "linear", "bag_of_words_ridge", "tfidf_ridge", "boosting"} < set(
        report["candidates"]
    )
    assert {"base_zero_shot", "base_few_shot", "ridge_with_base", "sft", "blend", "dpo"} < set(
        report["candidates"]
    )
    assert report["winner"] in {"sft", "blend", "dpo"}
    rows = {
        split: len(pd.read_parquet(clone.folder / f"artifacts/curate/{split}.parquet"))
        for split in ("validation", "test")
    }
    for candidate in report["candidates"].values():
        for split, count in rows.items():
            measured = candidate[split]
            assert {"loss", "loss_low", "loss_high", "rmsle", "hit_rate", "n", "unparsed"} <= set(measured)
            assert measured["n"] == count
            assert measured["loss_low"] <= measured["loss"] <= measured["loss_high"]
    floor = report["noise_floor"]["test"]["loss"]
    assert 0 < floor < min(candidate["test"]["loss"] for candidate in report["candidates"].values())


def test_one_parent_run_has_a_child_for_each_stage(clone: Clone) -> None:
    runs = clone.runs()
    parents = runs[runs["tags.pricewright.kind"] == "flow"]
    assert len(parents) == 1
    children = runs[runs["tags.mlflow.parentRunId"] == parents["run_id"].iloc[0]]
    assert set(children["tags.pricewright.stage"]) == STAGES
    assert (runs["status"] == "FINISHED").all()
    sft = children[children["tags.pricewright.stage"] == "sft"].iloc[0]
    assert sft["params.lora.rank"] == "16"
    client = MlflowClient()
    assert client.get_metric_history(sft["run_id"], "curve.loss")
    curated = children[children["tags.pricewright.stage"] == "curate"].iloc[0]
    assert len(client.get_run(curated["run_id"]).inputs.dataset_inputs) >= 4
    evaluated = children[children["tags.pricewright.stage"] == "evaluate"].iloc[0]
    names = {artifact.path for artifact in client.list_artifacts(evaluated["run_id"])}
    assert {"evaluate.json", "predicted_true.png", "report.html"} <= names


def test_every_child_carries_the_digest_of_its_lock_entry(clone: Clone) -> None:
    lock = yaml.safe_load((clone.folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    runs = clone.runs()
    children = runs[runs["tags.pricewright.kind"] == "stage"]
    for child in children.itertuples():
        tags = MlflowClient().get_run(child.run_id).data.tags
        name = tags["pricewright.stage"].replace("/", "@")
        assert tags["dvc.digest"] == dvc.digest(lock[name]), name


def test_the_registered_version_says_where_it_came_from(clone: Clone) -> None:
    clone.runs()
    client = MlflowClient()
    version = client.get_model_version_by_alias("pricer", "challenger")
    assert str(version.version) == clone.report("register")["version"] == "1"
    assert version.aliases == ["challenger"], "on so few rows the gate crowns nobody"
    head = _run(["git", "rev-parse", "HEAD"], clone.folder).stdout.strip()
    lock = yaml.safe_load((clone.folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    assert version.tags["git.commit"] == head
    assert version.tags["dvc.digest"] == dvc.digest(lock["register"])
    assert client.get_run(version.tags["run_id"]).data.tags["pricewright.stage"] == "register"
    info = mlflow.models.get_model_info("models:/pricer@challenger")
    assert info.signature is not None
    assert [column.name for column in info.signature.inputs] == ["description"]
    assert [column.name for column in info.signature.outputs] == ["value", "low", "high"]
    assert info.saved_input_example_info is not None
    assert f"candidate `{clone.report('evaluate')['winner']}`" in version.description
    walked = clone.run("flows.lineage", "1")
    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert "Everything holds." in walked.stdout


def test_the_served_version_answers_json_with_price_low_and_high(clone: Clone) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/pricer@challenger"),
            *("--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)),
        ],
        cwd=clone.folder,
        env={**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": f"sqlite:///{clone.folder / 'mlflow.db'}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for count in (1, 3):
            answer = _ask(port, [HEADPHONES] * count)
            assert len(answer) == count
            assert all(row["low"] <= row["value"] <= row["high"] for row in answer)
        served = pyfunc.Predictor(clone.folder / "artifacts/quantize")
        for point in ("median", "mean", "mode"):
            [row] = _ask(port, [HEADPHONES], params={"point": point})
            [price] = served.predict(pd.DataFrame({"description": [HEADPHONES]}), {"point": point})["value"]
            assert row["value"] == pytest.approx(price, abs=0.01), point
        with pytest.raises(urllib.error.HTTPError) as rejected:
            _ask(port, [HEADPHONES], params={"point": "maximum"})
        assert "choose among median, mean, mode" in rejected.value.read().decode()
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)


def _ask(port: int, texts: list[str], **more: Any) -> list[dict[str, float]]:
    """POST descriptions; waits up to two minutes for the server to come up."""
    body = json.dumps({"dataframe_records": [{"description": text} for text in texts], **more}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", data=body, headers={"Content-Type": "application/json"}
    )
    for _ in range(120):
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                result: list[dict[str, float]] = json.load(response)["predictions"]
                return result
        except (ConnectionError, urllib.error.URLError) as error:
            if isinstance(error, urllib.error.HTTPError):
                raise
            time.sleep(1)
    raise AssertionError("the server did not come up in two minutes")


def test_a_second_run_runs_nothing(clone: Clone) -> None:
    before = len(clone.runs())
    done = clone.run("flows.pipeline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(clone.runs()) == before
    alone = clone.run("dvc", "repro")
    assert alone.returncode == 0
    assert "Running stage" not in alone.stdout
    assert len(clone.runs()) == before


def test_one_changed_value_reruns_just_the_stages_below_it(clone: Clone) -> None:
    """Also the proof that `dvc repro` alone gives tracked runs of the same shape."""
    before = set(clone.runs()["run_id"])
    sft = (clone.folder / "artifacts/sft/adapter_model.safetensors").stat().st_mtime_ns
    clone.change("evaluate", "hit_share", 0.3)
    done = clone.run("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = clone.runs()
    fresh = runs[~runs["run_id"].isin(before)]
    parents = fresh[fresh["tags.pricewright.kind"] == "flow"]
    assert len(parents) == 1
    children = fresh[fresh["tags.mlflow.parentRunId"] == parents["run_id"].iloc[0]]
    below = {"baseline", "evaluate", "quantize", "register"}
    assert set(children["tags.pricewright.stage"]) <= below
    assert {"evaluate", "register"} <= set(children["tags.pricewright.stage"])
    assert (clone.folder / "artifacts/sft/adapter_model.safetensors").stat().st_mtime_ns == sft
    assert str(MlflowClient().get_model_version_by_alias("pricer", "challenger").version) == "2"


def test_a_missing_source_file_stops_clearly_and_loses_nothing(clone: Clone) -> None:
    kept = (clone.folder / "params.yaml").read_text(encoding="utf-8")
    listings = (clone.folder / "artifacts/scrape/listings.parquet").read_bytes()
    raw = yaml.safe_load(kept)
    raw["scrape"]["source"] = "files"
    raw["scrape"]["files"]["paths"] = ["nowhere/listings.jsonl"]
    (clone.folder / "params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    done = clone.run("flows.pipeline")
    assert done.returncode == 1
    assert "nowhere/listings.jsonl" in done.stdout + done.stderr
    (clone.folder / "params.yaml").write_text(kept, encoding="utf-8")
    assert clone.run("dvc", "repro").returncode == 0
    assert (clone.folder / "artifacts/scrape/listings.parquet").read_bytes() == listings
