"""Forgetting a listing in a real DVC, git and MLflow repository: what changes, what is named and removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from components.core import intakes, registry, tracking
from components.core.errors import PricewrightError
from components.core.params.scrape import Scrape
from components.core.params.section import load_section
from components.monitoring.truth import answered
from components.provenance.erasure import EMPTIED, Erasure, Kin, forget, same_product
from components.provenance.search import Listed
from components.provenance.stored_requests import ErasedRequests
from components.serving.request_store import opened
from components.sources.block_list import FORGOTTEN, forgotten_ids, listing_id
from components.sources.crawling.page_store import PageStore
from flows.forget import steps
from tests.support.project import TASK
from tests.support.registered_repository import NAME, object_of, registered_repository, run
from tests.support.requests import NOW, asked, stored, true

STORE = "sqlite:///requests.db"
PAGE = "https://shop.example/p/ann-smith"


def row(split: str) -> pd.Series:
    return pd.read_parquet(f"source/curate/{split}.parquet").iloc[3]


def erased(address: str) -> Erasure:
    with registry.connected():
        return forget(address, NAME, load_section(Scrape), STORE)


def version_of(erasure: Erasure) -> tuple[list[str], bool, str]:
    [holder] = erasure.holders
    return holder.splits, holder.learned, holder.unknown


@pytest.mark.parametrize(("split", "learned"), [("train", True), ("preference", True), ("test", False)])
@pytest.mark.usefixtures("copied")
def test_the_versions_are_named_that_learned_from_a_listing_or_were_measured_on_it(
    split: str, learned: bool
) -> None:
    registry.set_alias(NAME, "champion", "1")
    listing = row(split)
    erasure = erased(listing["address"])
    assert version_of(erasure) == ([split], learned, "")
    assert erasure.holders[0].aliases == ["champion"]
    assert erasure.added == [listing["id"]] == list(forgotten_ids(FORGOTTEN))
    assert listing["address"] not in FORGOTTEN.read_text()
    assert {entry.name for entry in erasure.objects} == {"listings.parquet", f"{split}.parquet"}
    assert object_of("artifacts/curate", f"{split}.parquet").resolve() in {
        entry.path.resolve() for entry in erasure.objects
    }
    assert ("So that the champion is one that never read it" in dict(steps(erasure))) == learned


@pytest.mark.usefixtures("copied")
def test_forgetting_twice_changes_nothing_and_names_the_same_by_address_or_id() -> None:
    listing = row("train")
    first, written = erased(listing["address"]), FORGOTTEN.read_bytes()
    shutil.rmtree("artifacts/scrape")  # as where the next run has left it out
    for name in (listing["address"], listing["id"]):
        again = erased(name)
        assert again.added == []
        assert FORGOTTEN.read_bytes() == written
        assert (again.listed, version_of(again)) == (first.listed, version_of(first))
        assert again.objects == first.objects


@pytest.mark.usefixtures("copied")
def test_requests_of_its_raw_and_of_its_curated_text_are_removed_wherever_the_text_is_still_known() -> None:
    listing, other = row("train"), row("test")
    raw = pd.read_parquet("artifacts/scrape/listings.parquet").set_index("id").loc[listing["id"]]
    texts = {"curated": listing["text"], "title": raw["title"], "other": other["text"]}
    rows = [asked(key, text) for key, text in texts.items()]
    stored(Path("requests.db"), *rows, true("curated", 1.0))
    shutil.rmtree("artifacts/scrape")
    shutil.rmtree("artifacts/curate")  # the version's data have it
    erasure = erased(listing["address"])
    assert erasure.requests == ErasedRequests(STORE, 2, 1, "")
    with opened(STORE) as engine:
        assert answered(engine, NOW - timedelta(days=1), TASK)["key"].tolist() == ["other"]


@pytest.mark.usefixtures("copied")
def test_an_address_that_nobody_knows_is_an_error_and_changes_nothing() -> None:
    store = Path(load_section(Scrape).shop.store)
    with closing(PageStore(store)) as pages:
        pages.begin_round()
        pages.put(PAGE, 200, {}, b"a page")
    for address in ("/p/nobody", "", f"{PAGE}x"):
        with pytest.raises(PricewrightError, match=r"no listing has this address or id.*the column address"):
            erased(address)
    assert not FORGOTTEN.exists()
    with closing(PageStore(store)) as pages:
        assert pages.get(PAGE)


@pytest.mark.usefixtures("copied")
def test_a_page_that_only_the_store_of_a_crawl_has_is_blocked_and_erased_with_its_redirects() -> None:
    store = Path(load_section(Scrape).shop.store)
    old = "https://shop.example/old"
    with closing(PageStore(store)) as pages:
        pages.begin_round()
        pages.put(PAGE, 200, {}, b"a page")
        pages.put(old, 301, {"Location": PAGE}, b"")
    erasure = erased(f"{PAGE}?utm_source=mail")
    assert erasure.pages.own == [old, PAGE]
    assert forgotten_ids(FORGOTTEN) == {listing_id("shop", url) for url in (PAGE, old)}
    assert (erasure.holders, erasure.objects) == ([], [])
    with closing(PageStore(store)) as pages:
        assert list(pages.all_pages()) == []
    assert erased(PAGE).added == []


@pytest.mark.usefixtures("copied")
def test_a_version_whose_rows_are_kept_nowhere_is_named_as_one_of_which_nobody_can_tell() -> None:
    listing = row("train")
    for split in ("train", "preference"):
        object_of("artifacts/curate", f"{split}.parquet").unlink()
    shutil.rmtree("artifacts/curate")
    splits, learned, unknown = version_of(erased(listing["address"]))
    assert (splits, learned) == ([], False)
    assert "train.parquet of MD5" in unknown


@pytest.mark.usefixtures("copied")
def test_a_version_from_before_there_was_a_gate_split_is_told_by_its_other_rows() -> None:
    listing = row("train")
    object_of("artifacts/curate", "gate.parquet").unlink()
    shutil.rmtree("artifacts/curate")
    assert version_of(erased(listing["address"])) == (["train"], True, "")


@pytest.mark.usefixtures("copied")
def test_a_remote_that_has_an_object_is_named_and_swept_too(tmp_path: Path) -> None:
    run("dvc", "remote", "add", "-d", "-q", "backup", str(tmp_path / "backup"))
    run("dvc", "push", "-q")
    erasure = erased(row("train")["address"])
    assert {tuple(entry.places) for entry in erasure.objects} == {("DVC cache", "DVC remote")}
    assert steps(erasure)[-1][1] == ["dvc gc --workspace --cloud"]


def test_other_listings_of_the_product_are_named_with_their_place(tmp_path: Path) -> None:
    columns = ["id", "product", "split", "address"]
    rows = [["a", "1", "train", "/a"], ["b", "1", "train", "/b"], ["c", "2", "train", "/c"]]
    for split in ("train", "preference", "validation", "test"):  # as before there was a gate split
        own = [values for values in rows if values[2] == split]
        pd.DataFrame(own, columns=columns).to_parquet(tmp_path / f"{split}.parquet")
    rejects = [["d", "exact_duplicate", "same words and price as a (/a)", "/d"]]
    rejects += [["e", "near_duplicate", "like description and same price as b (/b)", "/e"]]
    rejects += [
        ["f", "exact_duplicate", "same words and price as c (/c)", "/f"],
        ["g", "no_price", "a", "/g"],
    ]
    table = pd.DataFrame(rejects, columns=["id", "rule", "reason", "address"])
    table.to_parquet(tmp_path / "rejects.parquet")
    others = {listed: same_product(Listed(listed, "shop", "", ""), tmp_path) for listed in "adcf"}
    a, b, c = (Kin(name, f"/{name}", "train") for name in "abc")
    d, e = Kin("d", "/d", "exact_duplicate"), Kin("e", "/e", "near_duplicate")
    assert others == {"a": [b, d, e], "d": [a, b, e], "c": [Kin("f", "/f", "exact_duplicate")], "f": [c]}


@pytest.mark.usefixtures("copied")
def test_a_listing_goes_out_of_the_gate_s_intakes_and_the_rest_of_its_product_stays_in() -> None:
    gate, path = pd.read_parquet("artifacts/curate/gate.parquet"), Path("artifacts/curate/gate.parquet")
    other, forgotten, later, before = gate["id"].iloc[:4]
    alike = gate["id"].isin([forgotten, later, before])
    gate.assign(product=gate["product"].where(~alike, "one product").astype(str)).to_parquet(path)
    pd.DataFrame(columns=["id", "rule", "reason", "address"]).to_parquet(path.with_stem("rejects"))
    intakes.write({1: [before, "a"], 2: [other, forgotten]})
    erasure = erased(forgotten)
    assert erasure.intake == 2
    assert intakes.read() == {1: [before, "a"], 2: [other, later]}, "and what was drawn earlier stays there"
    [committed] = steps(erasure)[0][1]
    assert committed.startswith("git add data/forgotten.txt intakes.csv && git commit ")
    written = intakes.FILE.read_bytes()
    assert erased(forgotten).intake is None
    assert intakes.FILE.read_bytes() == written


@pytest.mark.usefixtures("copied")
def test_an_intake_keeps_its_number_when_its_last_listing_is_forgotten() -> None:
    """By the address too, where no table has the listing any more."""
    address = "/p/long-gone"
    gone = listing_id(load_section(Scrape).source, address)
    intakes.write({1: [gone], 2: ["b"]})
    erasure = erased(address)
    assert (erasure.intake, erasure.added) == (1, [gone])
    assert intakes.read() == {1: [EMPTIED], 2: ["b"]}
    with pytest.raises(PricewrightError, match="no listing has this address or id"):
        erased(EMPTIED)


@pytest.mark.usefixtures("copied")
def test_an_intake_that_was_edited_stops_it_before_anything_is_changed() -> None:
    intakes.FILE.write_text("intake,id\n2,a\n")
    with pytest.raises(PricewrightError, match="which no intake has written"):
        erased(row("train")["address"])
    assert not FORGOTTEN.exists()


@pytest.fixture
def own_repository(tmp_path: Path, empty_store: Path) -> Iterator[Path]:
    """A repository whose version's files are its own, to remove."""
    with registered_repository(tmp_path, empty_store):
        yield tmp_path


def test_the_commands_that_are_named_leave_nothing_of_the_listing(own_repository: Path) -> None:
    listing = row("train")
    words = [listing["id"].encode(), listing["title"].encode(), listing["address"].encode()]
    with tracking.stage_run("evaluate", {}, "digest") as opened:
        Path("report.html").write_text(f"<p>{listing['title']}</p>")
        opened.artifact(Path("report.html"))
    with tracking.stage_run("other", {}, "digest") as kept:
        Path("report.html").write_text("<p>another thing</p>")
        kept.artifact(Path("report.html"))
    Path("report.html").unlink()
    erasure = erased(listing["address"])
    assert [(file.run, file.path) for file in erasure.run_files] == [(opened.id, "report.html")]
    for name in ("scrape/listings", "curate/train"):  # what `make run` does: the rejects are made without it
        path = Path("source", f"{name}.parquet")
        rows = pd.read_parquet(path)
        rows[rows["id"] != listing["id"]].to_parquet(path)
    run("dvc", "repro", "-q")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for _, commands in steps(erasure)[2:]:
        script = "\n".join([*commands]).replace("dvc gc", "dvc gc --force")
        subprocess.run(
            ["bash", "-ec", script], check=True, env=os.environ | {"PATH": path}, capture_output=True
        )
    places = [
        file for folder in (".dvc/cache", "mlruns") for file in Path(folder).rglob("*") if file.is_file()
    ]
    listed = erasure.listed
    assert [file for file in places if listed.is_in(file)] == []
    assert [file for file in places if any(word in file.read_bytes() for word in words)] == []
    assert registry.versions(NAME) == []
    assert MlflowClient().get_run(kept.id).info.lifecycle_stage == "active"
    again = erased(listing["address"])
    assert (again.added, again.holders, again.objects, again.run_files) == ([], [], [], [])
