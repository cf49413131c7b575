"""The lineage of a registered version, and whether each step of it can still be fetched unchanged.

It leads from the version over its runs, its commit, the code, data and params that dvc.lock names by hash to
the curated rows, raw listings, their pages and licences. It starts from the copy of dvc.lock among the
version's files, so neither the working tree nor the branch that is checked out matters. flows/lineage.py
shows it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml

from components.core import dvc, registry, tracking
from components.core.errors import PricewrightError
from components.core.schemas import SPLITS, Split
from components.provenance import pages
from components.provenance.object_store import ObjectStore
from components.reporting import model_card

State = Literal["holds", "altered", "gone", "not kept"]
LISTINGS = "artifacts/scrape/listings.parquet"


@dataclass(frozen=True)
class Step:
    """A run, file, folder or page that the version depends on."""

    kind: str
    """`version`, `runs`, `commit`, `code`, `params`, `data`, `rows`, `listings`, `pages` or `licences`."""
    name: str
    state: State
    """`not kept` is no fault: nobody promised to keep it."""
    where: str = ""
    """The place it was found in: MLflow, git, DVC's cache or remote, the disk."""
    note: str = ""


class Lineage:
    """The lineage of a version, from the evidence that was registered with it.

    Raises PricewrightError where that evidence is missing.
    """

    def __init__(self, version: registry.Version) -> None:
        self.name = str(version)
        self.tags = version.tags
        with registry.downloaded(version) as (folder, self.intact):
            files = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("evidence/*.*")}
        if missing := {"dvc.lock", "dvc.yaml", "params.yaml"} - set(files):
            raise PricewrightError(
                f"{self.name} has no {', '.join(sorted(missing))} with it, so there is nothing to walk back "
                "along: bring its files back from a backup of the artifact store, or `dvc repro -f register`"
            )
        self.lock = yaml.safe_load(files["dvc.lock"])["stages"]
        self.lock.pop("register", None)  # DVC writes it after the version: this one is of an earlier run
        self.graph = yaml.safe_load(files["dvc.yaml"])["stages"]
        self.params = yaml.safe_load(files["params.yaml"])
        self.objects = ObjectStore(Path.cwd())

    def steps(self) -> list[Step]:
        """Every step, from the version down to the licences."""
        digest = self.tags.get(registry.MODEL_DIGEST, "")[:12]
        version = Step("version", self.name, "holds" if self.intact else "altered", "MLflow", digest)
        return [version, *self._runs(), *self._commit(), *self._inputs(), *self._data(), *self._rows()]

    def table(self, path: str) -> pd.DataFrame:
        """A table of the graph as the version used it. Raises PricewrightError where it is kept nowhere."""
        return pd.read_parquet(BytesIO(self._file(path)))

    def names(self) -> list[str]:
        """The labels whose places are the targets of the curated rows; none where a number is predicted.
        Raises PricewrightError as `table` does.
        """
        return [str(name) for name in json.loads(self._file("artifacts/curate/names.json"))]

    def _file(self, path: str) -> bytes:
        for entry in self.lock.values():
            for out in entry.get("outs", []):
                if path == out["path"] or path.startswith(out["path"] + "/"):
                    member = path.removeprefix(out["path"]).lstrip("/")
                    return self.objects.read(out["path"], out["md5"], member)
        raise PricewrightError(f"{path} is no output of the graph that made {self.name}")

    def rows(self, *splits: Split) -> pd.DataFrame:
        """The curated rows of some splits, as `table` returns them."""
        return pd.concat([self.table(f"artifacts/curate/{split}.parquet") for split in splits])

    def _runs(self) -> list[Step]:
        digests = {name: dvc.digest(entry) for name, entry in self.lock.items()}
        steps = []
        for name, digest in {**digests, "register": self.tags.get("dvc.digest", "")}.items():
            run = tracking.run_with_digest(digest)
            if run is None:
                note = "this store has no run of it"
                steps.append(Step("runs", name, "not kept", "", note))
            else:
                state: State = "gone" if run[1] else "holds"
                steps.append(Step("runs", name, state, "MLflow", f"run {run[0]}" + " (deleted)" * run[1]))
        return steps

    def _commit(self) -> list[Step]:
        commit = self.tags.get("git.commit", "none")
        if commit == "none":
            return [Step("commit", "none", "not kept", "", "it was made outside a git repository")]
        dirty = self.tags.get("git.dirty") == "true"
        note = "with uncommitted changes; the code below is looked up by hash" if dirty else ""
        kept = self.objects.git.has(commit)
        return [Step("commit", commit[:12], "holds" if kept else "gone", "git" if kept else "", note)]

    def _inputs(self) -> list[Step]:
        """The inputs from outside the graph: code and sources by hash, then the params."""
        outputs = {out["path"] for entry in self.lock.values() for out in entry.get("outs", [])}
        inputs = {
            (dep["path"], dep["md5"])
            for entry in self.lock.values()
            for dep in entry.get("deps", [])
            if not any(dep["path"] == path or dep["path"].startswith(path + "/") for path in outputs)
        }
        steps = [self._kept("code", path, md5) for path, md5 in sorted(inputs)]
        values = [entry.get("params", {}).get("params.yaml", {}) for entry in self.lock.values()]
        changed = sorted(
            {key for locked in values for key in locked if locked[key] != _value(self.params, key)}
        )
        note = (
            f"{', '.join(changed)} is not what dvc.lock says" if changed else f"{len(self.params)} sections"
        )
        return [*steps, Step("params", "params.yaml", "altered" if changed else "holds", "MLflow", note)]

    def _data(self) -> list[Step]:
        unkept = {
            path
            for block in self.graph.values()
            for out in [*block.get("outs", []), *block.get("metrics", [])]
            if isinstance(out, dict)
            for path, options in out.items()
            if options.get("cache") is False
        }
        steps = []
        for entry in self.lock.values():
            for out in entry.get("outs", []):
                step = self._kept("data", out["path"], out["md5"])
                if step.state == "gone" and out["path"] in unkept:
                    step = Step("data", out["path"], "not kept", "", "cache: false in dvc.yaml")
                steps.append(step)
        return steps

    def _kept(self, kind: str, path: str, md5: str) -> Step:
        kept = self.objects.find(path, md5)
        return Step(kind, path, kept.state, kept.where, "; ".join(filter(None, [md5[:12], kept.note])))

    def _rows(self) -> list[Step]:
        """Curated rows, raw listings, pages and licences."""
        steps = []
        for split in SPLITS:
            try:
                rows = len(self.table(f"artifacts/curate/{split}.parquet"))
                steps.append(Step("rows", split, "holds", "", f"{rows} rows"))
            except PricewrightError as error:
                steps.append(Step("rows", split, "gone", "", str(error)))
        try:
            listings = self.table(LISTINGS)
        except PricewrightError as error:
            return [*steps, Step("listings", LISTINGS, "gone", "", str(error))]
        steps.append(Step("listings", LISTINGS, "holds", "", f"{len(listings)} raw listings"))
        return [*steps, self._pages(listings), _licences(listings)]

    def _pages(self, listings: pd.DataFrame) -> Step:
        source = self.params["scrape"]["source"]
        fetch = pages.page_fetcher(self.params["scrape"])
        if fetch is None:
            return Step("pages", source, "not kept", "", "their hashes alone are kept")
        states = Counter(
            _page_state(fetch(address), page_hash)
            for address, page_hash in zip(listings["address"], listings["page_hash"], strict=True)
        )
        unchanged, altered, gone = states["holds"], states["altered"], states["gone"]
        note = f"{unchanged} of {len(listings)} hold, {altered} altered, {gone} gone"
        state: State = "altered" if altered else "gone" if gone else "holds"
        return Step("pages", source, state, "fetched again", note)

    def row(self, item: str) -> tuple[dict[str, Any], dict[str, Any], bytes | None]:
        """A curated row, its raw listing, and the bytes of its page (None where the page is gone).

        Raises PricewrightError where no split has the row.
        """
        for split in SPLITS:
            rows = self.table(f"artifacts/curate/{split}.parquet")
            if (rows["id"] == item).any():
                listings = self.table(LISTINGS)
                listing = listings[listings["id"] == item].iloc[0].to_dict()
                fetch = pages.page_fetcher(self.params["scrape"])
                page = fetch(listing["address"]) if fetch else None
                return rows[rows["id"] == item].iloc[0].to_dict(), listing, page
        raise PricewrightError(
            f"no split of {self.name} has a row {item}: see the column id of artifacts/curate/*.parquet"
        )


def _value(params: dict[str, Any], key: str) -> Any:
    """The value of `section` or `section.key`, None where there is none."""
    value: Any = params
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _page_state(page: bytes | None, page_hash: str) -> State:
    return "gone" if page is None else "holds" if pages.is_unchanged(page, page_hash) else "altered"


def _licences(listings: pd.DataFrame) -> Step:
    """The terms of use that the sources state."""
    counts = model_card.terms(listings)
    note = ", ".join(f"{terms}: {count}" for terms, count in counts.items())
    return Step(
        "licences", "as stated", "not kept" if set(counts) == {model_card.UNSTATED} else "holds", "", note
    )
