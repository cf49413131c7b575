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
from components.core.schemas import HELD_OUT, SCORED, Prediction
from components.evaluation import scoring
from components.evaluation.resampling import Floats
from components.model import loading
from components.model.distribution import answer_distribution
from components.model.grid import Grid
from components.model.hidden_states import hidden_states
from components.model.prompt import few_shot_prompt
from components.model.tokens import require_apart
from components.regression.features import features
from components.regression.regressions import Regressions, fit_regressions
from components.regression.ridge import UNPENALIZED, WORD, Folds, product_folds
from components.reporting import figures
from components.tasks import load_task
from components.tasks.number import NumberTask

Predictor = Callable[[pd.DataFrame], Floats]
"""Items to targets on the scale of the grid, (n,)."""
Family = Callable[[pd.DataFrame, Baseline], Predictor]
"""Fits a predictor on the train split."""

SCALED = "scaled"  # the column with the target on the scale of the grid: `Grid.scaled`
READING = "reading"  # the column with what the untuned base predicts, on that scale
ANSWER_TOKENS = 8  # room for the answer itself at the end of the base model's context


class Fitted(NamedTuple):
    """What `baseline` fits."""

    predicted: dict[str, Floats]
    """The answers of each candidate to the scored rows, (n,), NaN where it has none."""
    regressions: Regressions
    """Those that are blended."""


def baseline(
    train: pd.DataFrame, scored: pd.DataFrame, base: Path, section: Baseline, task: NumberTask
) -> Fitted:
    """Fit every baseline on `train` and let it answer the rows of `scored`; those that know the base, on the
    rows of `train` that it has read.

    Both tables have the columns of `Item`; `base` is the folder of the base model.
    """
    grid = task.grid
    plain = constants(train, len(scored)) | classical(train, scored, section, grid)
    train = train.sample(min(len(train), section.read_rows_max), random_state=section.seed).sort_index()
    answers, answers_train, *states = untuned(base, train, scored, section, task)
    readings_train, readings = grid.scaled(answers_train), grid.scaled(answers["base_zero_shot"])
    read_train, read = train.assign(**{READING: readings_train}), scored.assign(**{READING: readings})
    recalibrated = classical(read_train, read, section, grid, WITH_READING)
    targets = grid.scaled(train["target"])
    blended = fit_regressions(train, targets, readings_train, states[0], section)
    known = _texts(scored), readings, states[1]
    own = {
        "hidden_states_ridge": blended.ridge.predict(*known),
        "hidden_states_boosting": blended.boosting.predict(*known),
        "neighbours": blended.neighbours.predict(_texts(scored)),
    }
    unscaled = {name: grid.unscaled(predicted) for name, predicted in own.items()}
    return Fitted(plain | recalibrated | unscaled | answers, blended)


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


def untuned(
    base: Path, train: pd.DataFrame, scored: pd.DataFrame, section: Baseline, task: NumberTask
) -> tuple[dict[str, Floats], Floats, Floats, Floats]:
    """(what the base model predicts for `scored` before any tuning, without and after one or some
    examples from `train`, by candidate; that without examples for `train` itself; its hidden states of
    `train`, (n, size); those of `scored`).

    Predictions are medians of its distribution, NaN where it has none. A prompt with
    examples may fill the model's whole context, so that the listing in question is never cut for them.
    """
    model, tokenizer = loading.load_model(base), loading.load_tokenizer(base)
    require_apart(tokenizer, task.answer)
    context = model.config.max_position_embeddings - ANSWER_TOKENS

    def median_of(items: pd.DataFrame, shots: list[tuple[str, str]], title: str) -> Floats:
        prompts = [few_shot_prompt(text, shots, task) for text in items["text"]]
        limit = context if shots else min(task.tokens, context)
        options: dict[str, Any] = {"prompt_tokens": limit, "batch_size": section.batch_size, "title": title}
        reading: Any = (model, tokenizer, prompts, task.spelled)
        return task.grid.median(answer_distribution(*reading, **options))

    shots = examples(tokenizer, train, section, task, tokens=context - task.tokens)
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
    tokenizer: Any, train: pd.DataFrame, section: Baseline, task: NumberTask, *, tokens: int
) -> list[tuple[str, str]]:
    """Up to `section.shots` rows of `train` with their completions, shuffled by the seed, that fit into
    `tokens` together.
    """
    chosen: list[tuple[str, str]] = []
    shuffled = train.sample(frac=1, random_state=section.seed)
    for text, target in zip(shuffled["text"], shuffled["target"], strict=True):
        if len(chosen) == section.shots:
            break
        longer = [*chosen, (text, task.completion(target))]
        if len(tokenizer(few_shot_prompt("", longer, task)).input_ids) <= tokens:
            chosen = longer
    return chosen


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


def main() -> None:
    """Fit, predict, write the predictions and their errors."""
    with stage.run(Baseline) as frame:
        task, folder = load_task(), Path("artifacts/curate")
        train = stage.read(folder / "train.parquet")
        scored = pd.concat([stage.read(folder / f"{split}.parquet") for split in HELD_OUT], ignore_index=True)
        fitted = baseline(train, scored, Path("artifacts/base"), frame.section, task)
        rows = pd.concat(
            [scoring.predictions(name, scored, answers) for name, answers in fitted.predicted.items()]
        )
        errors = scoring.mean_errors(rows[rows["split"].isin(SCORED)])
        frame.save("predictions.parquet", rows, Prediction)
        fitted.regressions.save(frame.folder / "regressions")
        frame.picture(figures.mean_errors(errors, "validation", task.unit), "mae.png")
        frame.report({"rows_train": len(train), "candidates": errors})


if __name__ == "__main__":
    main()
