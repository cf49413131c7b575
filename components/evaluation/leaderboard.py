"""Every candidate's metrics, the winner, the best baseline, and who beats whom.

Whatever is chosen is chosen on validation; test is only reported.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pandas as pd

from components.core.params.evaluate import Evaluate
from components.core.schemas import SCORED
from components.evaluation import scoring
from components.evaluation.label_metrics import by_label, confusion
from components.evaluation.metrics import paired_difference, rank
from components.model.labels import Labels
from components.tasks import AnyTask

BASELINE, MODEL, EXTERNAL = "baseline", "language-model", "external"
WORST = 10  # rows shown on the page


def leaderboard(
    rows: pd.DataFrame,
    kinds: dict[str, str],
    items: pd.DataFrame,
    law: pd.DataFrame,
    section: Evaluate,
    task: AnyTask,
    barred: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The report: metrics of each candidate in `rows` (columns of `Prediction`), winner, noise floor.

    `kinds` gives the kind of each candidate: a tuned language model (MODEL), BASELINE or EXTERNAL; the winner
    is the best model on validation by `metrics.rank`, the best baseline likewise. `items` are
    the scored rows (`Item`), `law` is the table of `Law`, maybe empty. A `barred` candidate is
    measured but cannot win.
    """
    rows = scoring.with_products(rows, items)
    measured = scoring.score_all(rows, section, task)
    candidates = {name: {"kind": kinds[name], **by_split} for name, by_split in measured.items()}
    winner, best_baseline = _best(candidates, MODEL, barred), _best(candidates, BASELINE)
    floor = scoring.noise_floor(items, law, section, task)
    own = rows[(rows["candidate"] == winner) & (rows["split"] == "test")]
    return {
        "kind": task.kind,
        "measure": task.measure,
        "measured": task.measured,
        "unit": task.unit,
        "digits": task.digits,
        "headline": headline(candidates, winner, best_baseline, floor, task),
        "winner": winner,
        "best_baseline": best_baseline,
        "noise_floor": floor,
        "winner_minus_best_baseline": {
            split: _difference(rows[rows["split"] == split], winner, best_baseline, section)
            for split in SCORED
        },
        "candidates": candidates,
        **_by_target(own, section, task),
        "error_by_category": scoring.by_category(own, items, section.categories, task),
        "error_by_length": scoring.by_length(own, items, section.bands, task),
        "error_by_source": scoring.by_source(own, items, task),
        "pairs": pairs(rows[rows["split"] == "test"], section),
    }


def _by_target(own: pd.DataFrame, section: Evaluate, task: AnyTask) -> dict[str, Any]:
    """How the winner does by what is true: in bands of numbers, or by label, with the confusion matrix."""
    if isinstance(task.answers, Labels):
        figures = {"by_label": by_label(own, task.answers), "confusion": confusion(own, task.answers)}
        return {"labels": list(task.answers.names), **figures}
    return {"error_by_band": scoring.by_band(own, section.bands, task)}


def pairs(rows: pd.DataFrame, section: Evaluate) -> list[dict[str, Any]]:
    """Every two candidates in `rows`: mean loss of `candidate` minus that of `rival`, `mean`, with its
    paired interval `low` to `high` over products (`rows` by `scoring.with_products`).

    Candidates stand in the order of the table; two that answered no row in common make no pair.
    """
    names = list(dict.fromkeys(rows["candidate"]))
    differences = [
        (candidate, rival, _difference(rows, candidate, rival, section))
        for candidate, rival in combinations(names, 2)
    ]
    return [
        {"candidate": candidate, "rival": rival, **difference}
        for candidate, rival, difference in differences
        if difference is not None
    ]


def headline(
    candidates: dict[str, Any], winner: str, best_baseline: str, floor: dict[str, Any] | None, task: AnyTask
) -> str:
    """The result in one line; it begins with the bad news where a baseline does better on validation."""

    def shown(value: float | None) -> str:
        return "nothing readable" if value is None else f"{value:.{task.digits}f}"

    model, baseline = candidates[winner], candidates[best_baseline]
    test = model["test"]
    ours = f"test {task.measure} {shown(test['loss'])} {task.unit}".rstrip()
    if test["loss"] is not None:
        ours += f" ({shown(test['loss_low'])} to {shown(test['loss_high'])})"
    theirs = shown(baseline["test"]["loss"])
    against = f", noise floor {shown(floor['test']['loss'])}" if floor else ""
    if rank(baseline["validation"]) < rank(model["validation"]):
        better, worse = (shown(ranked["validation"]["loss"]) for ranked in (baseline, model))
        return (
            f"A baseline does better: on validation {best_baseline} errs {better} and {winner}, the best "
            f"language model, {worse}; {winner} has {ours}, {best_baseline} {theirs}{against}"
        )
    return f"{winner} wins: {ours}, best baseline {best_baseline} {theirs}{against}"


def _best(candidates: dict[str, Any], kind: str, barred: frozenset[str] = frozenset()) -> str:
    names = [name for name in candidates if candidates[name]["kind"] == kind and name not in barred]
    return min(names, key=lambda name: rank(candidates[name]["validation"]))


def _difference(rows: pd.DataFrame, ours: str, theirs: str, section: Evaluate) -> dict[str, Any] | None:
    """Mean loss of one candidate minus that of another, paired by row; None where no row was answered by
    both.
    """
    both = rows.pivot(index="id", columns="candidate", values="loss")[[ours, theirs]].dropna()
    if both.empty:
        return None
    mean, low, high = paired_difference(
        both[ours].to_numpy(float),
        both[theirs].to_numpy(float),
        rows.drop_duplicates("id").set_index("id")["product"].reindex(both.index).to_numpy(),
        bootstrap=section.bootstrap,
        seed=section.seed,
    )
    return {"mean": mean, "low": low, "high": high}


def worst(rows: pd.DataFrame, items: pd.DataFrame, candidate: str) -> pd.DataFrame:
    """The WORST rows of test for a candidate but those without a loss, unreadable answers first, then by loss
    and log loss, with `text` and `title`.
    """
    own = rows[(rows["candidate"] == candidate) & (rows["split"] == "test") & (rows["loss"] != 0)]
    ranked = own.sort_values("log_loss", ascending=False, kind="stable")
    ranked = ranked.sort_values("loss", ascending=False, na_position="first", kind="stable")
    return ranked.head(WORST).merge(items[["id", "title", "text"]], on="id")
