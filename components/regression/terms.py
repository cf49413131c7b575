"""The words of a catalogue: which of them count, how rare each is, and how often a listing has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.preprocessing import normalize

from components.evaluation.resampling import Floats
from components.regression.ridge import WORD

OPTIONS: dict[str, Any] = {"token_pattern": WORD, "ngram_range": (1, 2)}


@dataclass(frozen=True)
class Terms:
    """Words and pairs of words of training listings."""

    words: list[str]
    rarity: Floats
    """(words,), the inverse document frequencies."""

    def counts(self, texts: list[str]) -> Any:
        """1 + log(count) where a term stands, 0 where it does not: sparse, (n, words)."""
        return _logarithms(self._vectorizer.transform(texts))

    def tfidf(self, counts: Any) -> Any:
        """TF-IDF of `counts`: each term times its rarity, each row scaled to length 1."""
        return normalize(counts @ sparse.diags(self.rarity))

    @cached_property
    def _vectorizer(self) -> CountVectorizer:
        return CountVectorizer(vocabulary=self.words, **OPTIONS)


def fit_terms(texts: list[str], number: int) -> tuple[Terms, Any]:
    """(the `number` commonest terms of training listings, the `counts` of these)."""
    counts = _logarithms((vectorizer := CountVectorizer(max_features=number, **OPTIONS)).fit_transform(texts))
    return Terms(vectorizer.get_feature_names_out().tolist(), TfidfTransformer().fit(counts).idf_), counts


def _logarithms(counts: Any) -> Any:
    counts = counts.astype(float)
    counts.data = 1 + np.log(counts.data)
    return counts
