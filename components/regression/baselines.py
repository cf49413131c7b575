"""The baselines of a number: constants, classical regression, and regressions that know what the untuned base
predicts. Everything is fitted on train alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from tqdm import tqdm

from components.core.params.baseline import Baseline
from components.evaluation.resampling import Floats
from components.model.grid import Grid
from components.model.hidden_states import Known
from components.regression.features import features
from components.regression.regressions import Regressions, fit_regressions
from components.regression.ridge import UNPENALIZED, WORD, Folds, product_folds

Predictor = Callable[[pd.DataFrame], Floats]
"""Items to targets on the scale of the grid, (n,)."""
Family = Callable[[pd.DataFrame, Baseline], Predictor]
"""Fits a predictor on the train split."""

SCALED = "scaled"  # the column with the target on the scale of the grid: `Grid.scaled`
READING = "reading"  # the column with what the untuned base predicts, on that scale


def plain(train: pd.DataFrame, scored: pd.DataFrame, section: Baseline, grid: Grid) -> dict[str, Floats]:
    """What the candidates that know nothing of the base answer to the rows of `scored`, (n,) each."""
    return constants(train, len(scored)) | classical(train, scored, section, grid)


def knowing(
    train: pd.DataFrame,
    scored: pd.DataFrame,
    known_train: Known,
    known: Known,
    section: Baseline,
    grid: Grid,
) -> tuple[dict[str, Floats], Regressions]:
    """(what the candidates that know the untuned base answer to the rows of `scored`, (n,) each; those of
    them that are blended), from what the base gives for the rows of `train` and of `scored`.
    """
    readings_train, readings = (grid.scaled(grid.median(each.distribution)) for each in (known_train, known))
    read_train, read = train.assign(**{READING: readings_train}), scored.assign(**{READING: readings})
    recalibrated = classical(read_train, read, section, grid, WITH_READING)
    targets = grid.scaled(train["target"])
    blended = fit_regressions(train, targets, readings_train, known_train.states, section)
    inputs = _texts(scored), readings, known.states
    own = {
        "hidden_states_ridge": blended.ridge.predict(*inputs),
        "hidden_states_boosting": blended.boosting.predict(*inputs),
        "neighbours": blended.neighbours.predict(_texts(scored)),
    }
    return recalibrated | {name: grid.unscaled(predicted) for name, predicted in own.items()}, blended


def constants(train: pd.DataFrame, rows: int) -> dict[str, Floats]:
    """The mean of the targets and their median for every row: no constant has a lower absolute error on train
    than the median.
    """
    return {name: np.full(rows, train["target"].agg(name)) for name in ("mean", "median")}


def classical(
    train: pd.DataFrame,
    scored: pd.DataFrame,
    section: Baseline,
    grid: Grid,
    families: dict[str, Family] | None = None,
) -> dict[str, Floats]:
    """Fit every family on `train`; its answers to the rows of `scored`, (n,), by family.

    Both tables have the columns of `Item`; those of WITH_READING also need the column READING.
    """
    train = train.assign(**{SCALED: grid.scaled(train["target"])})
    shown = tqdm((families or FAMILIES).items(), desc="classical baselines", leave=False)
    return {name: grid.unscaled(fit(train, section)(scored)) for name, fit in shown}


# --- the families ------------------------------------------------------------------------------------


def linear(train: pd.DataFrame, section: Baseline) -> Predictor:
    """Linear regression on the features; a quantity that is not named is 0, and flagged as such."""
    fill = SimpleImputer(strategy="constant", fill_value=0, add_indicator=True)
    return _fitted(make_pipeline(fill, StandardScaler(), LinearRegression()), features(train, section), train)


def bag_of_words_ridge(train: pd.DataFrame, section: Baseline) -> Predictor:
    """Ridge regression on the counts of words."""
    words = CountVectorizer(max_features=section.vocabulary, token_pattern=WORD)
    return _fitted(make_pipeline(words, _ridge(train, section)), _texts, train)


def tfidf_ridge(train: pd.DataFrame, section: Baseline) -> Predictor:
    """Ridge regression on TF-IDF of words and pairs of words."""
    return _fitted(make_pipeline(_tfidf(section), _ridge(train, section)), _texts, train)


def boosting(train: pd.DataFrame, section: Baseline) -> Predictor:
    """Gradient-boosted trees on TF-IDF reduced by SVD (latent semantic analysis) beside the features."""
    tfidf = _tfidf(section)
    terms = tfidf.fit_transform(_texts(train))
    components = min(section.boosting_components, *terms.shape)
    reduction = TruncatedSVD(components, random_state=section.seed).fit(terms)
    plain = features(train, section)

    def dense(items: pd.DataFrame) -> Floats:
        return np.hstack([reduction.transform(tfidf.transform(_texts(items))), plain(items)])

    trees = HistGradientBoostingRegressor(max_iter=section.boosting_iterations, random_state=section.seed)
    return _fitted(trees, dense, train)


def base_recalibrated(train: pd.DataFrame, section: Baseline) -> Predictor:
    """The untuned base with its answers rescaled: the target is linear in the reading, both on the scale of
    the grid, with a constant for each category. What fine-tuning adds is what it does better than this.
    """
    constants = OneHotEncoder(max_categories=section.brands, handle_unknown="infrequent_if_exist")
    columns = make_column_transformer((constants, ["category"]), (_reading(), [READING]))
    return _fitted(make_pipeline(columns, LinearRegression()), _whole, train)


def ridge_with_base(train: pd.DataFrame, section: Baseline) -> Predictor:
    """`bag_of_words_ridge` that knows the untuned base's reading as well, which its penalty hardly holds."""
    words = CountVectorizer(max_features=section.vocabulary, token_pattern=WORD)
    reading = make_pipeline(_reading(), FunctionTransformer(lambda known: UNPENALIZED * known))
    columns = make_column_transformer((words, "text"), (reading, [READING]), sparse_threshold=1.0)
    return _fitted(make_pipeline(columns, _ridge(train, section)), _whole, train)


FAMILIES: dict[str, Family] = {
    "linear": linear,
    "bag_of_words_ridge": bag_of_words_ridge,
    "tfidf_ridge": tfidf_ridge,
    "boosting": boosting,
}
WITH_READING: dict[str, Family] = {
    "base_recalibrated": base_recalibrated,
    "ridge_with_base": ridge_with_base,
}
"""Families that also see what the untuned base predicts, in the column READING."""


# --- helpers -----------------------------------------------------------------------------------------


def _tfidf(section: Baseline) -> TfidfVectorizer:
    return TfidfVectorizer(
        max_features=section.vocabulary, token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True
    )


def _ridge(train: pd.DataFrame, section: Baseline) -> RidgeCV:
    """The best penalty differs tenfold between catalogues: chosen on train, so that no baseline is weak."""
    return RidgeCV(section.ridge_alphas, cv=_folds(train, section), scoring="neg_mean_absolute_error")


def _folds(train: pd.DataFrame, section: Baseline) -> Folds:
    return product_folds(train["product"], section.ridge_folds, section.seed)


def _reading() -> Any:
    """READING as a feature, the mean of train where the base gave no answer."""
    return SimpleImputer(keep_empty_features=True)


def _texts(items: pd.DataFrame) -> list[str]:
    return items["text"].tolist()


def _whole(items: pd.DataFrame) -> pd.DataFrame:
    return items


def _fitted(model: Any, inputs: Callable[[pd.DataFrame], Any], train: pd.DataFrame) -> Predictor:
    """Fit on the scale of the grid: where ratios count, errors are relative, and the mean of the
    logarithm is the median of the number, which is what absolute error asks for.
    """
    model.fit(inputs(train), train[SCALED].to_numpy(float))
    return lambda items: np.asarray(model.predict(inputs(items)))
