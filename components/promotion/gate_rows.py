"""The rows that a decision is made by: those of the split `gate`, or of its last intake, once there is one.

Both versions have to be strangers to them: what one was made with, its products included, is left out or
refused.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from components.core import dvc, intakes, registry, stage
from components.core.errors import PricewrightError
from components.core.registry import CHALLENGER, CHAMPION, Version
from components.core.schemas import Split
from components.promotion.spending import FreshRowsNeeded
from components.provenance.lineage import Lineage

GATE = Path("artifacts/curate/gate.parquet")
ROWS = "gate_sha256"
"""Tag of a version: the hash of the gate rows that it was evaluated on; register.py sets it."""
MADE_WITH: tuple[Split, ...] = ("train", "preference", "validation")


class GateRows(NamedTuple):
    """The rows of one decision."""

    items: pd.DataFrame
    """Columns of `Item`."""
    sha256: str
    """By which they are known: the decisions on them share an error rate."""
    intake: int | None
    """Its number, where they are an intake of the gate."""
    left_out: int
    """Rows of the gate, or of the intake, that one of the two has seen."""


def compared_rows(challenger: Version, champion: Version | None, unseen: bool) -> GateRows:
    """The rows by which a challenger is compared with the champion, where there is one.

    Without an intake both have to be registered with the gate rows that are here; with `unseen` a champion
    that was not is compared on those that it was not made with. Of an intake that always holds for both.
    Raises FreshRowsNeeded where nothing is left of the intake, PricewrightError where the rows are missing or
    were edited, or a version was registered with others.
    """
    items, rows_hash, known = stage.read(GATE), registry.sha256(GATE), intakes.read()
    if known:
        return _of_intake(items, rows_hash, max(known), known[max(known)], challenger, champion)
    _require_same_rows(challenger, rows_hash)
    left = items if champion is None else _shared_rows(champion, items, rows_hash, unseen)
    return GateRows(left, rows_hash, None, len(items) - len(left))


def without(items: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """`items` without the products of which a row is in `known`, by its id or its text: a product is left
    out whole, since its other rows tell the same. The names of products are those of their own curation.
    """
    shared = items["id"].isin(known["id"]) | items["text"].isin(known["text"])
    return items[~items["product"].isin(items.loc[shared, "product"])].reset_index(drop=True)


def _of_intake(
    items: pd.DataFrame,
    rows_hash: str,
    number: int,
    ids: list[str],
    challenger: Version,
    champion: Version | None,
) -> GateRows:
    """The rows of an intake that neither version was made with."""
    dvc.intact(GATE)
    kept = int(items["id"].isin(ids).sum())
    if not kept:
        raise PricewrightError(
            f"{GATE} has no listing of intake {number} ({intakes.FILE}), by which the gate decides: "
            "`make fresh-test` brings it up to date"
        )
    left = items
    for version in (challenger, champion):
        if version is not None and _registered_with(version) != rows_hash:
            left = without(left, Lineage(version).rows(*MADE_WITH))
    left = left[left["id"].isin(ids)].reset_index(drop=True)
    if left.empty:
        raise FreshRowsNeeded(
            f"fresh rows needed: {challenger} or the {CHAMPION} was made with every row of intake {number}. "
            "New listings give new ones: `make fresh-test` draws them"
        )
    digest = hashlib.sha256("\n".join(left["id"]).encode()).hexdigest()
    return GateRows(left, digest, number, kept - len(left))


def _registered_with(version: Version) -> str:
    """The hash of the gate rows of a version. Raises PricewrightError where it was not evaluated."""
    if registered := version.tags.get(ROWS):
        return registered
    raise PricewrightError(
        f"{version} was registered without an evaluation (no {ROWS}): "
        "register it anew with `dvc repro -f register`"
    )


def _require_same_rows(version: Version, rows_hash: str) -> None:
    """Raises PricewrightError where a challenger was not registered with the gate rows that are here."""
    if (registered := _registered_with(version)) != rows_hash:
        raise PricewrightError(
            f"{version} was registered with other gate rows than {GATE} holds (SHA-256 "
            f"{registered[:12]}, here {rows_hash[:12]}): `make run` registers one for these, `make "
            "fresh-test` draws rows that it has not seen, or bring its own back with `git checkout` of its "
            "commit and `dvc checkout`"
        )


def _shared_rows(champion: Version, items: pd.DataFrame, rows_hash: str, unseen: bool) -> pd.DataFrame:
    """The gate rows on which a champion can be compared as fairly as a challenger that was made for them."""
    if champion.tags.get(ROWS) == rows_hash:
        return items
    if not unseen:
        raise PricewrightError(
            f"the {CHAMPION}, {champion}, was scored on other gate rows than {GATE} "
            "holds, and may have been trained on some of these: `make promote UNSEEN=1` compares on the rows "
            f"that it was not made with. The {CHAMPION} stays"
        )
    left = without(items, Lineage(champion).rows(*MADE_WITH))
    if left.empty:
        raise PricewrightError(
            f"{champion} was made with every row of {GATE}: scrape new listings, or "
            f"train the {CHALLENGER} on its rows. The {CHAMPION} stays"
        )
    return left
