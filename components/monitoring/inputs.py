"""Whether what is asked is like what was trained on: length, language, category, what a model sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from components.curation.shingles import WORD
from components.monitoring.looks import Feature, Values
from components.monitoring.two_samples import (
    BY_COMPONENT,
    FISHER,
    KOLMOGOROV_SMIRNOV,
    classes,
    components,
    numbers,
    principal_components,
)
from components.quality.languages import language_of

FOLDS = 5
RARE = 10
"""A category of fewer training rows counts as one with the other rare ones."""
OTHER, NO_LANGUAGE = "(all others)", "none that is seen"


def text_features(reference: Sequence[str], observed: Sequence[str]) -> list[Feature]:
    """Length in characters and language of the texts of training and of the traffic."""
    lengths, languages = (
        [np.array([measure(text) for text in texts]) for texts in (reference, observed)]
        for measure in (_length, _language)
    )
    return [
        Feature("length of the text", *KOLMOGOROV_SMIRNOV, lengths[0], lengths[1], numbers),
        Feature("language", *FISHER, languages[0], languages[1], classes),
    ]


def category_feature(reference: Values, observed: Values) -> Feature:
    """The mix of the categories, as named or as `categories_of` reads them from the texts."""
    return Feature("category", *FISHER, reference, observed, classes)


def categories_of(
    texts: Sequence[str], named: Sequence[str], others: Sequence[str]
) -> tuple[Values, Values] | None:
    """The categories that a naive Bayes reads from words: of the training texts, whose categories are
    `named`, and of `others`. None where training has one category only.

    Both are read by models that have not seen the text, so that they err alike: the difference of their
    shares is that of the texts (black box shift detection, Lipton et al. 2018, arXiv:1802.03916).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.model_selection import cross_val_predict
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    names = pd.Series(named, dtype=object)
    names = names.where(names.map(names.value_counts()) >= RARE, OTHER).to_numpy(str)
    if len(set(names)) < 2 or len(names) < FOLDS:
        return None
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD.pattern)
    model = make_pipeline(words, MultinomialNB(alpha=0.1))
    own = cross_val_predict(model, list(texts), names, cv=_folds(len(names)))
    model.fit(list(texts), names)
    return own, model.predict(list(others)) if len(others) else np.array([], str)


def state_feature(reference: Values, observed: Values, dimensions: int) -> Feature:
    """The hidden states of a language model, (m, d) of training texts and (n, d) of the traffic, by their
    first principal components. Those come from half of the training texts; the other half is compared.
    """
    half = len(reference) // 2
    middle, directions = principal_components(reference[:half], dimensions)
    kept, seen = ((states - middle) @ directions for states in (reference[half:], observed))
    return Feature("hidden states", *BY_COMPONENT, kept, seen, components)


def _length(text: str) -> float:
    return float(len(text))


def _language(text: str) -> str:
    return language_of(text) or NO_LANGUAGE


def _folds(rows: int) -> list[tuple[Values, Values]]:
    """The places of (training, held-out) rows of each fold, in turn: FOLDS of them."""
    fold = np.arange(rows) % FOLDS
    return [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(FOLDS)]
