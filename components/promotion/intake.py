"""Draws the next intake of the gate: curated listings that no version and no decision has seen.

Reads the splits in artifacts/curate/, the rows that the champion and the challenger were made with and those
of all decisions; writes intakes.csv. From then on `curate` keeps these listings for the gate, and the gate
decides by them: their error rate is whole.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from components.core import intakes, registry, stage
from components.core.errors import PricewrightError
from components.core.registry import CHALLENGER, CHAMPION, MissingVersionError, Version
from components.core.schemas import SPLITS
from components.promotion import aliases
from components.promotion.decision_log import Record
from components.promotion.gate_rows import GATE, ROWS, without
from components.promotion.spending import FreshRowsNeeded
from components.provenance.lineage import Lineage

SHOWN = tuple(split for split in SPLITS if split != "gate")
"""Splits that a version was made with, or of which people have seen figures."""


class Intake(NamedTuple):
    """What was drawn."""

    number: int
    rows: int
    products: int


def draw(model_name: str, rows_min: int) -> Intake:
    """Add to intakes.csv every curated listing whose product neither the champion nor the challenger has seen
    in another split than the gate's, and no decision by its rows.

    An intake that no decision was made by yet is extended; otherwise a new one begins. Raises FreshRowsNeeded
    where fewer than `rows_min` products would be in it, and PricewrightError where there is neither champion
    nor challenger, or rows of one are kept nowhere; nothing is written then.
    """
    versions = opponents(model_name)
    decided = [record for record in aliases.log(model_name) if ROWS in record]
    earlier = intakes.read()
    opened = earlier.keys() - {record.get("intake") for record in decided}
    number = max(earlier, default=0) + (max(earlier, default=0) not in opened)
    items = pd.concat([stage.read(GATE.with_stem(split)) for split in SPLITS], ignore_index=True)
    left = items
    for seen in _seen(model_name, versions, decided):
        left = without(left, seen)
    spent = [id_ for place, ids in earlier.items() if place != number for id_ in ids]
    left = left[~left["product"].isin(items.loc[items["id"].isin(spent), "product"])]
    if (products := left["product"].nunique()) < rows_min:
        raise FreshRowsNeeded(
            f"fresh rows needed: {products} products ({len(left)} of {len(items)} curated listings) are new "
            f"to {' and '.join(map(str, versions))} and to every decision so far, and the gate takes at "
            f"least {rows_min} (promote.rows_min). Take in more listings, by a longer file or another crawl "
            "(`dvc repro -f scrape`), then `make fresh-test` again. Nothing was drawn"
        )
    new = sorted(set(left["id"]) - set(earlier.get(number, ())))
    intakes.write(earlier | {number: [*earlier.get(number, ()), *new]})
    return Intake(number, len(left), products)


def opponents(model_name: str) -> list[Version]:
    """The champion and the challenger, or the one that there is. Raises PricewrightError where none is."""
    numbers = {**registry.aliases(model_name), CHAMPION: aliases.standing(model_name).get(CHAMPION)}
    chosen = dict.fromkeys(number for alias in (CHAMPION, CHALLENGER) if (number := numbers.get(alias)))
    if not chosen:
        raise PricewrightError(f"{model_name} has no {CHALLENGER}: register one with `make run`")
    return [registry.open_version(model_name, number) for number in chosen]


def _seen(model_name: str, versions: list[Version], decided: list[Record]) -> list[pd.DataFrame]:
    """The rows that the versions have seen, and the gate rows of every version that was decided by them. A
    version that is deleted since tells nothing, but rows of it share the error rate of its decisions.
    """
    seen = [Lineage(version).rows(*SHOWN) for version in versions]
    for number in sorted({record["version"] for record in decided if record.get("intake") is None}):
        try:
            seen.append(Lineage(registry.open_version(model_name, number)).rows("gate"))
        except MissingVersionError:
            continue
    return seen
