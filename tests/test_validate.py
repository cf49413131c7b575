from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from components import curate as curate_stage
from components import validate as validate_stage
from components.core import intakes
from components.core.errors import PricewrightError
from components.core.schemas import SPLITS
from components.quality import drift
from components.validate import report_of, require_critical
from tests.support.curated import table
from tests.support.project import ROOT
from tests.support.validated import Fault, Inputs, failed, listing, put, stopped_by, warned_of

# --- planted faults ----------------------------------------------------------------------------------


def put_raw(column: str, value: object, rows: int = 1) -> Fault:
    """A value in some raw listings."""

    def plant(inputs: Inputs) -> None:
        inputs.listings = inputs.listings.astype({column: object})
        inputs.listings.loc[: rows - 1, column] = value

    return plant


def put_reject(column: str, value: str) -> Fault:
    def plant(inputs: Inputs) -> None:
        inputs.rejects.loc[0, column] = value

    return plant


def each(column: str, change: Callable[[pd.Series], object]) -> Fault:
    """A change of a whole column of the test split."""

    def plant(inputs: Inputs) -> None:
        inputs.splits["test"][column] = change(inputs.splits["test"][column])

    return plant


def in_all_splits(column: str, change: Callable[[pd.Series], object]) -> Fault:
    def plant(inputs: Inputs) -> None:
        for rows in inputs.splits.values():
            rows[column] = change(rows[column])

    return plant


def lose_a_column(inputs: Inputs) -> None:
    inputs.splits["test"] = inputs.splits["test"].drop(columns="brand")


def lose_a_raw_column(inputs: Inputs) -> None:
    inputs.listings = inputs.listings.drop(columns="page_hash")


def lose_a_column_of_the_rejects(inputs: Inputs) -> None:
    inputs.rejects = inputs.rejects.drop(columns="address")


def lose_rows(inputs: Inputs) -> None:
    inputs.splits["test"] = inputs.splits["test"].head(2)


def lose_a_listing(inputs: Inputs) -> None:
    inputs.listings = pd.concat([inputs.listings, inputs.listings.tail(1)])


def lose_all_listings(inputs: Inputs) -> None:
    inputs.listings = inputs.listings.head(0)


def swap_splits(inputs: Inputs) -> None:
    inputs.splits["test"]["split"] = "validation"


def train_on_test(inputs: Inputs) -> None:
    inputs.splits["train"].loc[0, "text"] = inputs.splits["test"]["text"][0]


def nearly_train_on_test(inputs: Inputs) -> None:
    inputs.splits["train"].loc[0, "text"] = inputs.splits["test"]["text"][0] + " again"


def train_on_a_similar_text(inputs: Inputs) -> None:
    text = inputs.splits["test"]["text"][0]
    inputs.splits["train"].loc[0, "text"] = text + " again today"


CRITICAL: dict[str, tuple[str, str, Fault]] = {
    "a missing column": ("test", "columns", lose_a_column),
    "too few rows": ("test", "rows_enough", lose_rows),
    "a row of another split": ("test", "split_named", put("split", "train")),
    "a split without rows of its own": ("curated", "splits_all_there", swap_splits),
    "an id twice": ("curated", "id_unique", put("id", "train0")),
    "an id that is null": ("test", "id_given", put("id", None)),
    "a product in two splits": ("products", "product_in_one_split", put("product", "train0")),
    "a product that is null": ("test", "product_given", put("product", None)),
    "a title that is null": ("test", "title_given", put("title", None)),
    "an unknown source": ("test", "source_given", put("source", None)),
    "a text that is null": ("test", "text_given", put("text", None)),
    "an empty text": ("test", "text_not_empty", put("text", " " * 30)),
    "a short text": ("test", "text_length", put("text", "A lamp")),
    "a long text": ("test", "text_length", put("text", "lamp " * 200)),
    "a dollar sign in the text": ("test", "text_without_price", put("text", "A lamp of oak, now $12.99")),
    "dollars in the text": ("test", "text_without_price", put("text", "A lamp made of oak, 40 dollars")),
    "a control character": (
        "test",
        "text_without_control_characters",
        put("text", "A lamp\x07 that is made of oak"),
    ),
    "a price that is null": ("test", "target_given", put("target", float("nan"))),
    "a price that is text": ("test", "target_number", put("target", "12.99")),
    "a low price": ("test", "target_in_range", put("target", 0.4)),
    "a high price": ("test", "target_in_range", put("target", 1000.0)),
    "a category that is null": ("test", "category_given", put("category", None)),
    "specifications that are no JSON": ("test", "details_json", put("details", "{size")),
    "a test text in training": ("leaks", "no_scored_text_in_training", train_on_test),
    "nearly a test text in training": ("leaks", "no_near_duplicate_in_training", nearly_train_on_test),
    "a lost listing": ("ledger", "no_listing_lost", lose_a_listing),
    "a reject by a rule that there is not": ("rejects", "rule_known", put_reject("rule", "ugly")),
    "a reject without a reason": ("rejects", "reason_given", put_reject("reason", "")),
    "rejects without their address": ("rejects", "columns", lose_a_column_of_the_rejects),
    "a missing raw column": ("raw", "columns", lose_a_raw_column),
    "no raw listings": ("raw", "rows_enough", lose_all_listings),
    "a raw id of another form": ("raw", "id_form", put_raw("id", "lamp 7")),
    "a raw description that is null": ("raw", "description_given", put_raw("description", None)),
    "raw specifications that are no JSON": ("raw", "details_json", put_raw("details", "{'a'}")),
    "a raw listing from nowhere": ("raw", "source_named", put_raw("source", "")),
    "a raw listing without an address": ("raw", "address_named", put_raw("address", "")),
}
WARNING: dict[str, tuple[str, str, Fault]] = {
    "a text like one of test in training": ("leaks", "no_similar_text_in_training", train_on_a_similar_text),
    "a category that training lacks": ("test", "category_known", put("category", "Tents")),
    "markup in the text": ("test", "text_without_markup", put("text", "A <b>lamp</b> that is made of oak")),
    "an entity in the text": ("test", "text_without_markup", put("text", "A lamp &amp; a desk made of oak")),
    "a category that crowds out others": (
        "categories",
        "category_share",
        each("category", lambda _: "Lamps"),
    ),
    "a product that most listings are": ("sizes", "largest_product", each("product", lambda _: "test0")),
    "a dearer split": ("medians", "median_prices_alike", each("target", lambda prices: prices * 3)),
    "prices that drifted": (
        "drift",
        "target_like_reference",
        in_all_splits("target", lambda prices: prices + 50),
    ),
    "texts that drifted": (
        "drift",
        "length_like_reference",
        in_all_splits("text", lambda texts: texts + texts),
    ),
    "categories that drifted": (
        "drift",
        "categories_like_reference",
        in_all_splits("category", lambda categories: categories + " and more"),
    ),
    "a raw id twice": ("raw", "id_unique", put_raw("id", "0" * 16, rows=2)),
    "a raw currency of another form": ("raw", "currency_form", put_raw("currency", "$")),
    "raw listings without a price": ("raw", "mostly_priced", put_raw("price", "", rows=20)),
    "raw listings without a title": ("raw", "mostly_titled", put_raw("title", "", rows=9)),
    "titles in a wrong encoding": ("raw", "encoding_right", put_raw("title", "LÃ¤mpchen", rows=9)),
}


def test_clean_data_pass_every_check(tmp_path: Path) -> None:
    checks = Inputs().checks(tmp_path)
    assert failed(checks) == set()
    planted = {(table, name) for table, name, _ in [*CRITICAL.values(), *WARNING.values()]}
    of_tables = {("test" if check.table in SPLITS else check.table, check.name) for check in checks}
    assert planted <= of_tables
    require_critical(checks, tmp_path)


@pytest.mark.parametrize("fault", CRITICAL)
def test_a_planted_fault_fails_its_check_and_stops_the_stage(fault: str, tmp_path: Path) -> None:
    stopped_by(Inputs(), CRITICAL[fault], tmp_path)


@pytest.mark.parametrize("fault", WARNING)
def test_a_failed_warning_is_reported_and_does_not_stop(fault: str, tmp_path: Path) -> None:
    checks = warned_of(Inputs(), WARNING[fault], tmp_path)
    report = report_of(checks, {}, Path("reference/files.json"))
    assert (report["failed_warning"], report["failed_critical"]) == (1, 0)


def test_a_lost_listing_is_reported_with_both_counts(tmp_path: Path) -> None:
    inputs = Inputs()
    lose_a_listing(inputs)
    [lost] = inputs.checks(tmp_path, "ledger")
    assert (lost.name, lost.examples) == ("no_listing_lost", ["37 against 36"])


def test_the_message_names_the_check_the_split_and_up_to_five_rows(tmp_path: Path) -> None:
    inputs = Inputs()
    inputs.splits["test"]["target"] = 0.4
    with pytest.raises(PricewrightError) as caught:
        require_critical(inputs.checks(tmp_path, "test"), tmp_path)
    message = str(caught.value)
    assert "target_in_range fails for test, 6 rows" in message
    assert re.findall(r"id '(\w+)'", message) == ["test0", "test1", "test2", "test3", "test4"]
    assert "target '0.4'" in message


def test_without_a_reference_drift_is_not_checked_and_the_report_says_so(tmp_path: Path) -> None:
    inputs = Inputs(profile=None)
    checks = inputs.checks(tmp_path, *inputs.tables())
    assert "drift" not in {check.table for check in checks}
    assert report_of(checks, {}, Path("reference/files.json"))["reference"] is None


def test_a_failed_validation_writes_the_data_docs_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    inputs = Inputs()
    put("target", 0.4)(inputs)
    inputs.checks(tmp_path, "test")
    assert os.listdir(tmp_path) == ["docs"]
    page = next((tmp_path / "docs/validations/test").rglob("*.html")).read_text()
    assert "0.4" in page
    assert "Failed" in page
    assert "validations/test" in (tmp_path / "docs/index.html").read_text()


def test_two_validations_of_one_input_report_the_same(tmp_path: Path) -> None:
    inputs = Inputs()
    put("target", 0.4)(inputs)
    reports = [
        json.dumps(report_of(inputs.checks(tmp_path, "test", "drift"), {}, tmp_path)) for _ in range(2)
    ]
    assert reports[0] == reports[1]


# --- the two stages, from listings to passed.json -----------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with 400 listings of `artifacts/scrape` and the two stages' blocks."""
    monkeypatch.chdir(tmp_path)
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(params)
    raw["base"]["pretraining"]["texts"] = 300
    raw["validate"]["rows_min"] = 10
    Path("params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    stages = {
        name: {"cmd": f"python -m components.{name}", "params": [name]} for name in ("curate", "validate")
    }
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    rows = [listing(number) for number in range(400)]
    Path("artifacts/scrape").mkdir(parents=True)
    table(rows).to_parquet("artifacts/scrape/listings.parquet", index=False)
    intakes.write({})
    return tmp_path


def test_the_two_stages_write_their_files_and_a_failed_check_removes_passed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curate_stage.main()
    assert json.loads(Path("reports/curate.json").read_text())["rejected"]["no_price"] == 1
    assert sorted(path.name for path in Path("artifacts/curate").glob("*.png")) == [
        "lengths.png",
        "targets.png",
        "waterfall.png",
    ]
    validate_stage.main()
    assert (
        "products/product_in_one_split"
        in json.loads(Path("artifacts/validate/passed.json").read_text())["critical"]
    )
    assert os.listdir("artifacts/validate") == ["passed.json"]
    report = json.loads(Path("reports/validate.json").read_text())
    assert report["reference"] is None
    assert "there is no reference/files.json" in capsys.readouterr().err
    assert report["leaks"]["test"]["training"]["exact"] == 0
    assert report["leaks"]["test"]["base"]["rows"] == report["leaks"]["test"]["training"]["rows"]
    assert Path("reports/validate/data_docs/index.html").is_file()

    drift.main()
    validate_stage.main()
    report = json.loads(Path("reports/validate.json").read_text())
    assert report["reference"] == "reference/files.json"
    assert report["tables"]["drift"]["target_like_reference"]["passed"]

    test = pd.read_parquet("artifacts/curate/test.parquet")
    test.loc[0, "target"] = 0.4
    test.to_parquet("artifacts/curate/test.parquet", index=False)
    with pytest.raises(SystemExit, match="target_in_range fails for test"), contextlib.chdir(project):
        validate_stage.main()
    assert not Path("artifacts/validate/passed.json").exists()
    assert json.loads(Path("reports/validate.json").read_text())["failed_critical"] == 1
