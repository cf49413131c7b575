"""Promotion and rollback in a real SQLite store, with real tiny models, each asked in its own process."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components import register
from components.core import dvc, registry, tracking
from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.core.params.promote import Promote
from components.core.params.prompt import Prompt
from components.evaluation.calibration import Calibration
from components.promotion import aliases, decision, promote, trial
from components.promotion.history import history
from flows import promote as flow
from tests.support.project import QUESTION, ROOT, environment_kept

NAME = "pricer"
TEXTS, TRAINED = 40, 12
"""Test rows, the first of the 48 items, and training rows, the last of them."""
SHARED = TEXTS + TRAINED - 48
ANSWER = pd.DataFrame({"price": [1.0], "low": [1.0], "high": [1.0]})
EVIDENCE: dict[str, Any] = {
    "evaluate.json": {"winner": "sft", "forgetting": {"sft": {"perplexity_ratio": 1.2}}},
    "quantize.json": {"validation": {"mae_served": 30.1, "mae_merged": 30.0}},
}
FILES = (*EVIDENCE, "dvc.lock", "dvc.yaml", "params.yaml")


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
    from components import quantize
    from components.serving import pyfunc

    folder = tmp_path_factory.mktemp("project")
    served = folder / "served"
    quantize.merge(tiny_base, tiny_adapter, folder / "merged")
    quantize.quantize(folder / "merged", served, "nf4")
    with environment_kept(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PRICEWRIGHT_BY", "tester")
        shutil.copy(empty_store, "mlflow.db")
        _graph(tiny_items)
        items = pd.read_parquet(decision.TEST)
        for price_max in (999, 300):
            pyfunc.Settings(
                prompt=Prompt(question=QUESTION, tokens=64, price_max=price_max),
                batch_size=16,
                calibration=Calibration.uncalibrated(0.8),
            ).write(served)
            pricer = pyfunc.Pricer(served)
            version = _register(served, pricer.predict(register.EXAMPLE))
            answers = pricer.predict(pd.DataFrame({trial.INPUT: items["text"]}))
            answers.to_parquet(f"answers-{version}.parquet")
        yield folder


def _graph(items: pd.DataFrame) -> None:
    """params.yaml, reports, and a DVC repository that keeps the curated rows, the last of them train rows."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["promote"] |= {"minimum_effect": 1.0, "rows_min": 20, "coverage_min": 0.0, "coverage_max": 1.0}
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    Path("source").mkdir()
    for split, rows in {"test": items.head(TEXTS), "train": items.tail(TRAINED)}.items():
        rows.assign(split=split).to_parquet(f"source/{split}.parquet", index=False)
    for split in ("preference", "validation"):
        items.head(0).to_parquet(f"source/{split}.parquet", index=False)
    stages = {"curate": {"cmd": "cp -r source artifacts/curate", "outs": ["artifacts/curate"]}}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    Path("artifacts").mkdir()
    for arguments in (["init", "--no-scm"], ["repro"]):
        subprocess.run([sys.executable, "-m", "dvc", *arguments, "-q"], check=True)
    for name, report in EVIDENCE.items():
        Path(name).write_text(json.dumps(report))


def _register(served: Path, answer: pd.DataFrame, evidence: tuple[str, ...] = FILES) -> str:
    with tracking.stage_run("register", {}, "abc") as run:
        return registry.register_version(
            run.id,
            NAME,
            data_path=served,
            loader_module="components.serving.pyfunc",
            code_path=ROOT / "components",
            example=register.EXAMPLE,
            answer=answer,
            options={"point": "median"},
            requirements=["pandas"],
            evidence=[Path(name) for name in evidence],
            card="# A card",
            tags={decision.ROWS: registry.sha256(decision.TEST)},
        )


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the registry's tables for each test; the models' files are shared."""
    _copy(made, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRICEWRIGHT_BY", "tester")
    tracking.connect()
    return tmp_path


def _copy(made: Path, folder: Path) -> None:
    for name in ("mlflow.db", "artifacts", ".dvc", *FILES):
        source = made / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)


@pytest.fixture
def answers(made: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, pd.DataFrame]:
    """What the two versions answer, given again without waiting for their processes."""
    known = {version: pd.read_parquet(made / f"answers-{version}.parquet") for version in ("1", "2")}
    texts = pd.read_parquet(made / decision.TEST)["text"].tolist()

    def ask(name: str, version: str, items: pd.DataFrame, evaluated_by: tuple[str, ...] = ()) -> trial.Asked:
        places = [texts.index(text) if text in texts else 0 for text in items["text"]]
        return trial.Asked(known[version].iloc[places].reset_index(drop=True), 2_000_000, 0.1, EVIDENCE)

    monkeypatch.setattr(decision, "ask", ask)
    monkeypatch.setattr(promote, "ask", ask)
    return known


@pytest.fixture
def section(project: Path) -> Promote:
    return load_params().promote


def rows(made: Path, prices: Any) -> None:
    """Test rows with these true prices, with which both versions count as registered."""
    items = pd.read_parquet(made / decision.TEST)
    items.assign(price=np.asarray(prices, float)).to_parquet(decision.TEST, index=False)
    for version in ("1", "2"):
        registry.tag_version(NAME, version, decision.ROWS, registry.sha256(decision.TEST))


def named(**versions: str) -> None:
    for alias, version in versions.items():
        registry.set_alias(NAME, alias, version)


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """components/promotion/promote.py as the flow runs it."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(
        [sys.executable, "-m", "components.promotion.promote", *arguments],
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
    assert record["test_sha256"] == registry.sha256(decision.TEST)
    assert (record["version"], record["champion"], record["against"]) == ("2", "1", "version 1")
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1", "challenger": "2"}
    assert "Promoted: pricer version 2" in flow.text(record)
    assert "| judged against | version 1 |" in flow.markdown(record)
    assert record["rows_left_out"] == 0
    assert record["budgets"]["latency in ms"]["value"] > 0
    assert aliases.decisions(NAME, "2") == [record]
    assert tracking.logged_decisions(NAME) == [record]


def test_a_worse_challenger_is_rejected_and_the_champion_stays(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    named(champion="1", challenger="2")
    rows(made, answers["1"]["price"] + 0.5)
    record = decision.propose(NAME, None, False, section)
    promote.settle(record)
    assert record["verdict"] == "rejected"
    assert registry.aliases(NAME) == {"champion": "1", "challenger": "2"}
    assert [kept["verdict"] for kept in aliases.decisions(NAME, "2")] == ["rejected"]


def test_where_each_is_better_on_half_of_the_rows_there_is_not_enough_evidence(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    named(champion="1", challenger="2")
    odd = np.arange(TEXTS) % 2 == 0
    rows(made, np.where(odd, answers["1"]["price"], answers["2"]["price"]) + 0.5)
    record = decision.propose(NAME, None, False, section)
    promote.settle(record)
    assert record["verdict"] == "not enough evidence"
    assert record["rows_needed"] > TEXTS
    assert registry.aliases(NAME)["champion"] == "1"


@pytest.mark.parametrize(
    ("budget", "limit", "reason"),
    [
        ("size_max_mb", 1.9, "size in MB is 2"),
        ("latency_max_ms", 2.4, "latency in ms is 2.5"),
        ("parity_rise_max", 0.05, "parity (rise of the MAE) is 0.1"),
        ("forgetting_ratio_max", 1.1, "forgetting (ratio of the perplexity) is 1.2"),
        ("coverage_max", 0.0, "coverage of the interval is"),
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
    record = decision.propose(NAME, None, False, section.model_copy(update={budget: limit}))
    assert record["verdict"] == "rejected"
    assert record["reasons"][0].startswith(reason)


def test_forgetting_that_nobody_measured_is_said_and_breaks_no_budget(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    named(champion="1", challenger="2")
    rows(made, answers["2"]["price"] + 0.5)
    monkeypatch.setitem(EVIDENCE, "evaluate.json", {"winner": "sft"})
    record = decision.propose(NAME, None, False, section)
    assert record["verdict"] == "promoted"
    assert record["budgets"]["forgetting (ratio of the perplexity)"] == {"value": None, "at_most": 2.0}
    assert "not measured" in flow.text(record)


def test_a_parity_that_nobody_measured_breaks_its_budget(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    named(champion="1", challenger="2")
    rows(made, answers["2"]["price"] + 0.5)
    monkeypatch.setitem(EVIDENCE, "quantize.json", {"format": "nf4"})
    record = decision.propose(NAME, None, False, section)
    assert record["verdict"] == "rejected"
    assert record["reasons"][0] == "parity (rise of the MAE) was not measured"


def baselines(**prices: Any) -> None:
    """The answers of the baselines to the test rows, as their stage wrote them."""
    ids = pd.read_parquet(decision.TEST)["id"]
    tables = [
        pd.DataFrame({"candidate": name, "split": "test", "id": ids, "predicted": price})
        for name, price in prices.items()
    ]
    decision.PREDICTIONS.parent.mkdir(exist_ok=True)
    pd.concat(tables).to_parquet(decision.PREDICTIONS)
    out = {"path": "artifacts/baseline", "md5": dvc.md5(decision.PREDICTIONS.parent)}
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": {"baseline": {"outs": [out]}}}))


def test_a_first_champion_has_to_beat_every_baseline_that_is_named(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    named(challenger="2")
    true = answers["2"]["price"] + 0.5
    rows(made, true)
    assert section.baselines == ["mean", "median", "linear"]
    baselines(mean=900.0, median=true + 0.1, linear=900.0)
    record = decision.propose(NAME, None, False, section)
    assert (record["verdict"], record["against"]) == ("rejected", "baseline median")
    baselines(mean=900.0, median=800.0, linear=true + np.where(np.arange(TEXTS) % 2, 0.0, 4.0))
    record = decision.propose(NAME, None, False, section)
    assert (record["verdict"], record["against"]) == ("not enough evidence", "baseline linear")
    baselines(mean=900.0, median=800.0, linear=850.0)
    record = decision.propose(NAME, None, False, section)
    promote.settle(record)
    assert (record["verdict"], record["champion"]) == ("promoted", None)
    assert registry.aliases(NAME) == {"champion": "2", "challenger": "2"}


def test_a_baseline_without_answers_or_edited_by_hand_is_refused(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    named(challenger="2")
    baselines(mean=900.0, median=800.0)
    with pytest.raises(PricewrightError, match=r"no answer of linear .* promote.baselines \(mean, median\)"):
        decision.propose(NAME, None, False, section)
    baselines(mean=900.0, median=800.0, linear=10.0)
    worse = pd.read_parquet(decision.PREDICTIONS).replace({"predicted": {10.0: 990.0}})
    worse.to_parquet(decision.PREDICTIONS)
    with pytest.raises(PricewrightError, match=r"not what its stage wrote .* `dvc checkout artifacts/b"):
        decision.propose(NAME, None, False, section)
    assert "champion" not in registry.aliases(NAME)


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_a_version_that_was_registered_with_other_rows_is_refused(section: Promote) -> None:
    named(champion="1", challenger="2")
    items = pd.read_parquet(decision.TEST)
    items.head(30).to_parquet(decision.TEST)
    with pytest.raises(
        PricewrightError, match=r"version 2 was registered with other test rows .* `make run`"
    ):
        decision.propose(NAME, None, False, section)


@pytest.mark.usefixtures("project")
def test_a_version_without_the_hash_of_its_rows_is_refused(section: Promote) -> None:
    named(champion="1", challenger="2")
    MlflowClient().delete_model_version_tag(NAME, "2", decision.ROWS)
    with pytest.raises(PricewrightError, match=r"without an evaluation \(no test_sha256\): register it anew"):
        decision.propose(NAME, None, False, section)


def test_a_version_without_an_evaluation_is_refused(section: Promote, bare: Path) -> None:
    version = _register(bare, ANSWER, evidence=("quantize.json",))
    named(champion="1", challenger=version)
    refused = r"without an evaluation \(no evaluate.json with it\): register it anew .* stays version 1"
    with pytest.raises(PricewrightError, match=refused):
        decision.propose(NAME, None, False, section)
    assert registry.aliases(NAME)["champion"] == "1"


def test_a_report_that_was_edited_by_hand_is_refused_and_the_champion_stays(
    made: Path, section: Promote, bare: Path
) -> None:
    version = _register(bare, ANSWER)
    named(champion="1", challenger=version)
    source = MlflowClient().get_model_version(NAME, version).source
    report = _logged(made, source) / "evidence" / "quantize.json"
    report.write_text(report.read_text().replace("30.1", "29.9"))
    refused = rf"version {version}: its files are not those it was registered with .* stays version 1"
    with pytest.raises(PricewrightError, match=refused):
        decision.propose(NAME, None, False, section)
    assert registry.aliases(NAME)["champion"] == "1"
    assert aliases.decisions(NAME, version) == []


def test_a_champion_that_was_scored_on_other_rows_is_refused_or_judged_on_what_it_never_saw(
    made: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    named(champion="1", challenger="2")
    rows(made, answers["2"]["price"] + 0.5)
    registry.tag_version(NAME, "1", decision.ROWS, "0" * 64)
    refused = r"champion, pricer version 1, was scored on other test rows .* `make promote UNSEEN=1`"
    with pytest.raises(PricewrightError, match=refused):
        decision.propose(NAME, None, False, section)
    record = decision.propose(NAME, None, True, section)
    assert (record["rows"], record["rows_left_out"]) == (TEXTS - SHARED, SHARED)
    assert (record["verdict"], record["against"]) == ("promoted", "version 1")
    shutil.rmtree(".dvc/cache")
    with pytest.raises(PricewrightError, match=r"curate/train.parquet .* kept nowhere: `dvc fetch`"):
        decision.propose(NAME, None, True, section)
    assert registry.aliases(NAME)["champion"] == "1"


@pytest.mark.usefixtures("project")
def test_without_a_challenger_or_with_the_champion_itself_there_is_nothing_to_judge(section: Promote) -> None:
    with pytest.raises(PricewrightError, match="has no challenger: register one with `make run`"):
        decision.propose(NAME, None, False, section)
    named(champion="1", challenger="1")
    with pytest.raises(PricewrightError, match="version 1 is the champion already"):
        decision.propose(NAME, None, False, section)
    with pytest.raises(PricewrightError, match="no version 9: it never existed or is deleted"):
        decision.propose(NAME, "9", False, section)
    with pytest.raises(PricewrightError, match="nobody has no challenger"):
        decision.propose("nobody", None, False, section)


def test_a_champion_that_was_deleted_is_named_and_rolled_back_from(
    project: Path, section: Promote, answers: dict[str, pd.DataFrame]
) -> None:
    """MLflow takes the aliases of a deleted version away; a registry whose tables were mended by hand, or
    another store, may keep them.
    """
    named(champion="1", challenger="2")
    MlflowClient().delete_model_version(NAME, "1")
    assert registry.aliases(NAME) == {"challenger": "2"}
    with sqlite3.connect(project / "mlflow.db") as tables:
        tables.execute(
            "INSERT INTO registered_model_aliases (alias, version, name) VALUES ('champion', 1, 'pricer')"
        )
    assert registry.aliases(NAME)["champion"] == "1"
    with pytest.raises(
        PricewrightError, match=r"points to version 1, which is deleted: .* rollback VERSION=n"
    ):
        decision.propose(NAME, None, False, section)
    promote.rollback(NAME, "2")
    assert registry.aliases(NAME) == {"champion": "2", "challenger": "2"}


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
    decision.TEST.unlink()
    with pytest.raises(PricewrightError, match="test.parquet is missing: run the stages above"):
        decision.propose(NAME, None, False, section)


# --- rollback ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_rollback_goes_to_the_previous_version_and_back_again(answers: dict[str, pd.DataFrame]) -> None:
    named(champion="2", previous="1")
    record = promote.rollback(NAME, None)
    assert (record["verdict"], record["version"], record["champion"]) == ("rolled back", "1", "2")
    assert registry.aliases(NAME) == {"champion": "1", "previous": "2"}
    promote.rollback(NAME, "2")
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert [kept["kind"] for kept in aliases.decisions(NAME, "1")] == ["rollback"]


@pytest.mark.usefixtures("project")
def test_rollback_to_nothing_to_itself_or_to_no_version_is_refused() -> None:
    named(champion="2")
    with pytest.raises(PricewrightError, match="no previous version to go back to: name one"):
        promote.rollback(NAME, None)
    with pytest.raises(PricewrightError, match="version 2 is the champion already"):
        promote.rollback(NAME, "2")
    for wrong in ("9", "two"):
        with pytest.raises(PricewrightError, match=f"no version {wrong}"):
            promote.rollback(NAME, wrong)
    assert registry.aliases(NAME) == {"champion": "2"}


@pytest.mark.parametrize("harm", ["cut short", "one weight changed", "missing"])
def test_a_version_whose_files_were_touched_is_refused(project: Path, made: Path, harm: str) -> None:
    named(champion="2", previous="1")
    source = MlflowClient().get_model_version(NAME, "1").source
    with registry.fetched(NAME, "1") as whole:
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
            promote.rollback(NAME, "1")
    finally:
        weights.write_bytes(kept)
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert aliases.decisions(NAME, "1") == []


def _logged(made: Path, source: str) -> Path:
    """Folder of a logged model in the artifact store, by the source of its version."""
    [folder] = made.glob(f"mlruns/**/{source.rsplit('/', 1)[-1]}/artifacts")
    return folder


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """What is served by a version that is quickly registered, and does not load."""
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "serving.json").write_text("{}")
    return folder


@pytest.mark.usefixtures("project")
def test_a_version_that_is_whole_but_does_not_load_is_refused(bare: Path) -> None:
    version = _register(bare, ANSWER)
    named(champion="2")
    with pytest.raises(PricewrightError, match=rf"version {version}: it does not load or answer: \w+"):
        promote.rollback(NAME, version)
    assert registry.aliases(NAME)["champion"] == "2"


# --- crashes and races -------------------------------------------------------------------------------

CRASH = """
import json, os, sys
from components.promotion import promote
from components.core import registry, tracking

def crash(module, name, call):
    step, calls = getattr(module, name), []
    def until(*arguments):
        calls.append(name)
        if len(calls) == call:
            os._exit(9)
        return step(*arguments)
    setattr(module, name, until)

for folder, module, name, call in json.loads(sys.argv[1]):
    if (child := os.fork()) == 0:
        os.chdir(folder)
        tracking.connect()
        crash({"registry": registry, "tracking": tracking}[module], name, call)
        promote.settle(json.load(open("held.json")))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, (name, call)
"""
CRASHES = {
    ("registry", "tag_model", 1): {"champion": "1"},
    ("tracking", "log_decision", 1): {"champion": "1"},
    ("registry", "tag_version", 1): {"champion": "1"},
    ("registry", "tag_model", 2): {"champion": "1"},
    ("registry", "set_alias", 1): {"champion": "1"},
    ("registry", "set_alias", 2): {"champion": "1", "previous": "1"},
    ("registry", "tag_model", 3): {"champion": "2", "previous": "1"},
}
"""Where a promotion of version 2 is killed (at which call of which function), and the aliases it leaves."""


def held(**changed: Any) -> dict[str, Any]:
    record = aliases.entry("promote", NAME, "2", "1") | {"verdict": "promoted"} | changed
    Path("held.json").write_text(json.dumps(record))
    return record


@pytest.fixture(scope="module")
def crashed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, int], Path]:
    """For each of CRASHES a project in which a promotion was really killed; one process forks for all."""
    folders = {crash: tmp_path_factory.mktemp("crashed") for crash in CRASHES}
    with environment_kept(), pytest.MonkeyPatch.context() as patch:
        for folder in folders.values():
            _copy(made, folder)
            patch.chdir(folder)
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            tracking.connect()
            named(champion="1")
            held()
        todo = json.dumps([[str(folder), *crash] for crash, folder in folders.items()])
        patch.delenv("MLFLOW_TRACKING_URI")
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", CRASH, todo], env=environment, check=True, timeout=240)
    return folders


@pytest.fixture
def after(
    crashed: dict[tuple[str, str, int], Path],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """A copy of the project that was left by the crash which is the parameter; the record it was to keep."""
    folder = tmp_path / "after"
    shutil.copytree(crashed[request.param], folder)
    monkeypatch.chdir(folder)
    tracking.connect()
    record: dict[str, Any] = json.loads(Path("held.json").read_text())
    assert registry.aliases(NAME) == CRASHES[request.param]
    return record


def next_call() -> None:
    with aliases.locked(NAME):
        pass


@pytest.mark.parametrize("after", list(CRASHES)[1:], indirect=True, ids=str)
def test_a_move_that_a_crash_cut_in_two_is_completed_by_the_next_call(after: dict[str, Any]) -> None:
    next_call()
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert [kept["id"] for kept in aliases.decisions(NAME, "2")] == [after["id"]]
    assert [kept["id"] for kept in tracking.logged_decisions(NAME)] == [after["id"]]
    assert registry.model_tag(NAME, aliases.INTENT) is None
    found, faults = history(NAME)
    assert ([kept["id"] for kept in found], faults) == ([after["id"]], [])


@pytest.mark.parametrize("after", list(CRASHES)[:1], indirect=True, ids=str)
def test_a_crash_before_the_move_is_written_down_leaves_everything_as_it_was(after: dict[str, Any]) -> None:
    next_call()
    assert registry.aliases(NAME) == {"champion": "1"}
    assert aliases.decisions(NAME, "2") == []
    assert history(NAME) == ([], [])


@pytest.mark.parametrize("after", [("registry", "set_alias", 1)], indirect=True, ids=str)
def test_an_interrupted_move_to_a_version_that_was_deleted_since_is_dropped(
    after: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    MlflowClient().delete_model_version(NAME, "2")
    next_call()
    assert "an interrupted promote is dropped: pricer has no version 2" in capsys.readouterr().out
    assert registry.aliases(NAME) == {"champion": "1"}
    assert registry.model_tag(NAME, aliases.INTENT) is None


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told_to_judge_again(project: Path) -> None:
    """In two clones with one registry. Both were judged against version 1 and wait for their turn."""
    named(champion="1")
    source = MlflowClient().get_model_version(NAME, "2").source
    assert str(MlflowClient().create_model_version(NAME, source).version) == "3"
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": f"sqlite:///{project}/mlflow.db",
    }
    both: list[subprocess.Popen[bytes]] = []
    logs: list[Path] = []
    with aliases.locked(NAME):
        for version in ("2", "3"):
            clone = project / f"clone-{version}"
            clone.mkdir()
            shutil.copy("params.yaml", clone)
            (clone / "held.json").write_text(json.dumps(held(version=version)))
            logs.append(clone / "log")
            command = [
                sys.executable,
                "-m",
                "components.promotion.promote",
                "settle",
                "held.json",
                "--approved-by",
                "ann",
            ]
            with logs[-1].open("w") as log:
                both.append(
                    subprocess.Popen(
                        command, cwd=clone, env=environment, stdout=subprocess.DEVNULL, stderr=log
                    )
                )
        until = time.monotonic() + 120
        while not all("waiting for another process" in log.read_text() for log in logs):
            assert time.monotonic() < until, [log.read_text() for log in logs]
            time.sleep(0.1)
        assert registry.aliases(NAME) == {"champion": "1"}
    assert sorted(process.wait(timeout=120) for process in both) == [0, 1]
    said = [log.read_text() for log in logs]
    winner, loser = ("2", "3") if both[0].returncode == 0 else ("3", "2")
    refused = f"is version {winner} now; it was 1 when version {loser} was judged"
    assert refused in said[int(loser) - 2]
    assert registry.aliases(NAME) == {"champion": winner, "previous": "1"}
    assert [len(aliases.decisions(NAME, version)) for version in (winner, loser)] == [1, 0]


@pytest.mark.usefixtures("project")
def test_a_lock_of_another_machine_is_taken_over_only_when_it_is_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = MlflowClient()
    client.create_registered_model("pricer.moving", description="another-machine 1")
    assert not aliases._left_behind("another-machine 1", 10.0)
    monkeypatch.setattr(aliases, "STALE", -1.0)
    with aliases.locked(NAME):
        pass
    with pytest.raises(MlflowException, match="not found"):
        client.get_registered_model("pricer.moving")


@pytest.mark.usefixtures("project")
def test_a_rollback_while_a_challenger_is_judged_goes_before(answers: dict[str, pd.DataFrame]) -> None:
    named(champion="1")
    proposal = held()
    promote.rollback(NAME, "2")
    with pytest.raises(PricewrightError, match="is version 2 now; it was 1 .* Promote again"):
        promote.settle(proposal)
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}


# --- approval, records, agreement with the other modules ---------------------------------------------


@pytest.mark.usefixtures("project")
def test_what_a_person_declined_is_recorded_and_moves_nothing() -> None:
    named(champion="1")
    held()
    done = command("settle", "held.json", "--declined", "not on a Friday")
    assert done.returncode == 0, done.stderr
    assert registry.aliases(NAME) == {"champion": "1"}
    assert [kept["declined"] for kept in aliases.decisions(NAME, "2")] == ["not on a Friday"]


@pytest.mark.usefixtures("project")
def test_records_are_appended_and_never_overwritten() -> None:
    named(champion="1")
    for reason in ("first", "second", "third"):
        promote.settle(held(verdict="rejected", reasons=[reason]))
    assert [kept["reasons"] for kept in aliases.decisions(NAME, "2")] == [["first"], ["second"], ["third"]]


def test_a_version_is_asked_by_the_column_that_the_served_model_reads() -> None:
    from components.serving import pyfunc

    assert trial.INPUT == pyfunc.INPUT
