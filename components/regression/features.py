"""Plain features of a listing for the classical baselines: what a spreadsheet would know of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder

from components.core.params.baseline import Baseline
from components.regression.quantities import commonest, logarithms


def features(train: pd.DataFrame, section: Baseline) -> Callable[[pd.DataFrame], np.ndarray]:
    """Items to (n, k): category and brand one-hot, logarithms of text length and quantities.

    Which columns there are is learned from `train`; NaN where a quantity is not named.
    """
    names = commonest(train["text"].tolist(), section.quantities)
    columns = ["category", "brand"]
    encoder = OneHotEncoder(
        max_categories=section.brands, handle_unknown="infrequent_if_exist", sparse_output=False
    ).fit(train[columns].to_numpy(object))

    def transform(items: pd.DataFrame) -> np.ndarray:
        numbers = logarithms(items["text"].tolist(), names)
        return np.hstack([encoder.transform(items[columns].to_numpy(object)), numbers])

    return transform
