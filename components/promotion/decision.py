"""The decision about a challenger: both versions price the same test rows afresh, and the gate compares them.

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
from components.core.registry import Version
from components.core.schemas import Split
from components.evaluation.resampling import Floats
from components.promotion import aliases
from components.promotion.aliases import CHALLENGER, CHAMPION
from components.promotion.gate import Budget, Decision, decide
from components.promotion.trial import EVALUATION, PARITY, budgets, run_trial
from components.provenance.lineage import Lineage

TEST = Path("artifacts/curate/test.parquet")
PREDICTIONS = Path("artifacts/baseline/predictions.parquet")
ROWS = "test_sha256"
"""Tag of a version: the hash of the test rows that it was evaluated on; register.py sets it."""
MADE_WITH: tuple[Split, ...] = ("train", "preference", "validation")


class NothingToDecide(PricewrightError):  # no fault: the champion is the newest version
    """The challenger is the champion already."""


def propose(model_name: str, number: str | None, unseen: bool, section: Promote) -> dict[str, Any]:
    """Compare challenger and champion afresh on the same test rows, and decide; nothing is moved yet.

    `number` is that of the challenger, by default the version that carries this alias. Without a champion the
    baselines that the params name stand in for it, each by the same test. With `unseen` a champion that was
    registered with other test rows is compared on those of them that it was not made with. Returns the
    decision record.

    Raises NothingToDecide where the challenger is the champion. Raises PricewrightError where it is no
    version, was not evaluated or was registered with other test rows, where the champion was and `unseen` is
    not set, or where one of the two cannot be fetched or does not answer.
    """
    champion_number, number = _opponents(model_name, number)
    challenger = registry.open_version(model_name, number)
    items = stage.read(TEST)
    rows_hash = registry.sha256(TEST)
    _require_same_rows(challenger, rows_hash)
    test_rows = len(items)
    champion = None if champion_number is None else _champion(model_name, champion_number)
    if champion is not None:
        items = _shared_rows(champion, items, rows_hash, unseen)
    trial = run_trial(challenger, items, (EVALUATION, PARITY))
    if champion is None:
        rivals = _baselines(items, section.baselines)
    else:
        rivals = {f"version {champion.number}": run_trial(champion, items).prices}
    limits = budgets(items, trial, section)
    decision, rival = _hardest(items, trial.prices, rivals, limits, section)
    return {
        **aliases.new_record("promote", model_name, number, champion_number),
        "verdict": decision.verdict,
        "against": rival,
        **{name: value for name, value in asdict(decision).items() if name != "verdict"},
        "mae_challenger": _mae(items, trial.prices),
        "mae_against": _mae(items, rivals[rival]),
        "test_sha256": rows_hash,
        "rows_left_out": test_rows - len(items),
        "budgets": {limit.name: _figure(limit) for limit in limits},
        "params": section.model_dump(),
    }


# --- the parts of a proposal -------------------------------------------------------------------------


def _opponents(model_name: str, number: str | None) -> tuple[str | None, str]:
    """The numbers of the champion, if there is one, and of the challenger, by default that of the alias."""
    current = registry.aliases(model_name)
    champion, challenger = current.get(CHAMPION), number or current.get(CHALLENGER)
    if challenger is None:
        raise PricewrightError(f"{model_name} has no {CHALLENGER}: register one with `make run`")
    if challenger == champion:
        raise NothingToDecide(
            f"{model_name} version {challenger} is the {CHAMPION} already: there is nothing to decide until "
            "`make run` registers another version"
        )
    return champion, challenger


def _require_same_rows(version: Version, rows_hash: str) -> None:
    """Raises PricewrightError where a challenger was not registered with the test rows that are here."""
    registered = version.tags.get(ROWS)
    if registered is None:
        raise PricewrightError(
            f"{version} was registered without an evaluation (no {ROWS}): "
            "register it anew with `dvc repro -f register`"
        )
    if registered != rows_hash:
        raise PricewrightError(
            f"{version} was registered with other test rows than {TEST} holds (SHA-256 "
            f"{registered[:12]}, here {rows_hash[:12]}): `make run` registers one for these, or "
            "bring its own back with `git checkout` of its commit and `dvc checkout`"
        )


def _champion(model_name: str, number: str) -> Version:
    try:
        return registry.open_version(model_name, number)
    except registry.MissingVersionError as error:
        raise PricewrightError(
            f"the alias {CHAMPION} of {model_name} points to version {number}, which is deleted: give it "
            "to a version that there is with `make rollback VERSION=n`, then promote"
        ) from error


def _shared_rows(champion: Version, items: pd.DataFrame, rows_hash: str, unseen: bool) -> pd.DataFrame:
    """The test rows on which a champion can be compared as fairly as a challenger that was made for them."""
    if champion.tags.get(ROWS) == rows_hash:
        return items
    if not unseen:
        raise PricewrightError(
            f"the {CHAMPION}, {champion}, was scored on other test rows than {TEST} "
            "holds, and may have been trained on some of these: `make promote UNSEEN=1` compares on the rows "
            f"that it was not made with. The {CHAMPION} stays"
        )
    known = Lineage(champion).rows(*MADE_WITH)
    fresh = items[~items["id"].isin(known["id"]) & ~items["text"].isin(known["text"])]
    if fresh.empty:
        raise PricewrightError(
            f"{champion} was made with every row of {TEST}: scrape new listings, or "
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
            items["product"].to_numpy(),
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
    """The predictions of the baselines `names` for these rows, (n,) dollars each."""
    rows = stage.read(dvc.intact(PREDICTIONS))
    predictions = {}
    for name in names:
        own = rows[rows["candidate"] == name].drop_duplicates("id").set_index("id")["predicted"]
        if not items["id"].isin(own.index).all():
            known = ", ".join(sorted(set(rows["candidate"])))
            raise PricewrightError(
                f"{PREDICTIONS} has no answer of {name} to some test rows: name others under "
                f"promote.baselines ({known}), or run `dvc repro`"
            )
        predictions[f"baseline {name}"] = own.reindex(items["id"]).to_numpy(float)
    return predictions


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
