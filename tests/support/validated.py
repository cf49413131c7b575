"""Small clean inputs of the stage `validate`, and ways to plant a fault in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.core.params.curate import Curate, Shares
from components.core.params.file import load_params
from components.core.params.task import Task
from components.core.schemas import SPLITS, Item, Listing, Reject, Split
from components.quality import drift
from components.quality.expectations import suites
from components.quality.leakage import measure_leakage
from components.validate import Check, Tables, items_of, require_critical, tables_of, validate
from tests.support.project import ROOT

PARAMS = load_params(ROOT / "params.yaml")
SECTION = PARAMS.validate.model_copy(update={"rows_min": 3, "category_share_max": 0.7})
CURATE, TASK = PARAMS.curate, PARAMS.task
LABEL_TASK = TASK.model_copy(
    update={
        "kind": "label",
        "label": TASK.label.model_copy(update={"names": ["Desks", "Lamps"], "rows_min": 3}),
    }
)
CURATE_EVENLY = CURATE.model_copy(
    update={"shares": Shares(train=0.2, preference=0.2, validation=0.2, gate=0.2, test=0.2)}
)
RULES = ["no_price", "near_duplicate", "no_label"]


@dataclass
class Inputs:
    """What the stage reads: 36 listings, six of them rejected, 30 in five splits and two categories."""

    listings: pd.DataFrame = field(default_factory=lambda: clean_listings())
    splits: dict[Split, pd.DataFrame] = field(default_factory=lambda: clean_splits())
    rejects: pd.DataFrame = field(default_factory=lambda: clean_rejects())
    curate: Curate = CURATE_EVENLY
    gate_ids: frozenset[str] = frozenset()
    profile: dict | None = field(default_factory=lambda: drift.profile(items_of(clean_splits())))
    task: Task = TASK

    def tables(self) -> Tables:
        leakage = measure_leakage(self.splits, [], 0.8, 0.5)
        return tables_of(
            self.listings,
            self.splits,
            self.rejects,
            leakage,
            self.profile,
            self.curate,
            self.task,
            self.gate_ids,
        )

    def checks(self, folder: Path, *only: str) -> list[Check]:
        """The checks of all tables, or only of some."""
        tables = self.tables()
        expected = suites(self.splits, RULES, SECTION, self.task)
        return validate({name: tables[name] for name in only or tables}, expected, folder / "docs")


def labelled() -> Inputs:
    """The same where their category is what is predicted."""
    names = LABEL_TASK.label.names
    splits = {
        split: rows.assign(target=rows["category"].map(names.index).astype(float))
        for split, rows in clean_splits().items()
    }
    profile = drift.profile(drift.spelled(items_of(splits), LABEL_TASK))
    return Inputs(splits=splits, profile=profile, task=LABEL_TASK)


def clean_splits() -> dict[Split, pd.DataFrame]:
    return {
        split: pd.DataFrame([item(split, number) for number in range(6)], columns=Item.columns())
        for split in SPLITS
    }


def item(split: Split, number: int) -> dict[str, object]:
    words = " ".join(f"word{SPLITS.index(split)}{number}{place}" for place in range(9))
    return {
        "id": f"{split}{number}",
        "text": f"The lamp number {number} {words}",
        "title": f"Lamp {number}",
        "brand": "Lumo",
        "category": "Lamps" if number % 2 else "Desks",
        "details": "{}",
        "target": 10.0 + number,
        "product": f"{split}{number}",
        "split": split,
        "source": "files",
        "address": f"shop:{number}",
    }


def clean_listings() -> pd.DataFrame:
    rows = [listing(number) for number in range(36)]
    return pd.DataFrame(rows, columns=Listing.columns())


def listing(number: int) -> dict[str, str]:
    values = {
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
        "page_hash": hashlib.sha256(str(number).encode()).hexdigest(),
        "found_in": "row",
    }
    return dict.fromkeys(Listing.columns(), "") | values


def clean_rejects() -> pd.DataFrame:
    row = {
        "id": "r",
        "title": "Lamp",
        "target": "",
        "rule": "no_price",
        "reason": "the source gives no price",
    }
    return pd.DataFrame([row | {"source": "files", "address": "shop:9"}] * 6, columns=Reject.columns())


Fault = Callable[[Inputs], None]


def put(column: str, value: object) -> Fault:
    """A value in one row of the test split."""

    def plant(inputs: Inputs) -> None:
        rows = inputs.splits["test"]
        rows = rows if isinstance(value, float) else rows.astype({column: object})
        rows.loc[0, column] = value
        inputs.splits["test"] = rows

    return plant


def failed(checks: list[Check]) -> set[tuple[str, str]]:
    """Table and name of each check that did not pass."""
    return {(check.table, check.name) for check in checks if not check.passed}


def stopped_by(inputs: Inputs, planted: tuple[str, str, Fault], folder: Path) -> None:
    """A fault on these inputs fails its check and stops the stage, which names both."""
    table, name, plant = planted
    plant(inputs)
    checks = inputs.checks(folder, table)
    assert (table, name) in failed(checks)
    with pytest.raises(PricewrightError, match=f"{name} fails for {table}"):
        require_critical(checks, folder)


def warned_of(inputs: Inputs, planted: tuple[str, str, Fault], folder: Path) -> list[Check]:
    """The checks of a fault's table on these inputs: it fails its own alone, and stops nothing."""
    table, name, plant = planted
    plant(inputs)
    checks = inputs.checks(folder, table)
    assert failed(checks) == {(table, name)}
    require_critical(checks, folder)
    return checks
