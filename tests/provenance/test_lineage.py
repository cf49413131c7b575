"""Lineage in a real DVC, git and MLflow repository: whole, and with each link of it broken in turn."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient

from components.core import dvc, registry, tracking
from components.core.errors import PricewrightError
from components.core.schemas import SPLITS
from components.provenance.lineage import Lineage, Step
from tests.support.registered_repository import (
    LISTINGS,
    MAKE,
    NAME,
    commit,
    object_of,
    run,
)


def states(*kinds: str) -> dict[str, str]:
    """Name to state of every step that does not hold, or of those of some kinds."""
    return {
        step.name: step.state
        for step in lineage().steps()
        if step.kind in kinds or (not kinds and _faulty(step))
    }


def lineage(version: str = "1") -> Lineage:
    return Lineage(registry.open_version(NAME, version))


def _faulty(step: Step) -> bool:
    return step.state in ("gone", "altered")


# --- whole -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("copied")
def test_a_version_is_walked_back_to_the_pages_and_the_licence() -> None:
    steps = lineage().steps()
    assert [step for step in steps if _faulty(step)] == []
    kinds = list(dict.fromkeys(step.kind for step in steps))
    assert kinds == [
        *("version", "runs", "commit", "code", "params"),
        *("data", "rows", "listings", "pages", "licences"),
    ]
    notes = {step.name: step.note for step in steps}
    assert notes["demo_shop"] == f"{LISTINGS} of {LISTINGS} hold, 0 altered, 0 gone"
    assert notes["as stated"] == f"CC0: {LISTINGS}"
    assert (notes["train"], notes["artifacts/scrape/listings.parquet"]) == ("8 rows", "40 raw listings")
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
    assert states() == {}
    assert states("data")["pages.html"] == "not kept"


@pytest.mark.usefixtures("copied")
def test_a_row_that_no_split_has_is_refused() -> None:
    with pytest.raises(PricewrightError, match="no split of pricer version 1 has a row nobody"):
        lineage().row("nobody")


# --- broken ------------------------------------------------------------------------------------------


def _object_cut_short(_: Path) -> None:
    object_of("reports/curate.json").write_bytes(b"")


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
    _history_rewritten()


def _history_rewritten() -> None:
    """Leave one commit, without the deleted file; the earlier commits are pruned."""
    run("git", "checkout", "-q", "--orphan", "anew")
    commit("anew")
    branches = subprocess.run(["git", "branch", "--format=%(refname:short)"], capture_output=True, text=True)
    for branch in set(branches.stdout.split()) - {"anew"}:
        run("git", "branch", "-q", "-D", branch)
    run("git", "reflog", "expire", "--expire=now", "--all")
    run("git", "gc", "-q", "--prune=now")


def _run_deleted(_: Path) -> None:
    digest = dvc.digest(yaml.safe_load(Path("dvc.lock").read_text())["stages"]["scrape"])
    run = tracking.run_with_digest(digest)
    assert run is not None
    MlflowClient().delete_run(run[0])


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (_object_cut_short, {"reports/curate.json": "altered"}),
        (_object_of_a_folder_altered, {"artifacts/scrape": "altered"}),
        (_object_missing, {"artifacts/scrape": "gone"}),
        (
            _cache_missing,
            {
                **dict.fromkeys(("artifacts/scrape", "artifacts/curate"), "gone"),
                **dict.fromkeys(SPLITS, "gone"),
                "artifacts/scrape/listings.parquet": "gone",
            },
        ),
        (_run_deleted, {"scrape": "gone"}),
    ],
)
def test_what_is_gone_or_altered_is_named(
    copied: Path, harm: Callable[[Path], None], expected: dict[str, str]
) -> None:
    harm(copied)
    assert states() == expected


def test_a_commit_and_code_that_are_gone_are_named(copied: Path) -> None:
    commit_id = registry.open_version(NAME, "1").tags["git.commit"][:12]
    _code_never_committed(copied)
    assert states() == {commit_id: "gone", "make.py": "gone"}


def test_an_object_that_only_the_remote_still_has_is_fetched_and_hashed_there(
    copied: Path, tmp_path: Path
) -> None:
    run("dvc", "remote", "add", "-d", "-q", "backup", str(tmp_path / "backup"))
    run("dvc", "push", "-q")
    shutil.rmtree(".dvc/cache")
    shutil.rmtree("artifacts")
    assert states() == {}
    steps = {step.name: step for step in lineage().steps()}
    assert steps["artifacts/curate"].where == "DVC remote"
    [stored] = (tmp_path / "backup").rglob(f"*{dvc.md5(Path('reports/curate.json'))[2:]}")
    stored.chmod(0o644)
    stored.write_bytes(b"other")
    Path("reports/curate.json").unlink()
    assert states() == {"reports/curate.json": "altered"}


def test_code_that_changed_since_is_found_in_the_commit_that_has_it(copied: Path) -> None:
    Path("make.py").write_text(MAKE.format(comment="# faster"))
    commit("faster")
    assert states() == {}
    steps = {step.name: step for step in lineage().steps()}
    assert steps["make.py"].where == "git"


def test_a_page_that_is_generated_differently_today_is_altered(copied: Path) -> None:
    """The same address, another price: as if the shop had changed its page since."""
    altered = lineage()
    altered.params["scrape"]["demo_shop"]["noise"] = 0.5
    [pages] = [step for step in altered.steps() if step.kind == "pages"]
    assert pages.state == "altered"
    [params] = [step for step in altered.steps() if step.kind == "params"]
    assert (params.state, params.note) == ("altered", "scrape is not what dvc.lock says")


def test_a_version_whose_files_were_changed_is_altered(registered: Path, copied: Path) -> None:
    [weights] = registered.glob("mlruns/**/artifacts/data/**/weights")
    weights.write_text("2")
    try:
        assert states() == {"pricer version 1": "altered"}
    finally:
        weights.write_text("1")


def test_a_version_that_is_missing_or_without_its_evidence_is_refused(registered: Path, copied: Path) -> None:
    [lock] = registered.glob("mlruns/**/evidence/dvc.lock")
    text = lock.read_text()
    lock.unlink()
    try:
        with pytest.raises(PricewrightError, match=r"version 1 has no dvc.lock with it, .* backup"):
            lineage()
    finally:
        lock.write_text(text)
    with pytest.raises(PricewrightError, match="pricer has no version 7"):
        lineage("7")
