"""What `benchmarks.catalogues` makes of the predictions that its splits left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import catalogues, splits
from components.core.params.evaluate import Evaluate
from components.core.params.file import Params, load_params
from tests.support.project import ROOT, TASK


@pytest.fixture
def section(params: Params) -> Evaluate:
    return params.evaluate


def split(folder: Path, seed: int, errors: dict[str, float], winner: str) -> Path:
    """A split as the benchmark leaves it: 40 rows of test, each candidate off by its error either way, with
    intervals of 25 dollars on either side, and 10 rows of validation on which all are wildly off.
    """
    draw = np.random.default_rng(seed)
    price, sign = draw.uniform(50, 200, 50), draw.choice([-1, 1], 50)
    row = np.arange(50) + 30 * seed  # 20 rows of the test split are in the next one's too
    tables = [
        pd.DataFrame(
            {
                "candidate": name,
                "split": ["test"] * 40 + ["validation"] * 10,
                "id": [f"id{each}" for each in row],
                "target": price,
                "predicted": price + sign * np.where(np.arange(50) < 40, error, 1000),
                "product": [f"p{each}" for each in row],
            }
        ).assign(
            loss=lambda rows: (rows["predicted"] - rows["target"]).abs(),
            low=lambda rows: rows["predicted"] - 25,
            high=lambda rows: rows["predicted"] + 25,
            held=lambda rows: (rows["loss"] <= 25).astype(float),
            width=50.0,
        )
        for name, error in errors.items()
    ]
    folder.mkdir(parents=True)
    pd.concat(tables).to_parquet(folder / "predictions.parquet", index=False)
    (folder / "winner.json").write_text(json.dumps({"winner": winner}), encoding="utf-8")
    cost = {"minutes": 1.0 + seed, "peak_mb": 100 * seed, "machine": "2 cores", "commit": "abc"}
    (folder / "cost.json").write_text(json.dumps(cost), encoding="utf-8")
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """The blend wins the first split and errs by 8, `sft` the second with 14: 11 on average."""
    return [
        split(tmp_path / "0", 0, {"mean": 50, "boosting": 16, "sft": 30, "blend": 8}, "blend"),
        split(tmp_path / "1", 1, {"mean": 50, "boosting": 20, "sft": 14, "blend": 22}, "sft"),
    ]


def test_a_summary_is_of_the_test_rows_with_the_winner_of_each_split(
    folders: list[Path], section: Evaluate
) -> None:
    figures = catalogues.summary(folders, section, TASK)
    assert (figures["winner"], figures["best_classical"]) == ("blend, sft", "boosting")
    assert figures["winner_mae"] == pytest.approx(11)
    assert figures["best_classical_mae"] == pytest.approx(18)
    assert figures["ratio"] == pytest.approx(11 / 18, abs=1e-4)
    assert figures["candidates"]["blend"]["mae"] == pytest.approx(15)
    assert figures["candidates"]["boosting"]["coverage"] == pytest.approx(1.0)
    assert figures["candidates"]["sft"]["coverage"] == pytest.approx(0.5)
    assert (figures["splits"], figures["minutes_a_split"], figures["peak_mb"]) == (2, 2.0, 100)


def test_the_difference_is_the_winners_to_the_best_classical_and_below_zero_where_it_is_better(
    folders: list[Path], section: Evaluate
) -> None:
    figures = catalogues.summary(folders, section, TASK)
    gap = figures["difference"]
    assert gap["mean"] == pytest.approx(-7)
    assert gap["low"] < -7 < gap["high"] < 0
    assert figures["candidates"]["boosting"]["difference"]["mean"] == 0
    assert figures["candidates"]["mean"]["difference"]["mean"] == pytest.approx(32)


def test_a_language_models_candidate_is_never_the_classical_rival(tmp_path: Path, section: Evaluate) -> None:
    errors = {
        "mean": 50,
        "hidden_states_boosting": 5,
        "hidden_states_ridge": 5,
        "base_recalibrated": 5,
        "blend": 9,
    }
    figures = catalogues.summary([split(tmp_path / "0", 0, errors, "blend")], section, TASK)
    assert figures["best_classical"] == "mean"


def test_what_is_written_names_the_command_the_commit_and_the_machine(
    folders: list[Path], section: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "benchmarks").mkdir()
    monkeypatch.setattr("sys.argv", ["catalogues.py", "--profile", "smollm2"])
    catalogues.write({"shop": catalogues.summary(folders, section, TASK)}, "smollm2")
    written = json.loads(Path("benchmarks/results/catalogues.json").read_text(encoding="utf-8"))
    assert written["command"] == "python -m benchmarks.catalogues --profile smollm2"
    assert (written["commit"], written["machine"]) == ("abc", "2 cores")
    assert written["catalogues"]["shop"]["winner_mae"] == pytest.approx(11)
    assert Path("benchmarks/results/catalogues.png").stat().st_size > 5000


def test_a_clone_learns_from_as_many_listings_as_it_is_to_and_the_scored_splits_keep_their_shares(
    tmp_path: Path,
) -> None:
    file, path = tmp_path / "things.csv", tmp_path / "params.yaml"
    pd.DataFrame({"name": ["a thing"] * 200, "price": range(200)}).to_csv(file, index=False)
    for rows, train in ((50, 0.25), (None, splits.SHARES["train"]), (10_000, splits.SHARES["train"])):
        shutil.copy(ROOT / "params.yaml", path)
        splits.set_values(path, file, 3, rows)
        written = load_params(path)
        shares = written.curate.shares.model_dump()
        assert shares["train"] == pytest.approx(train)
        assert sum(shares.values()) == pytest.approx(1.0)
        assert all(shares[name] == splits.SHARES[name] for name in ("preference", "validation", "test"))
        assert written.curate.seed == 3
        assert written.scrape.files.columns.title == "name"
