"""The stage `validate` where a label is predicted."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from components import curate as curate_stage
from components import validate as validate_stage
from components.core import intakes
from components.core.errors import PricewrightError
from components.quality import drift
from components.validate import require_critical
from tests.support.curated import table
from tests.support.project import ROOT
from tests.support.validated import Fault, Inputs, failed, labelled, listing, put, stopped_by, warned_of


def only_desks(inputs: Inputs) -> None:
    inputs.splits["test"]["target"] = 0.0


def mostly_desks(inputs: Inputs) -> None:
    inputs.splits["test"]["target"] = [0.0] * 5 + [1.0]


def two_labels_for_products(inputs: Inputs) -> None:
    """Three pairs of near duplicates in train, each a desk and a lamp."""
    rows = inputs.splits["train"]
    rows["product"] = rows["product"].iloc[[0, 0, 2, 2, 4, 4]].to_numpy()


def two_labels_for_texts(inputs: Inputs) -> None:
    rows = inputs.splits["train"]
    rows["text"] = rows["text"].iloc[[0, 0, 2, 2, 4, 4]].to_numpy()


def lamps_are_rare(inputs: Inputs) -> None:
    label = inputs.task.label.model_copy(update={"rows_min": 16})
    inputs.task = inputs.task.model_copy(update={"label": label})


CRITICAL: dict[str, tuple[str, str, Fault]] = {
    "a place beyond the names": ("test", "target_among_names", put("target", 2.0)),
    "a place between two names": ("test", "target_among_names", put("target", 0.5)),
    "a target that is null": ("test", "target_given", put("target", float("nan"))),
    "a target that is the name itself": ("test", "target_number", put("target", "Lamps")),
    "a split without one of the labels": ("split_labels", "labels_all_there", only_desks),
    "near duplicates with two labels": ("label_conflicts", "labels_agree", two_labels_for_products),
    "texts with two labels": ("label_conflicts", "labels_agree", two_labels_for_texts),
}
WARNING: dict[str, tuple[str, str, Fault]] = {
    "a label that crowds out others": ("split_labels", "label_share", mostly_desks),
    "labels that few rows have": ("label_rows", "label_rows_enough", lamps_are_rare),
}


def test_clean_labels_pass_every_check_and_none_takes_a_price(tmp_path: Path) -> None:
    checks = labelled().checks(tmp_path)
    assert failed(checks) == set()
    observed = {(check.table, check.name) for check in checks}
    assert {(table, name) for table, name, _ in [*CRITICAL.values(), *WARNING.values()]} <= observed
    of_numbers = {check.name for check in Inputs().checks(tmp_path)} - {name for _, name in observed}
    assert of_numbers <= {
        "mostly_priced",
        "target_in_range",
        "median_prices_alike",
        "one_price_for_a_text",
        "no_paraphrase_in_training",
    }
    assert "target_in_range" in of_numbers


@pytest.mark.parametrize("fault", CRITICAL)
def test_a_planted_fault_of_labels_fails_its_check_and_stops_the_stage(fault: str, tmp_path: Path) -> None:
    stopped_by(labelled(), CRITICAL[fault], tmp_path)


@pytest.mark.parametrize("fault", WARNING)
def test_a_failed_warning_about_labels_does_not_stop(fault: str, tmp_path: Path) -> None:
    warned_of(labelled(), WARNING[fault], tmp_path)


def test_a_missing_label_is_named_with_its_split(tmp_path: Path) -> None:
    inputs = labelled()
    only_desks(inputs)
    with pytest.raises(
        PricewrightError, match=r"labels_all_there .*\n +label 'Lamps', rows '0', split 'test'"
    ):
        require_critical(inputs.checks(tmp_path, "split_labels"), tmp_path)


def test_conflicts_below_the_limit_are_counted(tmp_path: Path) -> None:
    inputs = labelled()
    rows = inputs.splits["train"]
    rows.loc[1, "product"] = rows.loc[0, "product"]
    [agree] = inputs.checks(tmp_path, "label_conflicts")
    assert (agree.passed, agree.unexpected) == (True, 2)


def test_labels_that_drifted_from_the_reference_are_a_warning(tmp_path: Path) -> None:
    inputs = labelled()
    assert inputs.profile is not None
    inputs.profile |= {"rows": 10_000, "target": {"Desks": 0.999, "Lamps": 0.001}}
    checks = inputs.checks(tmp_path, "drift")
    assert failed(checks) == {("drift", "target_like_reference")}
    require_critical(checks, tmp_path)


# --- the two stages, from listings to passed.json -----------------------------------------------------


def project(categories: tuple[str, ...], shuffled: bool) -> None:
    """Listings of desks and lamps whose texts tell which, or another one where they are shuffled."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["base"]["pretraining"]["texts"] = 300
    raw["validate"]["rows_min"] = 10
    raw["task"]["kind"] = "label"
    Path("params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    stages = {
        name: {"cmd": f"python -m components.{name}", "params": [name]} for name in ("curate", "validate")
    }
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    rows = []
    for number in range(700):
        row, kind = listing(number), number * number % 7 % len(categories)
        told = number % len(categories) if shuffled else kind
        description = f"{row['description']}, {('sit at it', 'light for you', 'sleep in it')[told]}"
        rows.append(row | {"category": categories[kind], "description": description, "price": ""})
    Path("artifacts/scrape").mkdir(parents=True)
    table(rows).to_parquet("artifacts/scrape/listings.parquet", index=False)
    intakes.write({})


def test_the_two_stages_write_names_and_pages_of_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    project(("Desks", "Lamps", "Tents > Large"), shuffled=False)
    curate_stage.main()
    assert json.loads(Path("artifacts/curate/names.json").read_text()) == ["Desks", "Lamps", "Tents"]
    assert json.loads(Path("reports/curate.json").read_text())["rejected"]["no_label"] == 0
    assert Path("artifacts/curate/targets.png").is_file()
    validate_stage.main()
    assert "there is no reference/files.category.json" in capsys.readouterr().err
    critical = json.loads(Path("artifacts/validate/passed.json").read_text())["critical"]
    assert {"labels/labels_follow_texts", "split_labels/labels_all_there"} <= set(critical)
    page = Path("reports/validate/data.html").read_text()
    assert "Tents" in page
    assert "How prices were read" not in page
    drift.main()
    validate_stage.main()
    report = json.loads(Path("reports/validate.json").read_text())
    assert report["reference"] == "reference/files.category.json"
    assert report["tables"]["drift"]["target_like_reference"]["passed"]


def test_labels_that_do_not_follow_from_the_texts_stop_the_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project(("Desks", "Lamps"), shuffled=True)
    curate_stage.main()
    with pytest.raises(SystemExit, match="labels_follow_texts fails for labels"):
        validate_stage.main()


def test_a_label_that_a_split_has_lost_on_the_disk_is_found_among_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project(("Desks", "Lamps"), shuffled=False)
    curate_stage.main()
    test = pd.read_parquet("artifacts/curate/test.parquet").assign(target=0.0)
    test.to_parquet("artifacts/curate/test.parquet", index=False)
    with pytest.raises(SystemExit, match="labels_all_there fails for split_labels"):
        validate_stage.main()
