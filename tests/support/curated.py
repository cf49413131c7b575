"""A generated catalogue, and its curation through files as the stage does it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd

from components.core.params.curate import Curate, Shares
from components.core.params.file import load_params
from components.core.params.task import Task
from components.core.schemas import SPLITS, Listing, Split
from components.curate import curate as curate_files
from components.curation.minhash import Map
from components.sources.extraction.money import amount, plain_number
from tests.support.project import ROOT

SHARES = Shares(train=0.4, preference=0.15, validation=0.15, gate=0.15, test=0.15)
TASK = load_params(ROOT / "params.yaml").task
LABEL_TASK = TASK.model_copy(update={"kind": "label", "label": TASK.label.model_copy(update={"rows_min": 3})})
SECTION = load_params(ROOT / "params.yaml").curate.model_copy(
    update={"text_max_characters": 120, "shares": SHARES}
)
NOUNS = ["lamp", "desk", "kettle", "tent", "drill", "radio", "scarf", "ladder", "mixer", "globe"]


def listing(number: int, **changes: str) -> dict[str, str]:
    rng = Random(number)
    materials = " ".join(rng.choices(NOUNS, k=12))
    return {
        "id": f"{number:016x}",
        "title": f"The {rng.choice(NOUNS)} number {number}",
        "description": f"Made of {materials} in our workshop",
        "brand": "Lumo",
        "category": "Things",
        "details": json.dumps({"Weight": f"{number} kg"}),
        "price": f"${10 + number}.00",
        "amount": "",
        "currency": "USD",
        "source": "files",
        "address": f"shop.jsonl:{number}",
        "page_hash": "",
        "found_in": "row",
    } | changes


def table(rows: list[dict[str, str]]) -> pd.DataFrame:
    """Listings as a source gives them: with the amount in their price."""
    read = [row | {"amount": plain_number(amount(row["price"]))} for row in rows]
    return pd.DataFrame(read, columns=Listing.columns())


@dataclass
class Curated:
    """The tables and the report of a curation."""

    splits: dict[Split, pd.DataFrame]
    rejects: pd.DataFrame
    report: dict[str, Any]
    names: list[str]


def curate(
    listings: pd.DataFrame,
    section: Curate,
    partition_rows: int = 1000,
    run: Map = map,
    gate_ids: frozenset[str] = frozenset(),
    task: Task = TASK,
) -> Curated:
    """Curate listings as the stage does, with files in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        source, scratch, out = (Path(folder) / name for name in ("listings.parquet", "scratch", "out"))
        scratch.mkdir()
        listings.astype("str").to_parquet(source, index=False)
        report = curate_files(source, out, section, task, scratch, partition_rows, run, gate_ids)
        names = json.loads((out / "names.json").read_text(encoding="utf-8"))
        read = {path.stem: pd.read_parquet(path) for path in out.glob("*.parquet")}
        return Curated({split: read[split] for split in SPLITS}, read["rejects"], report, names)


def assert_same(left: Curated, right: Curated) -> None:
    for split in SPLITS:
        pd.testing.assert_frame_equal(left.splits[split], right.splits[split])
    pd.testing.assert_frame_equal(left.rejects, right.rejects)
    assert (left.report, left.names) == (right.report, right.names)


def catalogue(seed: int, size: int) -> pd.DataFrame:
    """A small shop with every kind of fault, with re-listings and neighbours."""
    rng = Random(seed)
    rows = [listing(number) for number in range(size)]
    faults = [{"price": ""}, {"price": "call"}, {"price": "-4"}, {"price": "$5,000"}, {"price": "4 €"}, {}]
    for number in range(size, size + size // 2):
        like = rng.choice(rows[:size])
        same = {"description": like["description"], "price": like["price"], "details": like["details"]}
        rows.append(listing(number, **rng.choice([*faults, same, {"description": like["description"]}])))
    rng.shuffle(rows)
    return table(rows)
