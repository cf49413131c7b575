"""From a candidate's answers to its metrics: the rows of predictions.parquet, and the metrics of each
candidate in them. Shared by every stage that scores something.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from components.core.errors import PricewrightError
from components.core.params.evaluate import Evaluate
from components.core.schemas import SCORED, Prediction
from components.evaluation.label_metrics import label_metrics
from components.evaluation.label_sets import given_to
from components.evaluation.metrics import error_metrics, no_metrics
from components.evaluation.resampling import Floats
from components.model.labels import Labels
from components.tasks import AnyTask

DECIMALS = 2  # of an answer in a table
LEAST = 1e-4  # of a probability: one row that was given none at all does not decide a mean


def predictions(
    candidate: str,
    items: pd.DataFrame,
    predicted: Floats,
    task: AnyTask,
    **more: Floats,
) -> pd.DataFrame:
    """Rows of `Prediction` of a candidate: its answers to `items`, (n,), rounded to DECIMALS. `more` are
    other columns, (n,) each, which are empty without; `held` and `width` follow from `low` and `high`.

    Rounding keeps the file's bytes the same where two machines differ in the last bits of a sum.
    """
    true = items["target"].to_numpy(float)
    rounded = np.round(np.asarray(predicted, float), DECIMALS)
    columns = {
        "candidate": candidate,
        "split": items["split"].to_numpy(),
        "id": items["id"].to_numpy(),
        "target": true,
        "predicted": rounded,
        "loss": task.answers.loss(true, rounded),
        **dict.fromkeys(("low", "high", "held", "width", "log_loss"), np.full(len(items), np.nan)),
        **{name: np.round(np.asarray(column, float), DECIMALS) for name, column in more.items()},
    }
    if "low" in more:
        low, high = columns["low"], columns["high"]
        inside = ((true >= low) & (true <= high)).astype(float)
        columns |= {"held": np.where(np.isnan(low), np.nan, inside), "width": high - low}
    return pd.DataFrame(columns, columns=Prediction.columns())


def answered(candidate: str, items: pd.DataFrame, answers: Floats, task: AnyTask) -> pd.DataFrame:
    """The same of numbers, (n,), or of distributions, (n, answers); labels then have their log loss."""
    if answers.ndim == 1:
        return predictions(candidate, items, answers, task)
    point = task.answers.point(answers)
    if not isinstance(task.answers, Labels):
        return predictions(candidate, items, point, task)
    own = log_losses(answers, items["target"].to_numpy(float), task.answers)
    return predictions(candidate, items, point, task, log_loss=own)


def log_losses(distribution: Floats, true: Floats, labels: Labels) -> Floats:
    """Minus the natural logarithm of the probability that each row gives to its true label, (n,), none below
    LEAST; NaN where there is no answer.
    """
    own = given_to(distribution, true, labels)
    return np.asarray(-np.log(np.maximum(own, LEAST)))


def score(rows: pd.DataFrame, section: Evaluate, task: AnyTask) -> dict[str, Any]:
    """Metrics of a candidate on a split, by the kind of the task; with `coverage` and `width` where it gave
    intervals or sets. `rows` are by `with_products`.
    """
    if isinstance(task.answers, Labels):
        return label_metrics(rows, task.answers, bootstrap=section.bootstrap, seed=section.seed) | _held(rows)
    if rows.empty:
        return no_metrics()
    scored = error_metrics(
        rows["target"].to_numpy(float),
        rows["predicted"].to_numpy(float),
        rows["product"].to_numpy(),
        bootstrap=section.bootstrap,
        seed=section.seed,
        hit_error=section.hit_error,
        hit_share=section.hit_share,
    )
    return scored | _held(rows)


def with_products(rows: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Rows of `Prediction` with the column `product` of their items: intervals are over products."""
    return rows.assign(product=_of_item(rows, items, "product"))


def score_all(rows: pd.DataFrame, section: Evaluate, task: AnyTask) -> dict[str, dict[str, Any]]:
    """`{candidate: {split: metrics}}` in the order in which the candidates stand in the table; `rows` are by
    `with_products`.
    """
    return {
        str(name): {split: score(own[own["split"] == split], section, task) for split in SCORED}
        for name, own in rows.groupby("candidate", sort=False)
    }


def noise_floor(
    items: pd.DataFrame, law: pd.DataFrame, section: Evaluate, task: AnyTask
) -> dict[str, Any] | None:
    """Metrics of the law's own best answer on the very same rows, by split: no model can expect to do better.

    Of numbers `loss_expected` is the mean of the errors that the law predicts. With Z standard normal, m the
    median and s the law's sigma, the number is m exp(s Z) on a logarithmic scale and m + s Z on another, and
    the expected absolute error is

        E|m exp(s Z) - m| = m exp(s^2 / 2) (2 Phi(s) - 1) = m exp(s^2 / 2) erf(s / sqrt 2)
        E|s Z| = s sqrt(2 / pi)

    None where the law is not known. Raises PricewrightError where it is known for some rows only.
    """
    if law.empty:
        return None
    known = items[["id", "split", "target", "address", "product"]].merge(
        law.drop_duplicates("address"), on="address", how="left"
    )
    best = known["address"].map(task.best_by_law(law.drop_duplicates("address"))).to_numpy(float)
    if np.isnan(best).all() and known["median"].notna().all():
        return None  # it is of another question
    if missing := int(np.isnan(best).sum()):
        raise PricewrightError(
            f"artifacts/scrape/law.parquet does not know {missing} of {len(known)} scored listings by their "
            "address: run `dvc repro` so that both come from the same crawl"
        )
    rows = predictions("law", known, best, task).assign(product=known["product"])
    floor: dict[str, Any] = {split: score(rows[rows["split"] == split], section, task) for split in SCORED}
    if isinstance(task.answers, Labels):
        return floor
    sigma = known["sigma"].to_numpy(float)
    expected = sigma * math.sqrt(2 / math.pi)
    if task.answers.logarithmic:
        expected = best * np.exp(sigma**2 / 2) * np.vectorize(math.erf)(sigma / math.sqrt(2))
    for split in SCORED:
        floor[split]["loss_expected"] = round(float(expected[known["split"] == split].mean()), 4)
    return floor


def mean_losses(rows: pd.DataFrame) -> dict[str, dict[str, dict[str, Any]]]:
    """`{candidate: {split: {loss, unparsed}}}`: the short form of `score_all`, without the bootstrap.

    `loss` is over readable answers, None where there is none.
    """
    return {
        str(name): {
            str(split): {
                "loss": round(float(part["loss"].mean()), 4) if part["loss"].notna().any() else None,
                "unparsed": int(part["loss"].isna().sum()),
            }
            for split, part in own.groupby("split", sort=False)
        }
        for name, own in rows.groupby("candidate", sort=False)
    }


def by_band(rows: pd.DataFrame, bands: int, task: AnyTask) -> list[dict[str, Any]]:
    """Errors in bands of the true number, of about equal row count, from low to high; fewer where numbers
    tie.
    """
    return [{"band": name, **_group(part, task)} for name, part in _banded(rows, rows["target"], bands)]


def by_length(rows: pd.DataFrame, items: pd.DataFrame, bands: int, task: AnyTask) -> list[dict[str, Any]]:
    """Errors in bands of the text's length in characters, from short to long, likewise."""
    characters = _of_item(rows, items, "text").str.len()
    return [{"length": name, **_group(part, task)} for name, part in _banded(rows, characters, bands)]


def by_source(rows: pd.DataFrame, items: pd.DataFrame, task: AnyTask) -> list[dict[str, Any]]:
    """Errors by the source of the listings, by its name."""
    sources = rows.groupby(_of_item(rows, items, "source"))
    return [{"source": name, **_group(part, task)} for name, part in sources]


def by_category(rows: pd.DataFrame, items: pd.DataFrame, shown: int, task: AnyTask) -> list[dict[str, Any]]:
    """Errors of the `shown` commonest categories, the commonest first, and of all others together."""
    category = _of_item(rows, items, "category").replace("", "(no category)")
    counts = category.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    common = list(counts.index[:shown])
    groups = [{"category": name, **_group(rows[category == name], task)} for name in common]
    rest = rows[~category.isin(common)]
    return groups if rest.empty else [*groups, {"category": "(all others)", **_group(rest, task)}]


def _of_item(rows: pd.DataFrame, items: pd.DataFrame, column: str) -> pd.Series:
    """A column of `items` for each of `rows`."""
    return items.drop_duplicates("id").set_index("id")[column].reindex(rows["id"]).set_axis(rows.index)


def _banded(rows: pd.DataFrame, values: pd.Series, bands: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows in bands of `values`, of about equal count, each with a name such as `10 to 42`."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bands + 1)).round())
    names = [f"{low:.0f} to {high:.0f}" for low, high in pairwise(edges)]
    for number, part in rows.groupby(np.searchsorted(edges[1:-1], values, side="right")):
        yield (names[number] if names else f"{edges[0]:.0f}"), part


def _group(rows: pd.DataFrame, task: AnyTask) -> dict[str, Any]:
    """Count, losses over the readable answers, and coverage and width of interval or set where there is one.
    Of numbers also `median_error`, `share_of_target` and `bias`, which is the mean of predicted minus true
    number: above 0, answers are too high.
    """
    readable = rows.dropna(subset="predicted")
    if isinstance(task.answers, Labels):
        loss = round(float(readable["loss"].mean()), 4) if len(readable) else None
        return {"n": len(rows), "loss": loss, **_held(rows)}
    figures: dict[str, Any] = {"n": len(rows), "loss": None, "median_error": None, "share_of_target": None}
    figures["bias"] = None
    if not readable.empty:
        errors = readable["loss"]
        figures["loss"] = round(float(errors.mean()), 4)
        figures["median_error"] = round(float(errors.median()), 4)
        figures["bias"] = round(float((readable["predicted"] - readable["target"]).mean()), 4)
        figures["share_of_target"] = round(float(errors.mean() / readable["target"].mean()), 4)
    return figures | _held(rows)


def _held(rows: pd.DataFrame) -> dict[str, Any]:
    """`coverage`, the share of rows whose interval or set holds what is true, and `width`, the mean of
    theirs; nothing where no row has one.
    """
    if rows["held"].isna().all():
        return {}
    held, width = float(rows["held"].fillna(0.0).mean()), float(rows["width"].mean())
    return {"coverage": round(held, 4), "width": round(width, 4)}
