"""What a model has to beat: constants, classical regression, the base model before any tuning, and
regressions that know what that base predicts.

Reads the splits of artifacts/curate and the base model in artifacts/base. Everything is fitted on the
train split alone. Writes artifacts/baseline/predictions.parquet (validation, gate and test), the regressions
that know the base (regressions/), a picture, and reports/baseline.json with the error of each candidate on
validation and test. A tuned model that does no better than these has learned nothing worth serving.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

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

from components.core import stage
from components.core.params.baseline import Baseline
from components.core.params.section import load_section
from components.core.params.task import Task
from components.core.schemas import HELD_OUT, SCORED, Prediction
from components.evaluation import scoring
from components.evaluation.resampling import Floats
from components.model import loading
from components.model.distribution import price_distribution, quantile
from components.model.hidden_states import hidden_states
from components.model.prompt import few_shot_prompt
from components.regression.features import features
from components.regression.regressions import Regressions, fit_regressions
from components.regression.ridge import LOG_LARGEST, UNPENALIZED, WORD, Folds, logarithm, product_folds
from components.reporting import figures

Predictor = Callable[[pd.DataFrame], Floats]
"""Items to dollars, shape (n,); they may leave the range of prices."""
Family = Callable[[pd.DataFrame, Baseline], Predictor]
"""Fits a predictor on the train split."""

READING = "base_zero_shot"  # the column with what the untuned base predicts, dollars
ANSWER_TOKENS = 8  # room for the price itself at the end of the base model's context


class Fitted(NamedTuple):
    """What `baseline` fits."""

    predicted: dict[str, Floats]
    """Dollars for the scored rows by candidate, each of shape (n,), NaN where it has none."""
    regressions: Regressions
    """Those that are blended."""


def baseline(train: pd.DataFrame, scored: pd.DataFrame, base: Path, section: Baseline, task: Task) -> Fitted:
    """Fit every baseline on `train` and let it price the rows of `scored`; those that know the base, on the
    rows of `train` that it has read.

    Both tables have the columns of `Item`; `base` is the folder of the base model.
    """
    plain = classical(train, scored, section, price_max=task.number.max)
    train = train.sample(min(len(train), section.read_rows_max), random_state=section.seed).sort_index()
    answers, readings, *states = untuned(base, train, scored, section, task)
    read_train, read = train.assign(**{READING: readings}), scored.assign(**{READING: answers[READING]})
    recalibrated = classical(read_train, read, section, price_max=task.number.max, families=WITH_READING)
    blended = fit_regressions(read_train, readings, states[0], section)
    known = _texts(read), answers[READING], states[1]
    own = {
        "hidden_states_ridge": blended.ridge.predict(*known),
        "hidden_states_boosting": blended.boosting.predict(*known),
        "neighbours": blended.neighbours.predict(_texts(read)),
    }
    clipped = {name: np.clip(dollars, 0, task.number.max) for name, dollars in own.items()}
    return Fitted(plain | recalibrated | clipped | answers, blended)


def classical(
    train: pd.DataFrame,
    scored: pd.DataFrame,
    section: Baseline,
    *,
    price_max: float,
    families: dict[str, Family] | None = None,
) -> dict[str, Floats]:
    """Fit every family on `train`; dollars for the rows of `scored`, from 0 to `price_max`, by family.

    Both tables have the columns of `Item`; those of WITH_READING also need the column READING.
    """
    shown = tqdm((families or FAMILIES).items(), desc="classical baselines", leave=False)
    return {name: np.clip(fit(train, section)(scored), 0, price_max) for name, fit in shown}


def untuned(
    base: Path, train: pd.DataFrame, scored: pd.DataFrame, section: Baseline, task: Task
) -> tuple[dict[str, Floats], Floats, Floats, Floats]:
    """(what the base model predicts for `scored` before any tuning, without and after one or some priced
    examples from `train`, by candidate; that without examples for `train` itself; its hidden states of
    `train`, (n, size); those of `scored`).

    Predictions are medians of its price distribution in dollars, NaN where it has none. A prompt with
    examples may fill the model's whole context, so that the listing in question is never cut for them.
    """
    model, tokenizer = loading.load_model(base), loading.load_tokenizer(base)
    context = model.config.max_position_embeddings - ANSWER_TOKENS

    def median_of(items: pd.DataFrame, shots: list[tuple[str, float]], title: str) -> Floats:
        prompts = [few_shot_prompt(text, shots, task.question) for text in items["text"]]
        limit = context if shots else min(task.tokens, context)
        options = {"price_max": task.number.max, "prompt_tokens": limit, "batch_size": section.batch_size}
        return quantile(price_distribution(model, tokenizer, prompts, title=title, **options), 0.5)

    shots = examples(tokenizer, train, section, question=task.question, tokens=context - task.tokens)
    prompted = {"base_zero_shot": [], "base_one_shot": shots[:1], "base_few_shot": shots}
    answers = {name: median_of(scored, used, name) for name, used in prompted.items()}
    states = [
        hidden_states(
            model,
            tokenizer,
            _texts(items),
            task,
            depths=section.hidden_depths,
            batch_size=section.batch_size,
            title="hidden states",
        )
        for items in (train, scored)
    ]
    return answers, median_of(train, [], "base_zero_shot on train"), states[0], states[1]


def examples(
    tokenizer: Any, train: pd.DataFrame, section: Baseline, *, question: str, tokens: int
) -> list[tuple[str, float]]:
    """Up to `section.shots` rows of `train`, shuffled by the seed, that fit into `tokens` together."""
    chosen: list[tuple[str, float]] = []
    shuffled = train.sample(frac=1, random_state=section.seed)
    for text, price in zip(shuffled["text"], shuffled["target"], strict=True):
        if len(chosen) == section.shots:
            break
        if len(tokenizer(few_shot_prompt("", [*chosen, (text, price)], question)).input_ids) <= tokens:
            chosen.append((text, float(price)))
    return chosen


# --- the families ------------------------------------------------------------------------------------


def mean(train: pd.DataFrame, _: Baseline) -> Predictor:
    """The mean price for everything."""
    return lambda items: np.full(len(items), train["target"].mean())


def median(train: pd.DataFrame, _: Baseline) -> Predictor:
    """The median price for everything: no constant has a lower absolute error on train."""
    return lambda items: np.full(len(items), train["target"].median())


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
    """The untuned base with its answers rescaled: the logarithm of the price is linear in that of the
    reading, with a constant for each category. What fine-tuning adds is what it does better than this.
    """
    constants = OneHotEncoder(max_categories=section.brands, handle_unknown="infrequent_if_exist")
    columns = make_column_transformer((constants, ["category"]), (_log_reading(), [READING]))
    return _fitted(make_pipeline(columns, LinearRegression()), _whole, train)


def ridge_with_base(train: pd.DataFrame, section: Baseline) -> Predictor:
    """`bag_of_words_ridge` that knows the untuned base's reading as well, which its penalty hardly holds."""
    words = CountVectorizer(max_features=section.vocabulary, token_pattern=WORD)
    reading = make_pipeline(_log_reading(), FunctionTransformer(lambda logs: UNPENALIZED * logs))
    columns = make_column_transformer((words, "text"), (reading, [READING]), sparse_threshold=1.0)
    return _fitted(make_pipeline(columns, _ridge(train, section)), _whole, train)


FAMILIES: dict[str, Family] = {
    "mean": mean,
    "median": median,
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


def _log_reading() -> Any:
    """The logarithm of READING as a feature, the mean of train where the base gave no price."""
    return make_pipeline(FunctionTransformer(logarithm), SimpleImputer(keep_empty_features=True))


def _texts(items: pd.DataFrame) -> list[str]:
    return items["text"].tolist()


def _whole(items: pd.DataFrame) -> pd.DataFrame:
    return items


def _fitted(model: Any, inputs: Callable[[pd.DataFrame], Any], train: pd.DataFrame) -> Predictor:
    """Fit on the logarithm of the price: errors in price are relative, and the mean of the logarithm is
    the median of the price, which is what absolute error asks for.
    """
    model.fit(inputs(train), np.log(train["target"].to_numpy(float)))
    return lambda items: np.exp(np.minimum(model.predict(inputs(items)), LOG_LARGEST))


def main() -> None:
    """Fit, predict, write the predictions and their errors."""
    with stage.run(Baseline) as frame:
        task, folder = load_section(Task), Path("artifacts/curate")
        train = stage.read(folder / "train.parquet")
        scored = pd.concat([stage.read(folder / f"{split}.parquet") for split in HELD_OUT], ignore_index=True)
        fitted = baseline(train, scored, Path("artifacts/base"), frame.section, task)
        rows = pd.concat(
            [scoring.predictions(name, scored, prices) for name, prices in fitted.predicted.items()]
        )
        errors = scoring.mean_errors(rows[rows["split"].isin(SCORED)])
        frame.save("predictions.parquet", rows, Prediction)
        fitted.regressions.save(frame.folder / "regressions")
        frame.picture(figures.mean_errors(errors, "validation"), "mae.png")
        frame.report({"rows_train": len(train), "candidates": errors})


if __name__ == "__main__":
    main()
