"""Promotion and rollback in a real SQLite store, with real tiny models, each asked in its own process."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient

from components import aliases, promotion, register, tracking
from components.calibration import Calibration
from components.params import Promote, load
from components.records import PricewrightError
from flows import promote as flow
from tests.conftest import ROOT, environment_kept

NAME = "pricer"
TEXTS = 40


# --- a registry with two versions that answer differently --------------------------------------------


@pytest.fixture(scope="module")
def made(
    tiny_base: Path,
    tiny_adapter: Path,
    tiny_items: pd.DataFrame,
    empty_store: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """A project folder whose registry has version 1 (prices to 999) and version 2 (prices to 300)."""
    from components import quantize, serving

    folder = tmp_path_factory.mktemp("project")
    served = folder / "served"
    quantize.quantize(tiny_base, tiny_adapter, served, folder / "merged", "nf4")
    with environment_kept(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PRICEWRIGHT_BY", "tester")
        shutil.copy(empty_store, "mlflow.db")
        Path("params.yaml").write_text(_params())
        Path("artifacts/curate").mkdir(parents=True)
        Path("artifacts/baseline").mkdir(parents=True)
        items = tiny_items.head(TEXTS).assign(split="test")
        items.to_parquet("items.parquet")
        _write_rows(items, items["price"].to_numpy())
        for price_max in (999, 300):
            serving.Settings(
                price_max=price_max,
                prompt_tokens=64,
                batch_size=16,
                calibration=Calibration.uncalibrated(0.8),
            ).write(served)
            answer = serving.Pricer(served).predict(register.EXAMPLE)
            _register(served, answer)
        asked = {version: promotion.ask(NAME, version, items) for version in ("1", "2")}
        for version, (answers, size) in asked.items():
            answers.assign(size=size).to_parquet(f"asked-{version}.parquet")
        yield folder


def _params() -> str:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["promote"] |= {"minimum_effect": 1.0, "rows_min": 20, "coverage_min": 0.0, "coverage_max": 1.0}
    return yaml.safe_dump(raw)


def _register(served: Path, answer: pd.DataFrame, **tags: str) -> str:
    evaluated = {"test_mae": "1.0", "test_sha256": tracking.sha256(promotion.TEST), "parity_rise": "0.1"}
    with tracking.stage_run("register", {}, "abc") as run:
        return tracking.register_version(
            run,
            NAME,
            data_path=served,
            loader_module="components.serving",
            code_path=ROOT / "components",
            example=register.EXAMPLE,
            answer=answer,
            requirements=["pandas"],
            tags=evaluated | tags,
        )


def _write_rows(items: pd.DataFrame, prices: Any) -> None:
    items.assign(price=np.asarray(prices, float)).to_parquet(promotion.TEST, index=False)


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the registry's tables for each test; the models' files are shared."""
    for name in ("mlflow.db", "params.yaml", "artifacts"):
        source = made / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRICEWRIGHT_BY", "tester")
    tracking.connect()
    return tmp_path


@pytest.fixture
def answers(made: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, pd.DataFrame]:
    """What the two versions really answered, given again without waiting for their processes."""
    known = {version: pd.read_parquet(made / f"asked-{version}.parquet") for version in ("1", "2")}

    def ask(name: str, version: str, items: pd.DataFrame) -> tuple[pd.DataFrame, int]:
        return known[version][["price", "low", "high"]], int(known[version]["size"].iloc[0])

    monkeypatch.setattr(promotion, "ask", ask)
    return known


@pytest.fixture
def section(project: Path) -> Promote:
    return load().promote


def rows(made: Path, prices: Any) -> None:
    """Test rows with these true prices, with which both versions count as registered."""
    _write_rows(pd.read_parquet(made / "items.parquet"), prices)
    for version in ("1", "2"):
        tracking.tag_version(NAME, version, "test_sha256", tracking.sha256(promotion.TEST))


def named(**versions: str) -> None:
    for alias, version in versions.items():
        tracking.set_alias(NAME, alias, version)


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """components/promotion.py as the flow runs it."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(
        [sys.executable, "-m", "components.promotion", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


# --- the verdicts ------------------------------------------------------------------------------------


def test_a_better_challenger_is_promoted_by_one_command(
    project: Path, made: Path, answers: dict[str, pd.DataFrame]
) -> None:
    """Nothing is stood in for: the command fetches both versions and asks them in processes of their own."""
    named(champion="1", challenger="2")
    rows(made, answers["2"]["price"] + 0.5)
    done = command("promote", "--out", "decision.json")
    assert done.returncode == 0, done.stderr
    record = json.loads(Path("decision.json").read_text())
    assert record["verdict"] == "promoted"
    assert record["low"] > 1.0
    assert record["mae_challenger"] == pytest.approx(0.5)
    assert record["rows"] == TEXTS
    assert record["test_sha256"] == tracking.sha256(promotion.TEST)
    assert (record["version"], record["champion"], record["against"]) == ("2", "1", "version 1")
    assert tracking.aliases(NAME) == {"champion": "2", "previous": "1", "challenger": "2"}
    assert "Promoted: pricer version 2" in flow.text(record)
    assert "| judged against | version 1 |" in flow.markdown(record)
    [kept] = aliases.decisions(NAME, "2")
    assert record.items() <= kept.items()
    written = MlflowClient().download_artifacts(kept["run"], "decision.json", str(project))
    assert json.loads(Path(written).read_text())["id"] == record["id"]


def test_a_worse_challenger_is_rejected_and_the_champion_stays(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    named(champion="1", challenger="2")
    rows(made, answers["1"]["price"] + 0.5)
    record = promotion.propose(NAME, None, section)
    promotion.settle(record)
    assert record["verdict"] == "rejected"
    assert tracking.aliases(NAME) == {"champion": "1", "challenger": "2"}
    assert [kept["verdict"] for kept in aliases.decisions(NAME, "2")] == ["rejected"]


def test_where_each_is_better_on_half_of_the_rows_there_is_not_enough_evidence(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    named(champion="1", challenger="2")
    odd = np.arange(TEXTS) % 2 == 0
    rows(made, np.where(odd, answers["1"]["price"], answers["2"]["price"]) + 0.5)
    record = promotion.propose(NAME, None, section)
    promotion.settle(record)
    assert record["verdict"] == "not enough evidence"
    assert record["rows_needed"] > TEXTS
    assert tracking.aliases(NAME)["champion"] == "1"


@pytest.mark.parametrize(
    ("budget", "limit", "reason"),
    [
        ("size_max_mb", 0.001, "size in MB"),
        ("parity_rise_max", 0.05, "parity"),
        ("coverage_max", 0.0, "coverage of the interval"),
    ],
)
def test_a_better_challenger_outside_a_budget_is_rejected(
    made: Path,
    section: Promote,
    answers: dict[str, pd.DataFrame],
    budget: str,
    limit: float,
    reason: str,
) -> None:
    named(champion="1", challenger="2")
    rows(made, answers["2"]["price"] + 0.5)
    record = promotion.propose(NAME, None, section.model_copy(update={budget: limit}))
    assert record["verdict"] == "rejected"
    assert record["reasons"][0].startswith(reason)


def test_a_first_champion_has_to_beat_every_constant_baseline(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    named(challenger="2")
    true = answers["2"]["price"] + 0.5
    rows(made, true)
    ids = pd.read_parquet(promotion.TEST)["id"]

    def baselines(**prices: Any) -> None:
        tables = [
            pd.DataFrame({"candidate": name, "split": "test", "id": ids, "predicted": price})
            for name, price in prices.items()
        ]
        pd.concat(tables).to_parquet("artifacts/baseline/predictions.parquet")

    baselines(mean=900.0, median=true + 0.1)
    record = promotion.propose(NAME, None, section)
    assert (record["verdict"], record["against"]) == ("rejected", "baseline median")
    baselines(mean=900.0, median=800.0)
    record = promotion.propose(NAME, None, section)
    promotion.settle(record)
    assert (record["verdict"], record["champion"]) == ("promoted", None)
    assert tracking.aliases(NAME) == {"champion": "2", "challenger": "2"}
    baselines(mean=900.0)
    named(challenger="1")
    MlflowClient().delete_registered_model_alias(NAME, "champion")
    with pytest.raises(PricewrightError, match=r"no answer of median to some test rows: run `dvc repro`"):
        promotion.propose(NAME, None, section)


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_a_version_that_was_registered_with_other_rows_is_refused(section: Promote) -> None:
    named(champion="1", challenger="2")
    items = pd.read_parquet(promotion.TEST)
    items.head(30).to_parquet(promotion.TEST)
    with pytest.raises(
        PricewrightError, match=r"version 2 was registered with other test rows .* `make run`"
    ):
        promotion.propose(NAME, None, section)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("tag", promotion.MEASURED)
def test_a_version_without_an_evaluation_is_refused(section: Promote, tag: str) -> None:
    named(champion="1", challenger="2")
    MlflowClient().delete_model_version_tag(NAME, "2", tag)
    with pytest.raises(PricewrightError, match=rf"without an evaluation \(no {tag}\): register it anew"):
        promotion.propose(NAME, None, section)


@pytest.mark.usefixtures("project")
def test_without_a_challenger_or_with_the_champion_itself_there_is_nothing_to_judge(section: Promote) -> None:
    with pytest.raises(PricewrightError, match="has no challenger: register one with `make run`"):
        promotion.propose(NAME, None, section)
    named(champion="1", challenger="1")
    with pytest.raises(PricewrightError, match="version 1 is the champion already"):
        promotion.propose(NAME, None, section)
    with pytest.raises(PricewrightError, match="no version 9: it never existed or is deleted"):
        promotion.propose(NAME, "9", section)
    with pytest.raises(PricewrightError, match="nobody has no challenger"):
        promotion.propose("nobody", None, section)


def test_a_champion_that_was_deleted_is_named_and_rolled_back_from(
    project: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    """MLflow takes the aliases of a deleted version away; a registry whose tables were mended by hand, or
    another store, may keep them.
    """
    named(champion="1", challenger="2")
    MlflowClient().delete_model_version(NAME, "1")
    assert tracking.aliases(NAME) == {"challenger": "2"}
    with sqlite3.connect(project / "mlflow.db") as tables:
        tables.execute(
            "INSERT INTO registered_model_aliases (alias, version, name) VALUES ('champion', 1, 'pricer')"
        )
    assert tracking.aliases(NAME)["champion"] == "1"
    with pytest.raises(
        PricewrightError, match=r"points to version 1, which is deleted: .* rollback VERSION=n"
    ):
        promotion.propose(NAME, None, section)
    promotion.rollback(NAME, "2")
    assert tracking.aliases(NAME) == {"champion": "2", "challenger": "2"}


@pytest.mark.usefixtures("project")
def test_a_registry_that_is_down_is_named_without_its_password() -> None:
    done = command("promote", MLFLOW_TRACKING_URI="http://ann:secret@127.0.0.1:9")
    assert done.returncode == 1
    assert "error: the registry at http://127.0.0.1:9 does not answer" in done.stderr
    assert "mend MLFLOW_TRACKING_URI" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("project")
def test_missing_test_rows_are_named(section: Promote) -> None:
    named(champion="1", challenger="2")
    promotion.TEST.unlink()
    with pytest.raises(PricewrightError, match="test.parquet is missing: run the stages above"):
        promotion.propose(NAME, None, section)


# --- rollback ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_rollback_goes_to_the_previous_version_and_back_again(answers: dict[str, pd.DataFrame]) -> None:
    named(champion="2", previous="1")
    record = promotion.rollback(NAME, None)
    assert (record["verdict"], record["version"], record["champion"]) == ("rolled back", "1", "2")
    assert tracking.aliases(NAME) == {"champion": "1", "previous": "2"}
    promotion.rollback(NAME, "2")
    assert tracking.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert [kept["kind"] for kept in aliases.decisions(NAME, "1")] == ["rollback"]


@pytest.mark.usefixtures("project")
def test_rollback_to_nothing_to_itself_or_to_no_version_is_refused() -> None:
    named(champion="2")
    with pytest.raises(PricewrightError, match="no previous version to go back to: name one"):
        promotion.rollback(NAME, None)
    with pytest.raises(PricewrightError, match="version 2 is the champion already"):
        promotion.rollback(NAME, "2")
    for wrong in ("9", "two"):
        with pytest.raises(PricewrightError, match=f"no version {wrong}"):
            promotion.rollback(NAME, wrong)
    assert tracking.aliases(NAME) == {"champion": "2"}


@pytest.mark.parametrize("harm", ["cut short", "one weight changed", "missing"])
def test_a_version_whose_files_were_touched_is_refused(project: Path, made: Path, harm: str) -> None:
    named(champion="2", previous="1")
    source = MlflowClient().get_model_version(NAME, "1").source
    with tracking.fetched(NAME, "1") as whole:
        assert (whole / "MLmodel").is_file()
    [weights] = list(_logged(made, source).glob("data/**/*.safetensors"))
    kept = weights.read_bytes()
    try:
        if harm == "missing":
            weights.unlink()
        elif harm == "cut short":
            weights.write_bytes(kept[: len(kept) // 2])
        else:
            weights.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        with pytest.raises(
            PricewrightError, match=r"version 1: its files are not .* The champion stays version 2"
        ):
            promotion.rollback(NAME, "1")
    finally:
        weights.write_bytes(kept)
    assert tracking.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert aliases.decisions(NAME, "1") == []


def _logged(made: Path, source: str) -> Path:
    """Folder of a logged model in the artifact store, by the source of its version."""
    [folder] = made.glob(f"mlruns/**/{source.rsplit('/', 1)[-1]}/artifacts")
    return folder


def test_a_version_that_is_whole_but_does_not_load_is_refused(project: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "serving.json").write_text("{}")
    answer = pd.DataFrame({"price": [1.0], "low": [1.0], "high": [1.0]})
    version = _register(broken, answer)
    named(champion="2")
    with pytest.raises(PricewrightError, match=rf"version {version}: it does not load or answer: \w+"):
        promotion.rollback(NAME, version)
    assert tracking.aliases(NAME)["champion"] == "2"


# --- crashes and races -------------------------------------------------------------------------------

CRASH = """
import os, sys, json
from components import aliases, promotion, tracking
tracking.connect()
step = getattr(tracking, sys.argv[1])
calls = 0
def crash(*arguments):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        os._exit(9)
    return step(*arguments)
setattr(tracking, sys.argv[1], crash)
promotion.settle(json.load(open("held.json")))
"""


def held(**changed: Any) -> dict[str, Any]:
    record = promotion._entry("promote", NAME, "2", "1") | {"verdict": "promoted"} | changed
    Path("held.json").write_text(json.dumps(record))
    return record


def crash_at(function: str, call: int) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CRASH, function, str(call)], env=environment, timeout=120)
    assert done.returncode == 9


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("function", "call", "half_done"),
    [
        ("tag_version", 1, {"champion": "1"}),
        ("set_alias", 1, {"champion": "1"}),
        ("set_alias", 2, {"champion": "1", "previous": "1"}),
        ("tag_model", 2, {"champion": "2", "previous": "1"}),
    ],
)
def test_a_move_that_a_crash_cut_in_two_is_completed_by_the_next_call(
    function: str, call: int, half_done: dict[str, str]
) -> None:
    named(champion="1")
    record = held()
    crash_at(function, call)
    assert tracking.aliases(NAME) == half_done
    with aliases.locked(NAME):
        pass
    assert tracking.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert [kept["id"] for kept in aliases.decisions(NAME, "2")] == [record["id"]]
    assert tracking.model_tag(NAME, aliases.INTENT) is None


@pytest.mark.usefixtures("project")
def test_a_crash_before_the_move_is_written_down_leaves_everything_as_it_was() -> None:
    named(champion="1")
    held()
    crash_at("tag_model", 1)
    with aliases.locked(NAME):
        pass
    assert tracking.aliases(NAME) == {"champion": "1"}
    assert aliases.decisions(NAME, "2") == []


@pytest.mark.usefixtures("project")
def test_an_interrupted_move_to_a_version_that_was_deleted_since_is_dropped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    named(champion="1")
    held()
    crash_at("set_alias", 1)
    MlflowClient().delete_model_version(NAME, "2")
    with aliases.locked(NAME):
        pass
    assert "an interrupted promote is dropped: pricer has no version 2" in capsys.readouterr().out
    assert tracking.aliases(NAME) == {"champion": "1"}
    assert tracking.model_tag(NAME, aliases.INTENT) is None


@pytest.mark.usefixtures("project")
def test_of_two_promotions_at_once_one_wins_and_the_other_is_told_to_judge_again() -> None:
    """Both were judged against version 1 and wait at the lock."""
    named(champion="1")
    source = MlflowClient().get_model_version(NAME, "2").source
    assert str(MlflowClient().create_model_version(NAME, source).version) == "3"
    first, second = held(version="2"), held(version="3")
    for name, record in (("a.json", first), ("b.json", second)):
        Path(name).write_text(json.dumps(record))
    with aliases.LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        both = [
            subprocess.Popen(
                [sys.executable, "-m", "components.promotion", "settle", name, "--approved-by", "ann"],
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name in ("a.json", "b.json")
        ]
        with pytest.raises(subprocess.TimeoutExpired):
            both[0].wait(timeout=8)
        assert tracking.aliases(NAME) == {"champion": "1"}
    said = [process.communicate(timeout=120)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], said
    winner, loser = ("2", "3") if both[0].returncode == 0 else ("3", "2")
    refused = f"is version {winner} now; it was 1 when version {loser} was judged"
    assert refused in said[int(loser) - 2]
    assert tracking.aliases(NAME) == {"champion": winner, "previous": "1"}
    assert [len(aliases.decisions(NAME, version)) for version in (winner, loser)] == [1, 0]


@pytest.mark.usefixtures("project")
def test_a_rollback_while_a_challenger_is_judged_goes_before(answers: dict[str, pd.DataFrame]) -> None:
    named(champion="1")
    proposal = held()
    promotion.rollback(NAME, "2")
    with pytest.raises(PricewrightError, match="is version 2 now; it was 1 .* Promote again"):
        promotion.settle(proposal)
    assert tracking.aliases(NAME) == {"champion": "2", "previous": "1"}


# --- approval, records, agreement with the other modules ---------------------------------------------


@pytest.mark.usefixtures("project")
def test_what_a_person_declined_is_recorded_and_moves_nothing() -> None:
    named(champion="1")
    held()
    done = command("settle", "held.json", "--declined", "not on a Friday")
    assert done.returncode == 0, done.stderr
    assert tracking.aliases(NAME) == {"champion": "1"}
    assert [kept["declined"] for kept in aliases.decisions(NAME, "2")] == ["not on a Friday"]


@pytest.mark.usefixtures("project")
def test_records_are_appended_and_never_overwritten() -> None:
    named(champion="1")
    for reason in ("first", "second", "third"):
        promotion.settle(held(verdict="rejected", reasons=[reason]))
    assert [kept["reasons"] for kept in aliases.decisions(NAME, "2")] == [["first"], ["second"], ["third"]]


def test_a_version_is_asked_by_the_column_that_the_served_model_reads() -> None:
    from components import serving

    assert promotion.INPUT == serving.INPUT
