"""The scrape stage: provenance, counts, and the same bytes from the same source."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import yaml

from components import scrape as stage_module
from components.core.errors import PricewrightError
from components.core.params.scrape import Scrape
from components.core.schemas import Law, Listing, Reject
from components.sources import keys
from components.sources.block_list import listing_id
from components.sources.result import Collected
from tests.support.project import ROOT
from tests.support.scraped import scrape

ROWS = [
    {"title": "Kettle", "price": "$5"},
    {"title": "Cup \ud800", "price": None},
    {"title": "Pan", "price": 7},
]


def section(source: str, paths: list[str] | None = None, listings: int = 120) -> dict[str, Any]:
    """The scrape section of params.yaml, with a small shop or these files."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["scrape"]
    none = dict.fromkeys(raw["files"]["columns"])
    raw["demo_shop"] |= {"listings": listings, "port": 0}
    raw["files"] |= {"paths": paths or [], "columns": {**none, "title": "title", "price": "price"}}
    return {**raw, "source": source}


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    return Path("rows.jsonl")


def test_a_listing_has_its_provenance_and_a_stable_id(rows: Path) -> None:
    listings, rejects, law, report = scrape(Scrape(**section("files", [str(rows)])))
    assert list(listings.columns) == Listing.columns()
    assert list(listings["address"]) == ["rows.jsonl:1", "rows.jsonl:2", "rows.jsonl:3"]
    assert set(listings["source"]) == {"files"}
    rows.rename("renamed.jsonl")
    renamed, *_ = scrape(Scrape(**section("files", ["renamed.jsonl"])))
    assert list(renamed["id"]) == list(listings["id"])
    assert all(re.fullmatch("[0-9a-f]{16}", id_) for id_ in listings["id"])
    assert law.empty
    assert report == {
        "listings": 3,
        "without_price": 1,
        "found_in": {"nowhere": 0.3333, "row": 0.6667},
        "files": {"files": 1},
        "notes": [],
    }
    assert rejects.empty


def test_rows_that_are_sorted_on_the_disk_come_out_as_those_sorted_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shuffled = [{"title": f"Pot {number}", "price": f"${number % 90}"} for number in range(300)]
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join(map(json.dumps, shuffled)), encoding="utf-8")
    at_once = scrape(Scrape(**section("files", [str(path)])))
    monkeypatch.setattr(stage_module, "SORTED_ROWS", 7)
    monkeypatch.setattr(keys, "PARTITION_ROWS", 7)
    in_parts = scrape(Scrape(**section("files", [str(path)])))
    pd.testing.assert_frame_equal(in_parts.listings, at_once.listings)
    assert at_once.listings["address"].is_monotonic_increasing
    assert in_parts.report == at_once.report


def test_text_that_utf_8_cannot_hold_does_not_stop_the_stage(rows: Path) -> None:
    listings, *_ = scrape(Scrape(**section("files", [str(rows)])))
    listings.to_parquet("out.parquet")
    assert listings["title"][1] == "Cup ?"


def test_every_value_is_text_and_none_is_missing(rows: Path) -> None:
    listings, *_ = scrape(Scrape(**section("files", [str(rows)])))
    assert {str(kind) for kind in listings.dtypes} == {"str"}
    assert not listings.isna().any(axis=None)


def test_two_crawls_of_the_demo_shop_give_the_same_bytes(tmp_path: Path) -> None:
    hashes = []
    for run in ("a", "b"):
        listings, rejects, law, report = scrape(Scrape(**section("demo_shop")))
        listings.to_parquet(tmp_path / f"{run}-listings.parquet", index=False)
        law.to_parquet(tmp_path / f"{run}-law.parquet", index=False)
        rejects.to_parquet(tmp_path / f"{run}-rejects.parquet", index=False)
        contents = [path.read_bytes() for path in sorted(tmp_path.glob(f"{run}-*"))]
        hashes.append([hashlib.sha256(part).hexdigest() for part in (*contents, json.dumps(report).encode())])
    assert hashes[0] == hashes[1]
    assert len(listings) == 120
    assert set(listings["id"]) == {listing_id("demo_shop", address) for address in law["address"]}
    assert "127.0.0.1" not in listings.to_csv()


def names(tables: tuple[Any, ...], *words: str) -> bool:
    """Whether any of the tables or the report names any of the words."""
    listings, rejects, law, report = tables
    written = [frame.to_csv() for frame in (listings, rejects, law)] + [json.dumps(report)]
    return any(word in text for text in written for word in words)


def test_a_row_that_was_forgotten_is_a_reject_without_a_word_of_it_and_stays_one(rows: Path) -> None:
    files = section("files", [str(rows)])
    files["files"]["columns"]["id"] = "sku"
    for number, price in enumerate(("$5", "$6")):
        shown = [
            {"title": "Ann's kettle", "price": price, "sku": "7"},
            {"title": "Pan", "price": 1, "sku": "8"},
        ]
        rows.write_text("\n".join(map(json.dumps, reversed(shown) if number else shown)), encoding="utf-8")
        before = scrape(Scrape(**files))
        forgotten = before.listings.set_index("title").loc["Ann's kettle", "id"]
        after = scrape(Scrape(**files), frozenset({forgotten}))
        assert list(after.listings["title"]) == ["Pan"]
        assert list(after.rejects["rule"]) == ["forgotten"]
        assert after.rejects["address"][0] == f"forgotten {listing_id('files', '7')}"
        assert after.report["files"]["rejected"] == {"forgotten": 1}
        assert names(before, "kettle")
        assert not names(after, "kettle", price, before.listings.set_index("id").loc[forgotten, "address"])


def test_a_page_of_the_demo_shop_that_was_forgotten_leaves_every_other_row_as_it_was() -> None:
    before = scrape(Scrape(**section("demo_shop")))
    gone = before.listings.iloc[7]
    after = scrape(Scrape(**section("demo_shop")), frozenset({gone["id"]}))
    rest = before.listings[before.listings["id"] != gone["id"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(after.listings, rest)
    assert set(before.law["address"]) - set(after.law["address"]) == {gone["address"]}
    assert set(after.rejects["rule"]) - set(before.rejects["rule"]) == {"forgotten"}
    assert not names(after, gone["address"])


def test_a_source_without_a_listing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    none = Collected({}, notes=["a.jsonl: nothing in it"])
    monkeypatch.setitem(stage_module.SOURCES, "files", lambda *_: none)
    with pytest.raises(PricewrightError, match=r"no listings: check scrape\.files\n  a\.jsonl: nothing"):
        scrape(Scrape(**section("files")))


def project(folder: Path, scrape_section: dict[str, Any]) -> list[str]:
    """Write a project with only this stage. Returns the command that runs it."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    (folder / "params.yaml").write_text(
        yaml.safe_dump({**params, "scrape": scrape_section}), encoding="utf-8"
    )
    block = {"cmd": "python -m components.scrape", "params": ["scrape"], "deps": []}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"scrape": block}}), encoding="utf-8")
    return [sys.executable, "-m", "components.scrape"]


def test_the_stage_writes_its_tables_and_its_report(rows: Path, tmp_path: Path) -> None:
    command = project(tmp_path, section("files", [str(rows)]))
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert list(pd.read_parquet("artifacts/scrape/listings.parquet").columns) == Listing.columns()
    assert list(pd.read_parquet("artifacts/scrape/rejects.parquet").columns) == Reject.columns()
    law = pd.read_parquet("artifacts/scrape/law.parquet")
    assert (list(law.columns), len(law), str(law["median"].dtype)) == (Law.columns(), 0, "float64")
    assert json.loads(Path("reports/scrape.json").read_text(encoding="utf-8"))["listings"] == 3


def is_crawl(process: psutil.Process) -> bool:
    """Whether that is the process of a crawl; one that has just ended has no command any more."""
    try:
        return "components.sources.crawling.spider" in process.cmdline()
    except psutil.Error:
        return False


def test_a_stage_that_is_stopped_ends_its_crawl(tmp_path: Path) -> None:
    command = project(tmp_path, section("demo_shop", listings=3000))
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as running:
        crawls: list[psutil.Process] = []
        deadline = time.monotonic() + 60
        while not crawls and time.monotonic() < deadline:
            time.sleep(0.2)
            children = psutil.Process(running.pid).children(recursive=True)
            crawls = [child for child in children if is_crawl(child)]
        os.kill(running.pid, signal.SIGTERM)
        assert running.wait(timeout=30) == 143
    assert len(crawls) == 1
    assert not crawls[0].is_running()
