from __future__ import annotations

import contextlib
import hashlib
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
from components.params import Validate, load
from components.records import SPLITS, Item, Listing, PricewrightError, Split
from components.validate import Check, report_of, require, validate

ROOT = Path(__file__).resolve().parent.parent
SECTION = Validate(
    rows_min=3,
    text_characters_min=20,
    text_characters_max=60,
    category_share_max=0.7,
    median_ratio_max=1.5,
)
CURATE = load(ROOT / "params.yaml").curate
Splits = dict[Split, pd.DataFrame]


def clean_splits() -> Splits:
    """Four splits of six rows in two categories."""
    splits: Splits = {}
    for split in SPLITS:
        rows = [
            {
                "id": f"{split}{number}",
                "text": f"The lamp number {number} of the {split} split",
                "title": f"Lamp {number}",
                "brand": "Lumo",
                "category": "Lamps" if number % 2 else "Desks",
                "details": "{}",
                "price": 10.0 + number,
                "product": f"{split}{number}",
                "split": split,
                "source": "files",
                "address": f"shop:{number}",
            }
            for number in range(6)
        ]
        splits[split] = pd.DataFrame(rows, columns=Item.columns())
    return splits


def checks_of(splits: Splits, folder: Path, listings: int = 30, rejects: int = 6) -> list[Check]:
    return validate(splits, listings, rejects, SECTION, CURATE, folder / "docs")


def failed(checks: list[Check]) -> set[tuple[str, str]]:
    return {(check.table, check.name) for check in checks if not check.passed}


def put(column: str, value: object, row: int = 0) -> Callable[[Splits], None]:
    def plant(splits: Splits) -> None:
        rows = splits["test"].astype({column: object}) if not isinstance(value, float) else splits["test"]
        rows.loc[row, column] = value
        splits["test"] = rows

    return plant


def drop_column(splits: Splits) -> None:
    splits["test"] = splits["test"].drop(columns="brand")


def drop_rows(splits: Splits) -> None:
    splits["test"] = splits["test"].head(2)


def dear(splits: Splits) -> None:
    splits["test"]["price"] *= 3


def one_sided(splits: Splits) -> None:
    splits["test"]["category"] = "Lamps"


FAULTS: dict[str, tuple[Callable[[Splits], None], tuple[str, str]]] = {
    "a missing column": (drop_column, ("test", "columns")),
    "a row of another split": (put("split", "train"), ("test", "split_named")),
    "an id twice": (put("id", "train0"), ("items", "id_unique")),
    "an id that is null": (put("id", None), ("test", "id_given")),
    "a product in two splits": (put("product", "train0"), ("products", "product_in_one_split")),
    "a product that is null": (put("product", None), ("test", "product_given")),
    "a text that is null": (put("text", None), ("test", "text_given")),
    "an empty text": (put("text", " " * 30), ("test", "text_not_empty")),
    "a short text": (put("text", "A lamp"), ("test", "text_length")),
    "a long text": (put("text", "lamp " * 13), ("test", "text_length")),
    "a dollar sign in the text": (
        put("text", "A lamp made of oak, now $12.99"),
        ("test", "text_without_price"),
    ),
    "dollars in the text": (put("text", "A lamp made of oak, 40 dollars"), ("test", "text_without_price")),
    "a price that is null": (put("price", float("nan")), ("test", "price_given")),
    "a price that is text": (put("price", "12.99"), ("test", "price_number")),
    "a low price": (put("price", 0.5), ("test", "price_in_range")),
    "a high price": (put("price", 1000.0), ("test", "price_in_range")),
    "a category that is null": (put("category", None), ("test", "category_given")),
    "specifications that are no JSON": (put("details", "{size"), ("test", "details_json")),
}
WARNINGS: dict[str, tuple[Callable[[Splits], None], tuple[str, str]]] = {
    "a category that training lacks": (put("category", "Tents"), ("test", "category_known")),
    "a category that crowds out others": (one_sided, ("categories", "category_share")),
    "a dearer split": (dear, ("medians", "median_prices_alike")),
}


def test_clean_splits_pass_every_check(tmp_path: Path) -> None:
    checks = checks_of(clean_splits(), tmp_path)
    assert failed(checks) == set()
    assert len(checks) == 4 * 15 + 5
    require(checks, tmp_path)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught_by_the_check_that_should_and_stops_the_chain(
    fault: str, tmp_path: Path
) -> None:
    plant, expected = FAULTS[fault]
    splits = clean_splits()
    plant(splits)
    checks = checks_of(splits, tmp_path)
    assert expected in failed(checks)
    with pytest.raises(PricewrightError, match=f"{expected[1]} fails for {expected[0]}"):
        require(checks, tmp_path)


def test_too_few_rows_and_a_lost_listing_are_caught(tmp_path: Path) -> None:
    splits = clean_splits()
    drop_rows(splits)
    assert failed(checks_of(splits, tmp_path)) == {("test", "rows_enough"), ("ledger", "no_listing_lost")}


def test_the_two_counts_of_a_lost_listing_are_shown(tmp_path: Path) -> None:
    lost = next(check for check in checks_of(clean_splits(), tmp_path, listings=31) if not check.passed)
    assert (lost.name, lost.found) == ("no_listing_lost", ["31 against 30"])


@pytest.mark.parametrize("fault", WARNINGS)
def test_a_failed_warning_is_reported_and_does_not_stop(fault: str, tmp_path: Path) -> None:
    plant, expected = WARNINGS[fault]
    splits = clean_splits()
    plant(splits)
    checks = checks_of(splits, tmp_path)
    assert failed(checks) == {expected}
    require(checks, tmp_path)
    assert report_of(checks)["failed_warning"] == 1
    assert report_of(checks)["failed_critical"] == 0


def test_the_message_names_the_check_the_split_and_up_to_five_rows(tmp_path: Path) -> None:
    splits = clean_splits()
    splits["test"]["price"] = 0.5
    with pytest.raises(PricewrightError) as caught:
        require(checks_of(splits, tmp_path), tmp_path)
    message = str(caught.value)
    assert "price_in_range fails for test, 6 rows" in message
    assert re.findall(r"id '(\w+)'", message) == ["test0", "test1", "test2", "test3", "test4"]
    assert "price '0.5'" in message


def test_the_page_is_written_also_after_a_failure_and_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    splits = clean_splits()
    put("price", 0.5)(splits)
    checks_of(splits, tmp_path)
    assert os.listdir(tmp_path) == ["docs"]
    page = next((tmp_path / "docs/validations/test").rglob("*.html")).read_text()
    assert "0.5" in page
    assert "Failed" in page
    assert "validations/test" in (tmp_path / "docs/index.html").read_text()


def test_the_report_is_the_same_in_every_run(tmp_path: Path) -> None:
    splits = clean_splits()
    put("price", 0.5)(splits)
    one, other = (json.dumps(report_of(checks_of(splits, tmp_path))) for _ in range(2))
    assert one == other


# --- the two stages, from listings to passed.json -----------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with 300 listings of `artifacts/scrape` and the two stages' blocks."""
    monkeypatch.chdir(tmp_path)
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    Path("params.yaml").write_text(params, encoding="utf-8")
    stages = {
        name: {"cmd": f"python -m components.{name}", "params": [name]} for name in ("curate", "validate")
    }
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    rows = [
        {
            "id": hashlib.sha256(str(number).encode()).hexdigest()[:16],
            "title": f"Lamp of series {number}",
            "description": f"One lamp of oak {number} with {number * 7 % 11} colours, drawn by hand",
            "brand": "Lumo",
            "category": ("Lamps", "Desks")[number % 2],
            "details": "{}",
            "price": f"${number % 50 + 5}" if number else "",
            "currency": "USD",
            "source": "files",
            "address": f"shop:{number}",
            "page_hash": "",
            "found_in": "row",
        }
        for number in range(300)
    ]
    Path("artifacts/scrape").mkdir(parents=True)
    pd.DataFrame(rows, columns=Listing.columns()).to_parquet("artifacts/scrape/listings.parquet", index=False)
    return tmp_path


def test_the_two_stages_write_their_files_and_a_fault_takes_passed_away(project: Path) -> None:
    curate_stage.main()
    assert json.loads(Path("reports/curate.json").read_text())["rejected"]["no_price"] == 1
    assert sorted(path.name for path in Path("artifacts/curate").glob("*.png")) == [
        "lengths.png",
        "prices.png",
        "waterfall.png",
    ]
    validate_stage.main()
    assert (
        "products/product_in_one_split"
        in json.loads(Path("artifacts/validate/passed.json").read_text())["critical"]
    )
    assert os.listdir("artifacts/validate") == ["passed.json"]
    assert Path("reports/validate/data_docs/index.html").is_file()

    test = pd.read_parquet("artifacts/curate/test.parquet")
    test.loc[0, "price"] = 0.5
    test.to_parquet("artifacts/curate/test.parquet", index=False)
    with pytest.raises(SystemExit, match="price_in_range fails for test"), contextlib.chdir(project):
        validate_stage.main()
    assert not Path("artifacts/validate/passed.json").exists()
    assert json.loads(Path("reports/validate.json").read_text())["failed_critical"] == 1
