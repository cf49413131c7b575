"""The decision about a challenger: both versions price the same gate rows afresh, and the gate compares them.

Reads artifacts/curate/gate.parquet, the answers of the baselines in artifacts/baseline/, and the versions of
the registry; stores the proposal in the log of the model. No stage: it depends on what is registered, which
no graph of files knows.

The rivals are the champion, where there is one, and the baseline that is best on validation: a version that
does not surely beat a regression is not worth serving, however weak the champion has become.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from math import isfinite, isnan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.core import dvc, registry, stage
from components.core.errors import PricewrightError
from components.core.params.promote import Promote
from components.core.registry import CHALLENGER, CHAMPION, Version
from components.core.schemas import Split
from components.evaluation.metrics import rank
from components.evaluation.resampling import Floats
from components.evaluation.scoring import mean_errors
from components.promotion import aliases, decision_log
from components.promotion.gate import Budget, Decision, Verdict, decide
from components.promotion.spending import FreshRowsNeeded, Part, part, sample_of
from components.promotion.trial import EVALUATION, PARITY, budgets, run_trial
from components.provenance.lineage import Lineage

GATE = Path("artifacts/curate/gate.parquet")
PREDICTIONS = Path("artifacts/baseline/predictions.parquet")
ROWS = "gate_sha256"
"""Tag of a version: the hash of the gate rows that it was evaluated on; register.py sets it."""
ORDER: tuple[Verdict, ...] = ("rejected", "not enough evidence", "promoted")
"""Of two verdicts against two rivals, the first counts."""
MADE_WITH: tuple[Split, ...] = ("train", "preference", "validation")


class NothingToDecide(PricewrightError):  # no fault: the champion is the newest version
    """The challenger is the champion already."""


def propose(
    model_name: str, number: str | None, unseen: bool, section: Promote, *, fresh: bool = False
) -> dict[str, Any]:
    """Compare the challenger with its rivals afresh on the same gate rows, and decide; nothing is moved yet.

    `number` is that of the challenger, by default the version that carries this alias. It has to beat the
    champion and the best baseline, each by the same test; without a champion the baseline alone. With
    `unseen` a champion that was registered with other gate rows is compared on those of them that it was not
    made with; with `fresh` on those that no earlier decision was made by. Returns the proposal, as stored.

    Raises NothingToDecide where the challenger is the champion, PricewrightError where it is no version, was
    not evaluated or was registered with other gate rows, where the champion was and `unseen` is not set, or
    where one of the two cannot be fetched or does not answer.
    """
    champion_number, number = _opponents(model_name, number)
    challenger = registry.open_version(model_name, number)
    items = stage.read(GATE)
    rows_hash = registry.sha256(GATE)
    _require_same_rows(challenger, rows_hash)
    champion = None if champion_number is None else registry.open_version(model_name, champion_number)
    decided, gate_rows = aliases.log(model_name), len(items)
    items, rows_hash = _compared_rows(model_name, champion, items, rows_hash, decided, unseen, fresh)
    rows_sample, shared = sample_of(items["id"]), (section.error_rate, section.decisions_max)
    spent = part(decided, rows_hash, rows_sample, number, champion_number, *shared)
    trial = run_trial(challenger, items, (EVALUATION, PARITY))
    rivals = best_baseline(items)
    if champion is not None:
        rivals[f"version {champion.number}"] = run_trial(champion, items).prices
    limits = budgets(items, trial, section)
    rival, decision = hardest(_decisions(items, trial.prices, rivals, limits, section, spent))
    record = {
        **aliases.new_record("promote", model_name, number, champion_number),
        "verdict": decision.verdict,
        "against": rival,
        **{name: value for name, value in asdict(decision).items() if name != "verdict"},
        "mae_challenger": _mae(items, trial.prices),
        "mae_against": _mae(items, rivals[rival]),
        "gate_sha256": rows_hash,
        "rows_sample": rows_sample,
        "spent": spent.record(),
        "rows_left_out": gate_rows - len(items),
        "budgets": {limit.name: _figure(limit) for limit in limits},
        "params": section.model_dump(),
    }
    return decision_log.store(record)


# --- the parts of a proposal -------------------------------------------------------------------------


def _opponents(model_name: str, number: str | None) -> tuple[str | None, str]:
    """The numbers of the champion, if there is one, and of the challenger, by default that of the alias."""
    champion = aliases.standing(model_name).get(CHAMPION)
    challenger = number or registry.aliases(model_name).get(CHALLENGER)
    if challenger is None:
        raise PricewrightError(f"{model_name} has no {CHALLENGER}: register one with `make run`")
    if challenger == champion:
        raise NothingToDecide(
            f"{model_name} version {challenger} is the {CHAMPION} already: there is nothing to decide until "
            "`make run` registers another version"
        )
    return champion, challenger


def _require_same_rows(version: Version, rows_hash: str) -> None:
    """Raises PricewrightError where a challenger was not registered with the gate rows that are here."""
    registered = version.tags.get(ROWS)
    if registered is None:
        raise PricewrightError(
            f"{version} was registered without an evaluation (no {ROWS}): "
            "register it anew with `dvc repro -f register`"
        )
    if registered != rows_hash:
        raise PricewrightError(
            f"{version} was registered with other gate rows than {GATE} holds (SHA-256 "
            f"{registered[:12]}, here {rows_hash[:12]}): `make run` registers one for these, or "
            "bring its own back with `git checkout` of its commit and `dvc checkout`"
        )


def _compared_rows(
    model_name: str,
    champion: Version | None,
    items: pd.DataFrame,
    rows_hash: str,
    decided: list[dict[str, Any]],
    unseen: bool,
    fresh: bool,
) -> tuple[pd.DataFrame, str]:
    """(the gate rows that the decision is made by, the hash by which they are known)."""
    if champion is not None:
        items = _shared_rows(champion, items, rows_hash, unseen or fresh)
    if fresh:
        items = _undecided_rows(model_name, items, decided)
        rows_hash = hashlib.sha256("\n".join(items["id"]).encode()).hexdigest()
    return items, rows_hash


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
    left = _without(items, Lineage(champion).rows(*MADE_WITH))
    if left.empty:
        raise PricewrightError(
            f"{champion} was made with every row of {GATE}: scrape new listings, or "
            f"train the {CHALLENGER} on its rows. The {CHAMPION} stays"
        )
    return left


def _undecided_rows(model_name: str, items: pd.DataFrame, decided: list[dict[str, Any]]) -> pd.DataFrame:
    """The gate rows that came in after all decisions so far. Raises FreshRowsNeeded where there is none."""
    for number in sorted({record["version"] for record in decided if ROWS in record}):
        items = _without(items, Lineage(registry.open_version(model_name, number)).rows("gate"))
    if items.empty:
        raise FreshRowsNeeded(
            f"fresh rows needed: every product of {GATE} was in the gate rows of an earlier decision. Take "
            "in new listings with `make run`, then `make promote FRESH=1`"
        )
    return items


def _without(items: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """`items` without the products of which a row is in `known`, by its id or its text: a product is left
    out whole, since its other rows tell the same. The names of products are those of their own curation.
    """
    shared = items["id"].isin(known["id"]) | items["text"].isin(known["text"])
    return items[~items["product"].isin(items.loc[shared, "product"])].reset_index(drop=True)


def best_baseline(items: pd.DataFrame) -> dict[str, Floats]:
    """The baseline that is best on validation, by `metrics.rank`: {its name: its answers to `items`, (n,)
    dollars}.

    Raises PricewrightError where its predictions are not those that its stage wrote, or not for these rows.
    """
    rows = stage.read(dvc.intact(PREDICTIONS))
    errors = mean_errors(rows[rows["split"] == "validation"])
    if not errors:
        raise PricewrightError(f"{PREDICTIONS} has no answer to a validation row: run `dvc repro`")
    name = min(errors, key=lambda candidate: rank(errors[candidate]["validation"]))
    own = rows[rows["candidate"] == name].drop_duplicates("id").set_index("id")["predicted"]
    if not items["id"].isin(own.index).all():
        raise PricewrightError(f"{PREDICTIONS} has no answer of {name} to some gate rows: run `dvc repro`")
    return {f"baseline {name}": own.reindex(items["id"]).to_numpy(float)}


def advice(record: dict[str, Any]) -> str:
    """What would help a version that was not promoted, by the figures of its decision; empty for a promoted
    one.
    """
    if record["verdict"] == "promoted":
        return ""
    if record["verdict"] == "not enough evidence":
        if record["rows_needed"] is None:
            return "a better model: its lead is the minimum effect itself, which more gate rows do not settle"
        return (
            f"about {record['rows_needed']} products among the gate rows (there are {record['products']}): "
            "more listings, or a larger curate.shares.gate"
        )
    if record["high"] is not None and record["high"] < record["params"]["minimum_effect"]:
        return (
            f"a better model than {record['against']}: more or cleaner training listings, a larger base "
            "(base.model), more epochs"
        )
    return "a model within the limit that the reason names, or a wider limit under `promote` in params.yaml"


def _decisions(
    items: pd.DataFrame,
    challenger: Floats,
    rivals: dict[str, Floats],
    budgets: list[Budget],
    section: Promote,
    spent: Part,
) -> dict[str, Decision]:
    """The gate's decision against each rival."""
    true = items["price"].to_numpy(float)
    return {
        rival: decide(
            true,
            challenger,
            prices,
            items["product"].to_numpy(),
            minimum_effect=section.minimum_effect,
            error_rate=spent.error_rate,
            power=section.power,
            rows_min=section.rows_min,
            bootstrap=spent.resamples(section.bootstrap),
            seed=section.seed,
            unparsed_share_max=section.unparsed_share_max,
            budgets=budgets,
        )
        for rival, prices in rivals.items()
    }


def hardest(decisions: dict[str, Decision]) -> tuple[str, Decision]:
    """The rival with the clearest evidence against the challenger, and the decision against it.

    A rival that is surely no worse rejects, whatever another one leaves open; then what is open decides. Of
    those that reject, the one with the lowest upper end of the interval has the clearest evidence; else the
    one with the lowest lower end.
    """

    def order(rival: str) -> tuple[int, float]:
        decision = decisions[rival]
        end = decision.high if decision.verdict == "rejected" else decision.low
        return ORDER.index(decision.verdict), float("-inf") if end is None else end

    rival = min(decisions, key=order)
    return rival, decisions[rival]


def _figure(limit: Budget) -> dict[str, float | None]:
    """A budget as it is kept: the figure, None where it was not measured, and the limits that it has."""
    limits = {"at_least": limit.at_least, "at_most": limit.at_most}
    value = None if isnan(limit.value) else round(limit.value, 4)
    return {"value": value, **{name: limit for name, limit in limits.items() if isfinite(limit)}}


def _mae(items: pd.DataFrame, prices: Floats) -> float | None:
    errors = np.abs(prices - items["price"].to_numpy(float))
    return None if np.isnan(errors).all() else round(float(np.nanmean(errors)), 4)
