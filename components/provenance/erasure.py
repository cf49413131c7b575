"""Takes a listing out of what is collected, and says where else it stands: `make forget` (flows/forget.py).

The list of what is blocked (sources/block_list.py) gets its id, the store of a crawl loses its pages, the
intakes of the gate lose its id, and the store of the service loses the requests that gave its text.
Versions that learned from it, DVC's objects and MLflow's files are named and not touched: what is removed
there is gone for good, and the champion may be among it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from components.core import artifacts, intakes, registry
from components.core.artifacts import RunFile
from components.core.errors import PricewrightError
from components.core.intakes import Intakes
from components.core.params.scrape import Scrape
from components.core.schemas import SPLITS, Split
from components.model.listing_text import listing_text
from components.provenance.lineage import LISTINGS, Lineage
from components.provenance.object_store import ObjectStore, StoredObject
from components.provenance.search import Listed
from components.provenance.stored_pages import StoredPages, pages_of
from components.provenance.stored_requests import ErasedRequests, erase_requests
from components.sources.block_list import FORGOTTEN, add_ids, forgotten_ids, listing_id
from components.sources.crawling.addresses import without_session
from components.sources.crawling.crawl import locked
from components.sources.crawling.page_store import PageStore

LEARNED: tuple[Split, ...] = ("train", "preference", "validation")
"""Splits that shape a version: it is fitted, aligned, chosen and calibrated by them."""
CURATED = Path("artifacts/curate")
BLOCK_LIST = FORGOTTEN
"""The file of the block list."""
SHOP = "shop"
"""The source whose pages are kept."""
EMPTIED = "forgotten"
"""The line of an intake of which no listing is left: it keeps its number, by which decisions name it."""


@dataclass(frozen=True)
class Holder:
    """A version whose data or files hold the listing."""

    version: registry.Version
    aliases: list[str]
    splits: list[str]
    """Of its data, those that held the listing."""
    files: list[str]
    """Of its files, those that hold it."""
    unknown: str
    """Why nobody can tell; empty where it is known."""

    @property
    def learned(self) -> bool:
        """Whether the version was shaped by the listing."""
        return bool(set(self.splits) & set(LEARNED))


class Kin(NamedTuple):
    """Another listing of the same product."""

    id: str
    address: str
    place: str
    """Where it stands: its split, or the rule that rejected it as a duplicate."""


class Erasure(NamedTuple):
    """What became of a listing that was to be forgotten, and where it still stands."""

    listed: Listed
    added: list[str]
    """Ids that the block list did not have before."""
    pages: StoredPages
    """Those in the store of the crawl; its own are removed."""
    intake: int | None
    """The intake of the gate that it is taken out of, where it was in one."""
    requests: ErasedRequests
    """Of the service."""
    same_product: list[Kin]
    """Other listings of the same product, which stay."""
    holders: list[Holder]
    objects: list[StoredObject]
    """Of DVC."""
    run_files: list[RunFile]
    """Of MLflow."""


def forget(address: str, model_name: str, section: Scrape, requests: str | None) -> Erasure:
    """Put the listing of an address or id on the block list, take its pages out of the crawl's store, its id
    out of the gate's intakes, and the requests of its text out of the service's store at `requests`.

    To be called inside `registry.connected()`. What was forgotten before may be again: nothing changes, and
    what still holds it is named. Raises PricewrightError, before anything is changed, where nobody knows the
    address or a crawl is at work.
    """
    lineages = [_lineage(version) for version in registry.versions(model_name)]
    store, of_gate = Path(section.shop.store), intakes.read()
    listed = _known(address, lineages, store, section.source, intakes.ids(of_gate))
    if listed is None:
        raise PricewrightError(
            f"{address}: no listing has this address or id: not in {LISTINGS}, not in the store of the "
            f"crawl, not in the data of a version, not in {intakes.FILE}. Give it as the column address or "
            "id of that table has it"
        )
    holding = ObjectStore(Path.cwd()).holding(listed.is_in)
    held = _holders(model_name, lineages, listed)
    runs = list(artifacts.run_files(listed.is_in))
    kin = same_product(listed, CURATED)
    if listed.source == SHOP and store.is_file():
        with locked(store), closing(PageStore(store)) as pages:
            stored = pages_of(pages, listed.address)
            ids = {listed.id, *(listing_id(SHOP, url) for url in stored.own)}
            added = add_ids(BLOCK_LIST, ids)
            pages.erase(stored.own)
    else:
        stored, ids = StoredPages([], []), {listed.id}
        added = add_ids(BLOCK_LIST, ids)
    intake = _out_of_intakes(ids, of_gate, kin)
    urls = [key for key in listed.keys if key == listed.id or "://" in key]
    erased = erase_requests(requests, texts_of(listed, lineages), urls)
    return Erasure(listed, added, stored, intake, erased, kin, held, holding, runs)


class _Origin(NamedTuple):
    """A version and its lineage, or why it has none."""

    version: registry.Version
    lineage: Lineage | None
    unknown: str


def _lineage(version: registry.Version) -> _Origin:
    try:
        return _Origin(version, Lineage(version), "")
    except PricewrightError as error:
        return _Origin(version, None, str(error))


# --- which listing -----------------------------------------------------------------------------------


def _known(
    address: str, origins: list[_Origin], store: Path, source: str, of_gate: frozenset[str]
) -> Listed | None:
    """The listing of an address or id as a table has it, else as the store of a crawl, the list or an intake
    of the gate has it.
    """
    names = {address, without_session(address)}
    for rows in _tables(origins):
        matching = rows[rows["address"].isin(names) | rows["id"].isin(names)]
        if len(matching):
            first = matching.iloc[0]
            return Listed(*(str(first[name]) for name in ("id", "source", "address", "title")))
    if store.is_file():
        with closing(PageStore(store)) as pages:
            for url in names:
                if pages.get(url):
                    return Listed(listing_id(SHOP, url), SHOP, url, "")
    known = (forgotten_ids(BLOCK_LIST) | of_gate) - {EMPTIED}
    if address in known:
        return Listed(address, source, "", "")
    ids = {listing_id(named, name): (named, name) for named in Scrape.model_fields for name in names}
    return next((Listed(listing, *ids[listing], "") for listing in ids.keys() & known), None)


def _tables(origins: list[_Origin]) -> Iterator[pd.DataFrame]:
    """The raw listings and rejects as they are on the disk, then the raw listings of versions."""
    for path in (Path(LISTINGS), Path(LISTINGS).with_name("rejects.parquet")):
        if path.is_file():
            yield pd.read_parquet(path, columns=["id", "source", "address", "title"])
    for origin in origins:
        if origin.lineage:
            with suppress(PricewrightError):  # `_holders` says so
                yield origin.lineage.table(LISTINGS)


def texts_of(listed: Listed, origins: list[_Origin]) -> set[str]:
    """All texts of a listing, raw and curated, as the tables on the disk and of versions have them."""
    texts = set[str]()
    for rows in _rows(listed, origins):
        for row in rows.to_dict("records"):
            if "text" in row:
                texts.add(row["text"])
            else:
                parts = row["title"], row["brand"], json.loads(row["details"] or "{}"), row["description"]
                texts |= {row["title"], row["description"], listing_text(*parts)}
    return {text for text in texts if text.strip()}


def _rows(listed: Listed, origins: list[_Origin]) -> Iterator[pd.DataFrame]:
    """The rows of a listing, raw and curated, on the disk and in the data of versions."""
    for path in (LISTINGS, *(f"{CURATED}/{split}.parquet" for split in SPLITS)):
        if Path(path).is_file():
            yield pd.read_parquet(path, filters=[("id", "==", listed.id)])
        for origin in origins:
            if origin.lineage:
                with suppress(PricewrightError):  # `_holders` says so
                    table = origin.lineage.table(path)
                    yield table[table["id"] == listed.id]


def same_product(listed: Listed, folder: Path) -> list[Kin]:
    """Other listings of the same product, by the tables of `curate` in `folder`.

    They are the rows of its cluster of near duplicates, and the listings that were rejected as duplicates of
    one of these or of it; none where the tables are not there.
    """
    paths = [path for split in SPLITS if (path := folder / f"{split}.parquet").is_file()]
    rejects = folder / "rejects.parquet"
    if not paths or not rejects.is_file():
        return []
    rows = pd.concat([pd.read_parquet(path) for path in paths])
    rejected = pd.read_parquet(rejects)
    folded = rejected[rejected["rule"].isin(["exact_duplicate", "near_duplicate"])]
    earlier = {word for reason in folded.loc[folded["id"] == listed.id, "reason"] for word in reason.split()}
    products = set(rows.loc[rows["id"].isin({listed.id, *earlier}), "product"])
    kin = rows[rows["product"].isin(products) & (rows["id"] != listed.id)]
    ids = {listed.id, *kin["id"]}
    copies = folded[folded["reason"].map(lambda reason: bool(ids & set(reason.split()))).astype(bool)]
    copies = copies[copies["id"] != listed.id]
    others = [kin[["id", "address", "split"]], copies[["id", "address", "rule"]]]
    return [Kin(*row) for table in others for row in table.itertuples(index=False)]


def _out_of_intakes(gone: set[str], of_gate: Intakes, kin: list[Kin]) -> int | None:
    """Take the ids of a listing out of intakes.csv; the intake that had one.

    Decisions keep what they have spent, by the samples of ids in their records. So that the product stays the
    gate's, its other listings, which were kept for it by the one that goes, take its place.
    """
    number = next((number for number, ids in of_gate.items() if not gone.isdisjoint(ids)), None)
    if number is not None:
        others = {other.id for other in kin} - intakes.ids(of_gate) - forgotten_ids(BLOCK_LIST)
        left = {intake: [id_ for id_ in ids if id_ not in gone] for intake, ids in of_gate.items()}
        left[number] += sorted(others)
        intakes.write({intake: ids or [EMPTIED] for intake, ids in left.items()})
    return number


# --- where it still stands ---------------------------------------------------------------------------


def _holders(model_name: str, origins: list[_Origin], listed: Listed) -> list[Holder]:
    """The versions whose data or files hold the listing, or of which nobody can tell."""
    aliases = registry.aliases(model_name)
    holders = []
    for origin in origins:
        version = origin.version
        named = sorted(alias for alias, number in aliases.items() if number == version.number)
        splits, unknown = _splits_with(listed, origin)
        try:
            files = artifacts.version_files(version, listed.is_in)
        except PricewrightError as error:
            files, unknown = [], unknown or str(error)
        if splits or files or unknown:
            holders.append(Holder(version, named, splits, files, unknown))
    return holders


def _splits_with(listed: Listed, origin: _Origin) -> tuple[list[str], str]:
    """(splits of a version's data that hold the listing, why nobody can tell)."""
    if origin.lineage is None:
        return [], origin.unknown
    splits: list[str] = []
    unread: dict[str, str] = {}
    for split in SPLITS:
        try:
            if (origin.lineage.table(f"{CURATED}/{split}.parquet")["id"] == listed.id).any():
                splits.append(split)
        except PricewrightError as error:
            unread[split] = str(error)
    if set(unread) == {"gate"}:  # a version from before there was this split
        return splits, ""
    return splits, next(iter(unread.values()), "")
