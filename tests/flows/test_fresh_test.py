"""Fresh rows for the gate, in a real DVC repository with the stage `curate` itself and a real registry."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from prefect.testing.utilities import prefect_test_harness

from components.core import intakes, registry, tracking
from components.core.errors import PricewrightError
from components.core.schemas import HELD_OUT, SPLITS
from components.promotion import aliases, gate_rows, promote
from components.promotion.spending import FreshRowsNeeded, sample_of
from flows import fresh_test as flow
from flows import promote as flows
from tests.support.curated import listing, table
from tests.support.project import ROOT
from tests.support.registry import EVIDENCE, NAME, crown, decided, label, register_served

OLD, NEW = 200, 60
ANSWER = f"""
import pandas as pd
rows = pd.concat([pd.read_parquet(f"artifacts/curate/{{split}}.parquet") for split in {HELD_OUT}])
rows["candidate"], rows["predicted"] = "mean", 5000.0
rows["loss"] = (rows["target"] - 5000).abs()
rows.to_parquet("artifacts/baseline/predictions.parquet")
"""
STAGES = {
    "scrape": {
        "cmd": "mkdir -p artifacts/scrape && cp shop.parquet artifacts/scrape/listings.parquet",
        "deps": ["shop.parquet"],
        "outs": ["artifacts/scrape"],
    },
    "curate": {
        "cmd": "python -m components.curate",
        "params": ["curate", "task.number.max"],
        "deps": ["artifacts/scrape/listings.parquet", "intakes.csv"],
        "outs": ["artifacts/curate"],
        "metrics": ["reports/curate.json"],
    },
    "baseline": {
        "cmd": "mkdir -p artifacts/baseline && python answer.py",
        "deps": ["answer.py", "artifacts/curate"],
        "outs": ["artifacts/baseline"],
    },
    "sft": {"cmd": "touch trained", "deps": ["artifacts/curate/train.parquet"], "outs": ["trained"]},
}


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def shop(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path
) -> list[dict[str, str]]:
    """Two versions, made with the splits of OLD listings, which are returned: version 1 is champion, and the
    gate's rows have carried the one decision that they can.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PRICEWRIGHT_BY", "tester")
    for path in (empty_store, made / "params.yaml", *(made / name for name in EVIDENCE)):
        shutil.copy(path, tmp_path)
    raw = yaml.safe_load(Path("params.yaml").read_text())
    raw["promote"]["decisions_max"] = 1
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    Path("answer.py").write_text(ANSWER)
    intakes.write({})
    listings = [listing(number) for number in range(OLD)]
    takes_in(listings)
    for arguments in (["init", "--no-scm"], ["repro"]):
        subprocess.run([sys.executable, "-m", "dvc", *arguments, "-q"], check=True)
    tracking.connect()
    answer = pd.DataFrame({"value": [1.0], "low": [1.0], "high": [1.0]})
    for _ in ("1", "2"):
        register_served(made / "served", answer)
    crown("1")
    label(challenger="2")
    rows = sample_of(pd.read_parquet(gate_rows.GATE)["id"])
    spent = {"gate_sha256": registry.sha256(gate_rows.GATE), "rows_sample": rows}
    promote.conclude(decided(champion=None, version="1", verdict="rejected", **spent))
    return listings


def takes_in(listings: list[dict[str, str]]) -> None:
    """The source has these listings now."""
    table(listings).astype(str).to_parquet("shop.parquet", index=False)


def splits() -> dict[str, pd.DataFrame]:
    return {split: pd.read_parquet(gate_rows.GATE.with_stem(split)) for split in SPLITS}


@pytest.mark.slow
def test_what_came_in_judges_and_is_never_trained_on(
    shop: list[dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """From *fresh rows needed* to a decision, with the same two versions, by the commands' own flows."""
    assert flows.promote(return_state=True).name == "Fresh rows needed"
    with pytest.raises(FreshRowsNeeded, match=r"0 products .* at least 20 .* Nothing was drawn"):
        flow.fresh_test()
    before, trained = splits(), Path("trained").stat()
    known = next(row for row in shop if row["id"] == before["train"]["id"].iloc[0])
    twin = listing(OLD + NEW, description=known["description"])
    grown = [*shop, *(listing(number) for number in range(OLD, OLD + NEW)), twin]
    takes_in(grown)
    assert flow.fresh_test(return_state=True).name == "Fresh rows"
    drawn = set(intakes.read()[1])
    assert drawn == {row["id"] for row in grown[OLD : OLD + NEW]}, "and not what is like a row of train"
    after = splits()
    assert drawn <= set(after["gate"]["id"])
    assert set(after["train"]["id"]) - {twin["id"]} <= set(before["train"]["id"])
    assert f"Intake 1 of the gate: {NEW} rows of {NEW} products, new to pricer version 1 and" in (
        capsys.readouterr().out
    )
    flows.promote()
    [record] = aliases.decisions(registry.open_version(NAME, "2"))
    assert (record["intake"], record["rows"], record["spent"]["position"]) == (1, NEW, 1)
    assert f"{NEW} (SHA-256 {record['gate_sha256'][:12]}) of intake 1" in capsys.readouterr().out
    takes_in([*grown, listing(900, description=listing(OLD)["description"])])
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q", "curate"], check=True)
    later = splits()
    assert drawn <= set(later["gate"]["id"])
    assert listing(900)["id"] not in set(later["train"]["id"]), "its product is the gate's"
    assert Path("trained").stat() == trained


@pytest.mark.parametrize(("wait", "error"), [(True, "has no challenger"), (False, "another run is at work")])
def test_a_deployment_queues_behind_another_run_in_the_clone_and_the_command_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path, wait: bool, error: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    held = "from flows import lock\nwith lock.only_run(False): print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", held],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdin
        assert other.stdout
        other.stdout.readline()
        threading.Timer(1.0, other.stdin.close).start()
        with pytest.raises(PricewrightError, match=error):
            flow.fresh_test(wait)
