"""A real DVC, git and MLflow repository in which two stages ran and a version was registered."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from components.core import dvc, intakes, registry, tracking
from components.core.schemas import SPLITS, Item, Law, Listing
from components.sources.block_list import listing_id
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
Path("artifacts", sys.argv[1], "extra.txt").write_text("not a copy")
Path("pages.html").write_text("written, and kept by nobody")
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


@contextmanager
def registered_repository(folder: Path, empty_store: Path, store: str = "") -> Iterator[None]:
    """Make the repository in `folder`, with a version of the model NAME, and work in it meanwhile.

    Its runs and its registry are in `folder`, or at the address `store`.
    """
    with environment_kept(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        if store:
            patch.setenv("MLFLOW_TRACKING_URI", store)
        else:
            shutil.copy(empty_store, "mlflow.db")
        raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        raw["scrape"]["demo_shop"]["listings"] = LISTINGS
        Path("params.yaml").write_text(yaml.safe_dump(raw))
        Path("dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
        Path("make.py").write_text(MAKE.format(comment=""))
        intakes.write({})
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
        yield


def _tables(shop: dict[str, Any]) -> None:
    """Listings of the demo shop with the hashes of their pages, and the rows made of them."""
    from components.sources import demo_shop
    from components.synthetic import shop_pages
    from components.synthetic.catalogue import catalogue

    products = catalogue(shop["seed"], shop["listings"], shop["noise"])
    pages = demo_shop.site(products, "http://127.0.0.1:1")
    listings = [
        dict.fromkeys(Listing.columns(), "")
        | {
            "id": listing_id("demo_shop", shop_pages.address(product)),
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
        .assign(text=table["title"], target=1.0)
        .reindex(columns=Item.columns())
    )
    for part, split in enumerate(SPLITS):
        rows.iloc[part * 8 : part * 8 + 8].assign(split=split).to_parquet(f"source/curate/{split}.parquet")


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
            answer=pd.DataFrame({"value": [1.0]}),
            options={"point": "median"},
            requirements=["pandas"],
            evidence=[Path(name) for name in ("dvc.lock", "dvc.yaml", "params.yaml")],
            card="# A card",
            tags={"dvc.digest": "registered", **tracking.git_state()},
        )


def object_of(output: str, member: str = "") -> Path:
    """The file in DVC's cache that holds an output, or a file of one that is a folder."""
    [md5] = [
        out["md5"]
        for entry in yaml.safe_load(Path("dvc.lock").read_text())["stages"].values()
        for out in entry["outs"]
        if out["path"] == output
    ]
    if member:
        md5 = dvc.md5(Path(output, member))
    path = Path(".dvc/cache/files/md5", md5[:2], md5[2:])
    path.chmod(0o644)
    return path


def copy_of(repository: Path, folder: Path) -> Path:
    """A copy of the repository, to break; the copies share the files of the version."""
    shutil.copytree(repository, folder)
    os.chdir(folder)
    tracking.connect()
    return folder


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Path]:
    """A repository with a registered version."""
    folder = tmp_path_factory.mktemp("repository")
    with registered_repository(folder, empty_store):
        yield folder


@pytest.fixture
def copied(registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to break."""
    monkeypatch.chdir(tmp_path)  # and back
    return copy_of(registered, tmp_path / "copied")
