"""Whether targets and categories follow from the listings, which shuffled or damaged ones do not.

A ridge on a listing's words, brand and category predicts its target, or the logarithm where ratios count,
from the rows of other products, a naive Bayes its category from its words; what matters is how far the
given values are from the predicted ones. Shuffled targets leave nothing explained, a lost decimal point
makes a price ten times what its listing says, and a sum that a source took for the price (shipping, a
deposit, a placeholder) repeats over things that are worth something else.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse, stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.metrics import cohen_kappa_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.naive_bayes import MultinomialNB
from sklearn.preprocessing import OneHotEncoder

from components.curation.categories import without_category
from components.curation.products import draws_of
from components.curation.shingles import WORD

FOLDS = 5
ROWS_MIN = 500  # of fewer a ridge on honest texts may explain next to nothing
FAR_ROWS_MIN = 1000  # of fewer it is too coarse to tell a price far off from a rare thing
SPLIT_ROWS_MIN = 100  # of a split that is judged by itself
ROWS_MAX = 20_000  # judged, drawn by their ids: ten million say no more about a share of 5%
RARE = 10  # a category of fewer rows counts as one with the other rare ones
NAMES_WEIGHT = 0.5  # of brand and category beside the words, which have length 1
SHIFTS = np.log([1.0, 10.0, 0.1])  # of a target that is right, ten times too high and ten times too low
FREEDOM = 6.0  # of the t distribution: tails of real prices are heavier than a normal distribution's
STEPS, ROUNDS = 100, 3
REPEATED_FACTOR = np.e  # so many times off is a target that stands for one of another kind
CHANCE = 0.01  # how often a clean split would pass for a damaged one by chance alone
ALL = "all"
KAPPAS = ("split", "kappa")
COLUMNS = ("split", "explained", "above", "below", "repeated", "commonest", "kappa")


def label_figures(items: pd.DataFrame, *, logarithmic: bool) -> pd.DataFrame:
    """A row for all splits together and for each split of at least SPLIT_ROWS_MIN rows; none where all
    together have fewer than ROWS_MIN.

    Takes the columns of `Item`; rows without a number, or of a `logarithmic` target without one above zero,
    do not count. Columns: `split`; `explained`, the share of the variance of the target, or of its
    logarithm, that the listings explain; `above` and `below`, the shares of logarithmic targets ten times
    too high or low, beyond chance, NaN where all splits have fewer than FAR_ROWS_MIN rows; `repeated`, the
    largest share of rows with one and the same such target that is REPEATED_FACTOR times off, beyond
    chance, NaN for others; `commonest`, the share of the commonest target; `kappa`, Cohen's kappa (1960) of
    the categories, NaN where there is one.
    """
    items = _sample(items, logarithmic)
    if len(items) < ROWS_MIN:
        return pd.DataFrame(columns=list(COLUMNS))
    words, folds = _words(items), _folds(items)
    target = items["target"].to_numpy(float)
    scaled, features = np.log(target) if logarithmic else target, _with_names(words, items)
    rows = (residuals if logarithmic else plain_residuals)(scaled, features, folds).assign(
        scaled=scaled,
        split=items["split"].astype(str),
        target=items["target"],
        **_by_words(items["category"], words, folds),
    )
    if len(items) < FAR_ROWS_MIN:
        rows[["above", "below"]] = np.nan
    parts = _parts(rows)
    return pd.DataFrame([{"split": part} | _figures(of) for part, of in parts.items()], columns=list(COLUMNS))


def label_kappas(items: pd.DataFrame) -> pd.DataFrame:
    """`split` and `kappa`, Cohen's kappa (1960) of the labels at the targets with those that a naive Bayes on
    the words says, for the same parts of the rows as `label_figures`.
    """
    items = _sample(items, logarithmic=False)
    if len(items) < ROWS_MIN:
        return pd.DataFrame(columns=list(KAPPAS))
    names = _by_words(items["target"].astype(str), _words(items), _folds(items))
    parts = _parts(items[["split"]].astype(str).assign(**names))
    return pd.DataFrame([{"split": part, "kappa": _kappa(of)} for part, of in parts.items()])


def _words(items: pd.DataFrame) -> sparse.csr_matrix:
    """The words of the texts; without the categories, or every one would follow from its own name."""
    texts = [without_category(text) for text in items["text"]]
    return TfidfVectorizer(sublinear_tf=True, token_pattern=WORD.pattern).fit_transform(texts)


def _folds(items: pd.DataFrame) -> PredefinedSplit:
    return PredefinedSplit(pd.factorize(items["product"])[0] % FOLDS)


def _by_words(names: pd.Series, words: sparse.csr_matrix, folds: PredefinedSplit) -> dict[str, Any]:
    """`category`, the names with the rare ones as one, and `predicted`, what the words of others say."""
    category = names.where(names.map(names.value_counts()) >= RARE, "")
    return {
        "category": category,
        "predicted": cross_val_predict(MultinomialNB(alpha=0.1), words, category, cv=folds),
    }


def _parts(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """All rows, and those of each split that is judged by itself."""
    return {ALL: rows} | {part: of for part, of in rows.groupby("split") if len(of) >= SPLIT_ROWS_MIN}


def _sample(items: pd.DataFrame, logarithmic: bool) -> pd.DataFrame:
    """At most ROWS_MAX of the rows with a number that counts, whatever their order."""
    target = pd.to_numeric(items["target"], errors="coerce")
    words = items[["text", "brand", "category"]].astype(object).fillna("").astype(str)
    items = items.assign(target=target, **words)[target > 0 if logarithmic else target.notna()]
    draws = draws_of(items["id"].astype(str).tolist(), seed=0)
    return items.iloc[np.sort(np.argsort(draws, kind="stable")[:ROWS_MAX])].reset_index(drop=True)


def _with_names(words: sparse.csr_matrix, items: pd.DataFrame) -> sparse.csr_matrix:
    names = OneHotEncoder(min_frequency=RARE).fit_transform(items[["brand", "category"]])
    return sparse.hstack([words, NAMES_WEIGHT * names]).tocsr()


# --- targets that are far off --------------------------------------------------------------------------


class Mixture(NamedTuple):
    """A two-piece t distribution (Fernandez and Steel 1998) and its copies shifted by SHIFTS."""

    mode: float
    left: float
    """Scale below the mode, and above it."""
    right: float
    posterior: np.ndarray
    """(rows, shifts): how probable it is of each row that it comes from each copy."""


def plain_residuals(target: np.ndarray, features: sparse.csr_matrix, folds: PredefinedSplit) -> pd.DataFrame:
    """For each row `residual`, its target less the predicted one; `above` and `below` are NaN."""
    residual = target - cross_val_predict(Ridge(), features, target, cv=folds)
    return pd.DataFrame({"residual": residual, "above": np.nan, "below": np.nan})


def residuals(logs: np.ndarray, features: sparse.csr_matrix, folds: PredefinedSplit) -> pd.DataFrame:
    """For each row `residual`, its logarithm less the predicted one, and `above` and `below`, the
    probabilities that it is ten times too high or too low.

    The ridge is fitted again on the targets without what they are probably off, so that the damaged ones do
    not blur what it says of the others.
    """
    mended = logs
    for _ in range(ROUNDS):
        residual = logs - cross_val_predict(Ridge(), features, mended, cv=folds)
        posterior = fit_mixture(residual).posterior
        mended = logs - posterior @ SHIFTS
    return pd.DataFrame({"residual": residual, "above": posterior[:, 1], "below": posterior[:, 2]})


def fit_mixture(values: np.ndarray) -> Mixture:
    """The mixture by expectation maximization: shares of the copies, mode and the two scales.

    That the two sides differ in width matters: real prices often fall short of what a listing says by more
    than they exceed it, which is no fault.
    """
    mode = float(np.median(values))
    left = right = max(float(stats.median_abs_deviation(values, scale="normal")), 1e-6)
    shares = np.full(len(SHIFTS), 1 / len(SHIFTS))
    shifted = values[:, None] - SHIFTS
    for _ in range(STEPS):
        scaled = (shifted - mode) / np.where(shifted < mode, left, right)
        posterior = shares * stats.t.pdf(scaled, FREEDOM)
        posterior /= posterior.sum(axis=1, keepdims=True)
        shares = posterior.mean(axis=0)
        weights = posterior * (FREEDOM + 1) / (FREEDOM + scaled**2)
        precision = weights / np.where(shifted < mode, left, right) ** 2
        mode = float((precision * shifted).sum() / precision.sum())
        squares = weights * (shifted - mode) ** 2
        low, high = (np.cbrt(squares[side].sum()) for side in (shifted < mode, shifted >= mode))
        left, right = (max(side * ((low + high) / len(values)) ** 0.5, 1e-6) for side in (low, high))
    return Mixture(mode, left, right, posterior)


def _figures(rows: pd.DataFrame) -> dict[str, Any]:
    off = rows["target"][rows["residual"].abs() > np.log(REPEATED_FACTOR)]
    repeated = off.value_counts().max() / len(rows) if len(off) else 0.0
    figures = {
        "explained": 1 - rows["residual"].var() / max(rows["scaled"].var(), 1e-9),
        "above": _beyond_chance(rows["above"].mean(), len(rows)),
        "below": _beyond_chance(rows["below"].mean(), len(rows)),
        "repeated": _beyond_chance(repeated, len(rows)) if rows["above"].notna().any() else np.nan,
        "commonest": rows["target"].value_counts(normalize=True).max(),
        "kappa": _kappa(rows),
    }
    return {name: round(float(figure), 4) for name, figure in figures.items()}


def _kappa(rows: pd.DataFrame) -> float:
    if rows["category"].nunique() < 2:
        return float("nan")
    return round(float(cohen_kappa_score(rows["category"], rows["predicted"])), 4)


def _beyond_chance(share: float, rows: int) -> float:
    """A share of so many rows, less what chance adds to one of 1% or so; NaN for NaN."""
    return float(np.maximum(share - stats.norm.isf(CHANCE) * (CHANCE / rows) ** 0.5, 0.0))
