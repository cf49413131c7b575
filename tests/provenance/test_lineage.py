"""Lineage in a real DVC, git and MLflow repository: whole, and with each link of it broken in turn."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient

from components.core import dvc, registry, tracking
from components.core.errors import PricewrightError
from components.core.schemas import Item, Law, Listing
from components.provenance.lineage import Lineage, Step
from tests.support.project import ROOT, environment_kept

NAME = "pricer"
LISTINGS = 40
MAKE = """
import shutil, sys, yaml
from pathlib import Path
{comment}
yaml.safe_load(Path("params.yaml").read_text())
shutil.copytree(Path("source", sys.argv[1]), Path("artifacts", sys.argv[1]))
Path("reports").mkdir(exist_ok=True)
Path("reports", sys.argv[1] + ".json").write_text(sys.argv[1])
Path("artifacts", sys.argv[1], "made.txt").write_text("not a copy")
Path("pages.html").write_text("made, and kept by nobody")
"""
STAGES: dict[str, Any] = {
    "scrape": {
        "cmd": "python make.py scrape",
        "params": ["scrape"],
        "deps": ["make.py", "source/scrape"],
        "outs": ["artifacts/scrape", {"pages.html": {"cache": False}}],
        "metrics": ["reports/scrape.json"],
    },
    "curate": {
        "cmd": "python make.py curate",
        "params": ["curate"],
        "deps": ["artifacts/scrape/listings.parquet", "make.py", "source/curate"],
        "outs": ["artifacts/curate"],
        "metrics": ["reports/curate.json"],
    },
}


def run(*command: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PATH": path})


def commit(message: str) -> None:
    run("git", "add", "--all")
    run("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", message)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Path]:
    """A repository in which two stages ran and version 1 was registered."""
    folder = tmp_path_factory.mktemp("repository")
    with environment_kept(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy(empty_store, "mlflow.db")
        raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        raw["scrape"]["demo_shop"]["listings"] = LISTINGS
        Path("params.yaml").write_text(yaml.safe_dump(raw))
        Path("dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
        Path("make.py").write_text(MAKE.format(comment=""))
        Path(".gitignore").write_text(
            "/mlflow.db\n/mlruns\n/artifacts\n/reports\n/pages.html\n.mlflow.lock\n"
        )
        _tables(raw["scrape"]["demo_shop"])
        Path("artifacts").mkdir()
        run("git", "init", "-q")
        run("dvc", "init", "-q")
        run("dvc", "repro", "-q")
        commit("the data")
        tracking.connect()
        for name, entry in yaml.safe_load(Path("dvc.lock").read_text())["stages"].items():
            with tracking.stage_run(name, {}, dvc.digest(entry)):
                pass
        _register()
        yield folder


def _tables(shop: dict[str, Any]) -> None:
    """Listings of the demo shop with the hashes of their pages, and the rows made of them."""
    import hashlib

    from components.sources import demo_shop
    from components.synthetic import shop_pages
    from components.synthetic.catalogue import catalogue

    products = catalogue(shop["seed"], shop["listings"], shop["noise"])
    pages = demo_shop.site(products, "http://127.0.0.1:1")
    listings = [
        dict.fromkeys(Listing.columns(), "")
        | {
            "id": product.sku,
            "title": product.title,
            "price": f"{product.price}",
            "source": "demo_shop",
            "address": shop_pages.address(product),
            "page_hash": hashlib.sha256(pages[shop_pages.address(product)]).hexdigest(),
        }
        for product in products
    ]
    for name in ("scrape", "curate"):
        Path("source", name).mkdir(parents=True)
    table = pd.DataFrame(listings).assign(rights="CC0")
    table.to_parquet("source/scrape/listings.parquet")
    pd.DataFrame(columns=Law.columns()).to_parquet("source/scrape/law.parquet")
    rows = (
        table[["id", "title", "address"]]
        .assign(text=table["title"], price=1.0)
        .reindex(columns=Item.columns())
    )
    for part, split in enumerate(("train", "preference", "validation", "test")):
        rows.iloc[part * 10 : part * 10 + 10].assign(split=split).to_parquet(f"source/curate/{split}.parquet")


def _register() -> str:
    served = Path("source/served")
    served.mkdir(exist_ok=True)
    Path(served, "weights").write_text("1")
    example = pd.DataFrame({"description": ["a"]})
    with tracking.stage_run("register", {}, "registered") as opened:
        return registry.register_version(
            opened.id,
            NAME,
            data_path=served,
            loader_module="components.serving.pyfunc",
            code_path=ROOT / "components" / "alignment",
            example=example,
            answer=pd.DataFrame({"price": [1.0]}),
            options={"point": "median"},
            requirements=["pandas"],
            evidence=[Path(name) for name in ("dvc.lock", "dvc.yaml", "params.yaml")],
            card="# A card",
            tags={"dvc.digest": "registered", **tracking.git_state()},
        )


@pytest.fixture
def copied(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the repository, to break; the files of the version are shared."""
    folder = tmp_path / "copied"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    tracking.connect()
    return folder


def state(*kinds: str) -> dict[str, str]:
    """Name to state of every step that does not hold, or of those of some kinds."""
    steps = Lineage(NAME, "1").steps()
    return {step.name: step.state for step in steps if step.kind in kinds or (not kinds and _faulty(step))}


def _faulty(step: Step) -> bool:
    return step.state in ("gone", "altered")


def object_of(path: str, member: str = "") -> Path:
    """The file in DVC's cache that holds an output, or a file of one that is a folder."""
    [md5] = [
        out["md5"]
        for entry in yaml.safe_load(Path("dvc.lock").read_text())["stages"].values()
        for out in entry["outs"]
        if out["path"] == path
    ]
    if member:
        md5 = dvc.md5(Path(path, member))
    found = Path(".dvc/cache/files/md5", md5[:2], md5[2:])
    found.chmod(0o644)
    return found


# --- whole -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("copied")
def test_a_version_is_walked_back_to_the_pages_and_the_licence() -> None:
    steps = Lineage(NAME, "1").steps()
    assert [step for step in steps if _faulty(step)] == []
    kinds = list(dict.fromkeys(step.kind for step in steps))
    assert kinds == [
        *("version", "runs", "commit", "code", "params"),
        *("data", "rows", "listings", "pages", "licences"),
    ]
    notes = {step.name: step.note for step in steps}
    assert notes["demo_shop"] == f"{LISTINGS} of {LISTINGS} hold, 0 altered, 0 gone"
    assert notes["as stated"] == f"CC0: {LISTINGS}"
    assert (notes["train"], notes["artifacts/scrape/listings.parquet"]) == ("10 rows", "40 raw listings")
    assert {step.name for step in steps if step.kind == "runs"} == {"scrape", "curate", "register"}
    assert {step.name for step in steps if step.kind == "code"} == {
        *("make.py", "source/scrape", "source/curate"),
    }


def test_the_working_tree_does_not_matter(copied: Path) -> None:
    for name in ("artifacts", "reports", "source"):
        shutil.rmtree(name)
    for name in ("dvc.lock", "dvc.yaml", "make.py", "pages.html"):
        Path(name).unlink()
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("seed", "sede"))
    assert state() == {}
    assert state("data")["pages.html"] == "not kept"


# --- broken ------------------------------------------------------------------------------------------


def _object_cut_short(_: Path) -> None:
    found = object_of("reports/curate.json")
    found.write_bytes(b"")


def _object_of_a_folder_altered(_: Path) -> None:
    object_of("artifacts/scrape", "law.parquet").write_bytes(b"other")


def _object_missing(_: Path) -> None:
    object_of("artifacts/scrape", "law.parquet").unlink()
    shutil.rmtree("artifacts/scrape")


def _cache_missing(_: Path) -> None:
    shutil.rmtree(".dvc/cache")
    shutil.rmtree("artifacts")


def _code_never_committed(_: Path) -> None:
    Path("make.py").unlink()
    _history_forgotten()


def _history_forgotten() -> None:
    """A history of one commit, without the file that was deleted; the earlier commits are really gone."""
    run("git", "checkout", "-q", "--orphan", "anew")
    commit("anew")
    branches = subprocess.run(["git", "branch", "--format=%(refname:short)"], capture_output=True, text=True)
    for branch in set(branches.stdout.split()) - {"anew"}:
        run("git", "branch", "-q", "-D", branch)
    run("git", "reflog", "expire", "--expire=now", "--all")
    run("git", "gc", "-q", "--prune=now")


def _run_deleted(_: Path) -> None:
    digest = dvc.digest(yaml.safe_load(Path("dvc.lock").read_text())["stages"]["scrape"])
    found = tracking.run_with_digest(digest)
    assert found is not None
    MlflowClient().delete_run(found[0])


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (_object_cut_short, {"reports/curate.json": "altered"}),
        (_object_of_a_folder_altered, {"artifacts/scrape": "altered"}),
        (_object_missing, {"artifacts/scrape": "gone"}),
        (
            _cache_missing,
            {
                **dict.fromkeys(("artifacts/scrape", "artifacts/curate"), "gone"),
                **dict.fromkeys(("train", "preference", "validation", "test"), "gone"),
                "artifacts/scrape/listings.parquet": "gone",
            },
        ),
        (_run_deleted, {"scrape": "gone"}),
    ],
)
def test_what_is_gone_or_altered_is_named(
    copied: Path, harm: Callable[[Path], None], found: dict[str, str]
) -> None:
    harm(copied)
    assert state() == found


def test_a_commit_and_code_that_are_gone_are_named(copied: Path) -> None:
    kept = registry.version_tags(NAME, "1")["git.commit"][:12]
    _code_never_committed(copied)
    assert state() == {kept: "gone", "make.py": "gone"}


def test_an_object_that_only_the_remote_still_has_is_fetched_and_hashed_there(
    copied: Path, tmp_path: Path
) -> None:
    run("dvc", "remote", "add", "-d", "-q", "backup", str(tmp_path / "backup"))
    run("dvc", "push", "-q")
    shutil.rmtree(".dvc/cache")
    shutil.rmtree("artifacts")
    assert state() == {}
    steps = {step.name: step for step in Lineage(NAME, "1").steps()}
    assert steps["artifacts/curate"].where == "DVC remote"
    [kept] = (tmp_path / "backup").rglob(f"*{dvc.md5(Path('reports/curate.json'))[2:]}")
    kept.chmod(0o644)
    kept.write_bytes(b"other")
    Path("reports/curate.json").unlink()
    assert state() == {"reports/curate.json": "altered"}


def test_code_that_changed_since_is_found_in_the_commit_that_has_it(copied: Path) -> None:
    Path("make.py").write_text(MAKE.format(comment="# faster"))
    commit("faster")
    assert state() == {}
    steps = {step.name: step for step in Lineage(NAME, "1").steps()}
    assert steps["make.py"].where == "git"


def test_a_page_that_is_made_otherwise_today_is_altered(copied: Path) -> None:
    """The same address, another price: as if the shop had changed its page since."""
    lineage = Lineage(NAME, "1")
    lineage.params["scrape"]["demo_shop"]["noise"] = 0.5
    [pages] = [step for step in lineage.steps() if step.kind == "pages"]
    assert pages.state == "altered"
    [params] = [step for step in lineage.steps() if step.kind == "params"]
    assert (params.state, params.note) == ("altered", "scrape is not what dvc.lock says")


def test_a_version_whose_files_were_changed_is_altered(made: Path, copied: Path) -> None:
    [weights] = made.glob("mlruns/**/artifacts/data/**/weights")
    weights.write_text("2")
    try:
        assert state() == {"pricer version 1": "altered"}
    finally:
        weights.write_text("1")


def test_a_version_without_its_evidence_or_that_there_is_not_is_refused(made: Path, copied: Path) -> None:
    [lock] = made.glob("mlruns/**/evidence/dvc.lock")
    kept = lock.read_text()
    lock.unlink()
    try:
        with pytest.raises(PricewrightError, match=r"version 1 has no dvc.lock with it, .* backup"):
            Lineage(NAME, "1")
    finally:
        lock.write_text(kept)
    with pytest.raises(PricewrightError, match="pricer has no version 7"):
        Lineage(NAME, "7")


# --- the command -------------------------------------------------------------------------------------


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.lineage", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_the_command_ends_with_1_where_something_is_gone_and_says_how_to_mend_it(copied: Path) -> None:
    _object_missing(copied)
    done = command("1")
    assert done.returncode == 1, done.stderr
    assert "1 of" in done.stdout
    assert "`dvc fetch`" in done.stdout
    assert "3 files and folders" in done.stdout


def test_a_row_shows_the_page_that_it_came_from(copied: Path) -> None:
    row = pd.read_parquet("source/curate/train.parquet").iloc[3]
    done = command("1", "--row", row["id"])
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    assert row["address"] in shown
    assert "The page, as it was scraped:" in shown
    assert "<html" in shown
    assert row["title"] in shown
    with pytest.raises(PricewrightError, match="no split of pricer version 1 has a row nobody"):
        Lineage(NAME, "1").row("nobody")
