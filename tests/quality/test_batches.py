"""A table that is checked in batches has the outcome that it has as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from components.core.schemas import HELD_OUT, SPLITS, Item
from components.quality import batches
from components.quality.batches import Batches
from components.quality.expectations import suites
from components.quality.leakage import leakage_against, measure_leakage
from components.validate import Check, Tables, items_of, validate
from tests.support.validated import RULES, SECTION, TASK, Inputs


def faulty() -> Inputs:
    """Faults that a batch shows and others that only all batches show, in the last rows of the tables."""
    inputs = Inputs()
    train, test = inputs.splits["train"], inputs.splits["test"]
    train.loc[5, "id"] = test.loc[5, "id"] = "train0"
    train.loc[4, "category"] = "Sofas"
    test.loc[5, ["text", "category"]] = ["A lamp", "Chairs"]
    test.loc[4, "title"] = None
    test["brand"] = ""
    inputs.listings.loc[35, "id"] = inputs.listings.loc[0, "id"]
    inputs.listings.loc[10:, "price"] = ""
    inputs.listings.loc[34:, "title"] = ""
    inputs.rejects = inputs.rejects.drop(columns="address")
    inputs.splits["validation"]["split"] = "test"
    return inputs


def on_disk(inputs: Inputs, folder: Path) -> Tables:
    tables = {"raw": inputs.listings, "rejects": inputs.rejects, **inputs.splits}
    for name, rows in tables.items():
        rows.to_parquet(folder / f"{name}.parquet", index=False)
    curated = Batches([folder / f"{split}.parquet" for split in SPLITS], Item.columns())
    return {**{str(name): Batches([folder / f"{name}.parquet"], None) for name in tables}, "curated": curated}


def checked(tables: Tables, inputs: Inputs, docs: Path) -> list[Check]:
    return validate(tables, suites(inputs.splits, RULES, SECTION, TASK), docs)


def test_checks_of_batches_are_those_of_the_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = faulty()
    whole: Tables = {"raw": inputs.listings, "rejects": inputs.rejects, "curated": items_of(inputs.splits)}
    whole |= {str(split): rows for split, rows in inputs.splits.items()}
    expected = checked(whole, inputs, tmp_path / "whole")
    monkeypatch.setattr(batches, "BATCH_ROWS", 4)
    tables = on_disk(inputs, tmp_path)
    assert [len(frame) for frame in tables["raw"].frames()] == [4] * 9
    observed = checked(tables, inputs, tmp_path / "batches")
    failed = {(check.table, check.name) for check in observed if not check.passed}
    assert failed >= {
        ("raw", "id_unique"),
        ("raw", "mostly_titled"),
        ("raw", "mostly_priced"),
        ("test", "text_length"),
        ("test", "title_given"),
        ("test", "mostly_branded"),
        ("rejects", "columns"),
        ("curated", "id_unique"),
        ("curated", "splits_all_there"),
    }
    for wanted, check in zip(expected, observed, strict=True):
        assert check == replace(wanted, examples=check.examples)
        assert check.name == "splits_all_there" or sorted(check.examples) == sorted(wanted.examples)


def test_the_data_docs_show_the_counts_of_all_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 4)
    inputs = faulty()
    checked({"raw": on_disk(inputs, tmp_path)["raw"]}, inputs, tmp_path / "docs")
    pages = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "docs").rglob("*.html"))
    assert "27 unexpected values found" in pages
    assert "36 total rows" in pages


def test_an_empty_table_is_checked_too(tmp_path: Path) -> None:
    inputs = Inputs()
    inputs.listings = inputs.listings.head(0)
    raw = on_disk(inputs, tmp_path)["raw"]
    checks = {check.name: check.passed for check in checked({"raw": raw}, inputs, tmp_path / "docs")}
    assert not checks["rows_enough"]
    assert checks["columns"]


def test_training_texts_that_come_in_batches_leak_as_much_as_all_at_once() -> None:
    splits = Inputs().splits
    splits["train"].loc[1, "text"] = splits["test"]["text"][0]
    splits["preference"].loc[5, "text"] = splits["validation"]["text"][2] + " again"
    texts = [text for split in ("train", "preference") for text in splits[split]["text"]]
    scored = {split: splits[split] for split in HELD_OUT}
    parts = [texts[start : start + 5] for start in range(0, len(texts), 5)]
    in_batches = leakage_against(scored, parts, ["a corpus"], 0.8, 1.0)
    assert in_batches == measure_leakage(splits, ["a corpus"], 0.8, 1.0)
    assert (in_batches["test"]["training"]["exact"], in_batches["validation"]["training"]["near"]) == (1, 1)


def test_rows_of_a_repeated_value_are_found_across_files(tmp_path: Path) -> None:
    for name, ids in {"a": ["x", "y", None], "b": ["z", "x", None]}.items():
        pd.DataFrame({"id": ids}).to_parquet(tmp_path / f"{name}.parquet")
    table = Batches([tmp_path / "a.parquet", tmp_path / "b.parquet"], None)
    assert table.repeated("id")["id"].tolist() == ["x", "x"]
