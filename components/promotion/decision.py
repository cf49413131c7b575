"""The decision about a challenger: both versions asked afresh about the same test rows, and judged.

Reads artifacts/curate/test.parquet, the answers of the named baselines in artifacts/baseline/, and the
versions of the registry; writes nothing. No stage: it depends on what is registered, which no graph of files
knows.
"""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite, isnan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.core import dvc, registry, stage
from components.core.errors import PricewrightError
from components.core.params.promote import Promote
from components.core.schemas import Split
from components.evaluation.metrics import Floats
from components.promotion import aliases
from components.promotion.aliases import CHALLENGER, CHAMPION
from components.promotion.gate import Budget, Decision, decide
from components.promotion.trial import EVALUATION, PARITY, ask, budgets
from components.provenance.lineage import Lineage

TEST = Path("artifacts/curate/test.parquet")
PREDICTIONS = Path("artifacts/baseline/predictions.parquet")
ROWS = "test_sha256"
"""Tag of a version: the hash of the test rows that it was evaluated on; components/register.py sets it."""
MADE_WITH: tuple[Split, ...] = ("train", "preference", "validation")


def propose(model_name: str, version: str | None, unseen: bool, section: Promote) -> dict[str, Any]:
    """Ask challenger and champion afresh about the same test rows, and decide; nothing is moved yet.

    `version` is the challenger, by default the one that carries that alias. Without a champion the baselines
    that the params name stand in for it, each by the same test. With `unseen` a champion that was registered
    with other test rows is judged on those of them that it was not made with. Returns the decision record.

    Raises PricewrightError where the challenger is no version, was not evaluated or was registered with other
    test rows, where the champion was and `unseen` is not asked for, or where one of the two cannot be fetched
    or does not answer.
    """
    named = registry.aliases(model_name)
    champion, challenger = named.get(CHAMPION), version or named.get(CHALLENGER)
    if challenger is None:
        raise PricewrightError(f"{model_name} has no {CHALLENGER}: register one with `make run`")
    if challenger == champion:
        raise PricewrightError(f"{model_name} version {challenger} is the {CHAMPION} already")
    items = stage.read(TEST)
    rows_hash = registry.sha256(TEST)
    _same_rows(model_name, challenger, rows_hash)
    test_rows = len(items)
    if champion is not None:
        items = _shared_rows(model_name, champion, items, rows_hash, unseen)
    asked = ask(model_name, challenger, items, (EVALUATION, PARITY))
    if champion is None:
        rivals = _baselines(items, section.baselines)
    else:
        rivals = {f"version {champion}": ask(model_name, champion, items).prices}
    limits = budgets(items, asked, section)
    decision, rival = _hardest(items, asked.prices, rivals, limits, section)
    return {
        **aliases.entry("promote", model_name, challenger, champion),
        "verdict": decision.verdict,
        "against": rival,
        **{name: value for name, value in asdict(decision).items() if name != "verdict"},
        "mae_challenger": _mae(items, asked.prices),
        "mae_against": _mae(items, rivals[rival]),
        "test_sha256": rows_hash,
        "rows_left_out": test_rows - len(items),
        "budgets": {limit.name: _figure(limit) for limit in limits},
        "params": section.model_dump(),
    }


# --- the parts of a proposal -------------------------------------------------------------------------


def _same_rows(model_name: str, version: str, rows_hash: str) -> None:
    """Raises PricewrightError where a challenger was not registered with the test rows that are here."""
    registered = registry.version_tags(model_name, version).get(ROWS)
    if registered is None:
        raise PricewrightError(
            f"{model_name} version {version} was registered without an evaluation (no {ROWS}): "
            "register it anew with `dvc repro -f register`"
        )
    if registered != rows_hash:
        raise PricewrightError(
            f"{model_name} version {version} was registered with other test rows than {TEST} holds (SHA-256 "
            f"{registered[:12]}, here {rows_hash[:12]}): `make run` registers one for these, or "
            "bring its own back with `git checkout` of its commit and `dvc checkout`"
        )


def _shared_rows(
    model_name: str, champion: str, items: pd.DataFrame, rows_hash: str, unseen: bool
) -> pd.DataFrame:
    """The test rows on which a champion can be judged as fairly as a challenger that was made for them."""
    try:
        registered = registry.version_tags(model_name, champion).get(ROWS)
    except registry.MissingVersionError as error:
        raise PricewrightError(
            f"the alias {CHAMPION} of {model_name} points to version {champion}, which is deleted: give it "
            "to a version that there is with `make rollback VERSION=n`, then promote"
        ) from error
    if registered == rows_hash:
        return items
    if not unseen:
        raise PricewrightError(
            f"the {CHAMPION}, {model_name} version {champion}, was scored on other test rows than {TEST} "
            "holds, and may have been trained on some of these: `make promote UNSEEN=1` judges on the rows "
            f"that it was not made with. The {CHAMPION} stays"
        )
    known = Lineage(model_name, champion).rows(*MADE_WITH)
    fresh = items[~items["id"].isin(known["id"]) & ~items["text"].isin(known["text"])]
    if fresh.empty:
        raise PricewrightError(
            f"{model_name} version {champion} was made with every row of {TEST}: scrape new listings, or "
            f"train the {CHALLENGER} on its rows. The {CHAMPION} stays"
        )
    return fresh.reset_index(drop=True)


def _hardest(
    items: pd.DataFrame,
    challenger: Floats,
    rivals: dict[str, Floats],
    budgets: list[Budget],
    section: Promote,
) -> tuple[Decision, str]:
    """The decision against the rival that is hardest to beat, and that rival's name."""
    true = items["price"].to_numpy(float)
    decisions = {
        rival: decide(
            true,
            challenger,
            prices,
            minimum_effect=section.minimum_effect,
            error_rate=section.error_rate,
            power=section.power,
            rows_min=section.rows_min,
            bootstrap=section.bootstrap,
            seed=section.seed,
            unparsed_share_max=section.unparsed_share_max,
            budgets=budgets,
        )
        for rival, prices in rivals.items()
    }
    hardest = min(decisions, key=lambda name: _or_lowest(decisions[name].low))
    return decisions[hardest], hardest


def _baselines(items: pd.DataFrame, names: list[str]) -> dict[str, Floats]:
    """What the baselines `names` said of these rows."""
    rows = stage.read(dvc.intact(PREDICTIONS))
    found = {}
    for name in names:
        own = rows[rows["candidate"] == name].drop_duplicates("id").set_index("id")["predicted"]
        if not items["id"].isin(own.index).all():
            known = ", ".join(sorted(set(rows["candidate"])))
            raise PricewrightError(
                f"{PREDICTIONS} has no answer of {name} to some test rows: name others under "
                f"promote.baselines ({known}), or run `dvc repro`"
            )
        found[f"baseline {name}"] = own.reindex(items["id"]).to_numpy(float)
    return found


def _figure(limit: Budget) -> dict[str, float | None]:
    """A budget as it is kept: the figure, None where it was not measured, and the limits that it has."""
    limits = {"at_least": limit.at_least, "at_most": limit.at_most}
    value = None if isnan(limit.value) else round(limit.value, 4)
    return {"value": value, **{name: limit for name, limit in limits.items() if isfinite(limit)}}


def _mae(items: pd.DataFrame, prices: Floats) -> float | None:
    errors = np.abs(prices - items["price"].to_numpy(float))
    return None if np.isnan(errors).all() else round(float(np.nanmean(errors)), 4)


def _or_lowest(value: float | None) -> float:
    return float("-inf") if value is None else value
