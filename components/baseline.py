"""What a model has to beat: constants, classical regression, and the base model before any tuning.

Reads the splits of artifacts/curate and the base model in artifacts/base. Everything is fitted on the
train split alone. Writes artifacts/baseline/predictions.parquet (validation and test), a picture, and
reports/baseline.json with the error of each candidate. A tuned model that does no better than these has
learned nothing worth serving.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from components.core import stage
from components.core.params.baseline import Baseline
from components.core.params.prompt import Prompt
from components.core.params.section import load_section
from components.core.schemas import SCORED, Prediction
from components.evaluation import scoring
from components.evaluation.resampling import Floats
from components.model import loading
from components.model.distribution import price_distribution, quantile
from components.model.prompt import few_shot_prompt
from components.regression.features import features
from components.reporting import figures

Predictor = Callable[[pd.DataFrame], Floats]
"""Items to dollars, shape (n,); they may leave the range of prices."""

WORD = r"(?u)\b\w+\b"
LOG_LARGEST = 20.0  # where a regression extrapolates, exp() must not overflow
ANSWER_TOKENS = 8  # room for the price itself at the end of the base model's context


def baseline(
    train: pd.DataFrame, scored: pd.DataFrame, base: Path, section: Baseline, prompt: Prompt
) -> dict[str, Floats]:
    """Dollars for the rows of `scored` by candidate, each of shape (n,), NaN where it has none.

    Both tables have the columns of `Item`; `base` is the folder of the base model.
    """
    regressions = classical(train, scored, section, price_max=prompt.price_max)
    return regressions | untuned(base, train, scored, section, prompt)


def classical(
    train: pd.DataFrame, scored: pd.DataFrame, section: Baseline, *, price_max: float
) -> dict[str, Floats]:
    """Fit every family on `train`; dollars for the rows of `scored`, from 0 to `price_max`, by family.

    Both tables have the columns of `Item`.
    """
    families = tqdm(FAMILIES.items(), desc="classical baselines", leave=False)
    return {name: np.clip(fit(train, section)(scored), 0, price_max) for name, fit in families}


def untuned(
    base: Path,
    train: pd.DataFrame,
    scored: pd.DataFrame,
    section: Baseline,
    prompt: Prompt,
) -> dict[str, Floats]:
    """What the base model predicts before any tuning, without and after one or some priced examples from
    `train`.

    Medians of its price distribution in dollars, NaN where it has none. A prompt with examples may fill
    the model's whole context, so that the listing in question is never cut for them.
    """
    model, tokenizer = loading.load_model(base), loading.load_tokenizer(base)
    context = model.config.max_position_embeddings - ANSWER_TOKENS
    shots = examples(tokenizer, train, section, question=prompt.question, tokens=context - prompt.tokens)
    answers = {}
    for name, used in (("base_zero_shot", []), ("base_one_shot", shots[:1]), ("base_few_shot", shots)):
        prompts = [few_shot_prompt(text, used, prompt.question) for text in scored["text"]]
        limit = context if used else min(prompt.tokens, context)
        options = {"price_max": prompt.price_max, "prompt_tokens": limit, "batch_size": section.batch_size}
        distribution = price_distribution(model, tokenizer, prompts, title=name, **options)
        answers[name] = quantile(distribution, 0.5)
    return answers


def examples(
    tokenizer: Any, train: pd.DataFrame, section: Baseline, *, question: str, tokens: int
) -> list[tuple[str, float]]:
    """Up to `section.shots` rows of `train`, shuffled by the seed, that fit into `tokens` together."""
    chosen: list[tuple[str, float]] = []
    shuffled = train.sample(frac=1, random_state=section.seed)
    for text, price in zip(shuffled["text"], shuffled["price"], strict=True):
        if len(chosen) == section.shots:
            break
        if len(tokenizer(few_shot_prompt("", [*chosen, (text, price)], question)).input_ids) <= tokens:
            chosen.append((text, float(price)))
    return chosen


# --- the families ------------------------------------------------------------------------------------


def mean(train: pd.DataFrame, _: Baseline) -> Predictor:
    """The mean price for everything."""
    return lambda items: np.full(len(items), train["price"].mean())


def median(train: pd.DataFrame, _: Baseline) -> Predictor:
    """The median price for everything: no constant has a lower absolute error on train."""
    return lambda items: np.full(len(items), train["price"].median())


def linear(train: pd.DataFrame, section: Baseline) -> Predictor:
    """Linear regression on the features; a specification that is not named is 0, and flagged as such."""
    fill = SimpleImputer(strategy="constant", fill_value=0, add_indicator=True)
    return _fitted(make_pipeline(fill, StandardScaler(), LinearRegression()), features(train, section), train)


def bag_of_words_ridge(train: pd.DataFrame, section: Baseline) -> Predictor:
    """Ridge regression on the counts of words."""
    words = CountVectorizer(max_features=section.vocabulary, token_pattern=WORD)
    return _fitted(make_pipeline(words, _ridge(section)), _texts, train)


def tfidf_ridge(train: pd.DataFrame, section: Baseline) -> Predictor:
    """Ridge regression on TF-IDF of words and pairs of words."""
    return _fitted(make_pipeline(_tfidf(section), _ridge(section)), _texts, train)


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


FAMILIES: dict[str, Callable[[pd.DataFrame, Baseline], Predictor]] = {
    "mean": mean,
    "median": median,
    "linear": linear,
    "bag_of_words_ridge": bag_of_words_ridge,
    "tfidf_ridge": tfidf_ridge,
    "boosting": boosting,
}


# --- helpers -----------------------------------------------------------------------------------------


def _tfidf(section: Baseline) -> TfidfVectorizer:
    return TfidfVectorizer(
        max_features=section.vocabulary, token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True
    )


def _ridge(section: Baseline) -> RidgeCV:
    """The best penalty differs tenfold between catalogues: chosen on train, so that no baseline is weak."""
    folds = KFold(section.ridge_folds, shuffle=True, random_state=section.seed)
    return RidgeCV(section.ridge_alphas, cv=folds, scoring="neg_mean_absolute_error")


def _texts(items: pd.DataFrame) -> list[str]:
    return items["text"].tolist()


def _fitted(model: Any, inputs: Callable[[pd.DataFrame], Any], train: pd.DataFrame) -> Predictor:
    """Fit on the logarithm of the price: errors in price are relative, and the mean of the logarithm is
    the median of the price, which is what absolute error asks for.
    """
    model.fit(inputs(train), np.log(train["price"].to_numpy(float)))
    return lambda items: np.exp(np.minimum(model.predict(inputs(items)), LOG_LARGEST))


def main() -> None:
    """Fit, predict, write the predictions and their errors."""
    with stage.run(Baseline) as frame:
        prompt, folder = load_section(Prompt), Path("artifacts/curate")
        train = stage.read(folder / "train.parquet")
        scored = pd.concat([stage.read(folder / f"{split}.parquet") for split in SCORED], ignore_index=True)
        predicted = baseline(train, scored, Path("artifacts/base"), frame.section, prompt)
        rows = pd.concat([scoring.predictions(name, scored, prices) for name, prices in predicted.items()])
        errors = scoring.mean_errors(rows)
        frame.save("predictions.parquet", rows, Prediction)
        frame.picture(figures.mean_errors(errors, "validation"), "mae.png")
        frame.report({"rows_train": len(train), "candidates": errors})


if __name__ == "__main__":
    main()
