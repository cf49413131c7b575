"""The decision about a challenger: both versions answer the same gate rows afresh, and the gate compares
them.

Reads the gate rows (gate_rows.py), the answers of the baselines in artifacts/baseline/, and the versions of
the registry; stores the proposal in the log of the model. No stage: it depends on what is registered, which
no graph of files knows.

The rivals are the champion, where there is one, and the baseline that is best on validation: a version that
does not surely beat a regression is not worth serving, however weak the champion has become.
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
from components.core.registry import CHALLENGER, CHAMPION
from components.evaluation.metrics import rank
from components.evaluation.resampling import Floats
from components.evaluation.scoring import mean_losses
from components.promotion import aliases, decision_log
from components.promotion.gate import Budget, Decision, Verdict, decide
from components.promotion.gate_rows import compared_rows
from components.promotion.spending import Part, part, sample_of
from components.promotion.trial import EVALUATION, PARITY, Trial, budgets, run_trial
from components.tasks import AnyTask

PREDICTIONS = Path("artifacts/baseline/predictions.parquet")
ORDER: tuple[Verdict, ...] = ("rejected", "not enough evidence", "promoted")
"""Of two verdicts against two rivals, the first counts."""


class NothingToDecide(PricewrightError):  # no fault: the champion is the newest version
    """The challenger is the champion already."""


def propose(
    model_name: str, number: str | None, unseen: bool, section: Promote, task: AnyTask
) -> dict[str, Any]:
    """Compare the challenger with its rivals afresh on the same gate rows, and decide; nothing is moved yet.

    `number` is that of the challenger, by default the version that carries this alias. It has to beat the
    champion and the best baseline, each by the same test; without a champion the baseline alone. With
    `unseen` a champion that was registered with other gate rows is compared on those of them that it was not
    made with (`gate_rows.compared_rows`). Returns the proposal, as stored.

    Raises NothingToDecide where the challenger is the champion, FreshRowsNeeded where the rows have carried
    all decisions that they can, PricewrightError where the challenger is no version, was not evaluated or was
    registered with other gate rows, where the champion was and `unseen` is not set, or where one of the two
    cannot be fetched or does not answer.
    """
    champion_number, number = _opponents(model_name, number)
    challenger = registry.open_version(model_name, number)
    champion = None if champion_number is None else registry.open_version(model_name, champion_number)
    items, rows_hash, intake, left_out = compared_rows(challenger, champion, unseen)
    rows_sample, shared = sample_of(items["id"]), (section.error_rate, section.decisions_max)
    spent = part(aliases.log(model_name), rows_hash, rows_sample, number, champion_number, *shared)
    trial = run_trial(challenger, items, task.kind, (EVALUATION, PARITY))
    rivals = best_baseline(items)
    if champion is not None:
        rivals[f"version {champion.number}"] = losses(items, run_trial(champion, items, task.kind), task)
    limits, own = budgets(items, trial, section, task), losses(items, trial, task)
    rival, decision = hardest(_decisions(items["product"], own, rivals, limits, section, spent, task.unit))
    record = {
        **aliases.new_record("promote", model_name, number, champion_number),
        "verdict": decision.verdict,
        "against": rival,
        **{name: value for name, value in asdict(decision).items() if name != "verdict"},
        "unit": task.unit,
        "loss_challenger": _mean(own),
        "loss_against": _mean(rivals[rival]),
        "gate_sha256": rows_hash,
        "rows_sample": rows_sample,
        "spent": spent.record(),
        "rows_left_out": left_out,
        "intake": intake,
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


def losses(items: pd.DataFrame, trial: Trial, task: AnyTask) -> Floats:
    """The losses of a version's answers to `items`, (n,)."""
    predicted = trial.measured(items, task)["predicted"].to_numpy(float)
    return task.answers.loss(items["target"].to_numpy(float), predicted)


def best_baseline(items: pd.DataFrame) -> dict[str, Floats]:
    """The baseline that is best on validation, by `metrics.rank`: {its name: its losses on `items`, (n,)}.

    Raises PricewrightError where its predictions are not those that its stage wrote, or not for these rows.
    """
    rows = stage.read(dvc.intact(PREDICTIONS))
    known = mean_losses(rows[rows["split"] == "validation"])
    if not known:
        raise PricewrightError(f"{PREDICTIONS} has no answer to a validation row: run `dvc repro`")
    name = min(known, key=lambda candidate: rank(known[candidate]["validation"]))
    own = rows[rows["candidate"] == name].drop_duplicates("id").set_index("id")["loss"]
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
    products: pd.Series,
    challenger: Floats,
    rivals: dict[str, Floats],
    budgets: list[Budget],
    section: Promote,
    spent: Part,
    unit: str,
) -> dict[str, Decision]:
    """The gate's decision against each rival."""
    return {
        rival: decide(
            challenger,
            champion,
            products.to_numpy(),
            unit=unit,
            minimum_effect=section.minimum_effect,
            error_rate=spent.error_rate,
            power=section.power,
            rows_min=section.rows_min,
            bootstrap=spent.resamples(section.bootstrap),
            seed=section.seed,
            unparsed_share_max=section.unparsed_share_max,
            budgets=budgets,
        )
        for rival, champion in rivals.items()
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


def _mean(losses: Floats) -> float | None:
    return None if np.isnan(losses).all() else round(float(np.nanmean(losses)), 4)
