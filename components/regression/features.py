"""Plain features of a listing for the classical baselines: what a spreadsheet would know of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder

from components.core.params.baseline import Baseline

NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
LARGEST = 1e12  # a serial number of 400 digits would be infinite


def features(train: pd.DataFrame, section: Baseline) -> Callable[[pd.DataFrame], np.ndarray]:
    """Items to (n, k): category and brand one-hot, logarithms of text length and specifications.

    Which columns there are is learned from `train`; NaN where a specification is not named.
    """
    counts = Counter(name for details in train["details"] for name in specifications(details))
    names = [name for name, _ in counts.most_common(section.specifications)]
    columns = ["category", "brand"]
    encoder = OneHotEncoder(
        max_categories=section.brands, handle_unknown="infrequent_if_exist", sparse_output=False
    ).fit(train[columns].to_numpy(object))

    def transform(items: pd.DataFrame) -> np.ndarray:
        numbers_of = [specifications(details) for details in items["details"]]
        rows = [
            [len(text), *(values.get(name, np.nan) for name in names)]
            for text, values in zip(items["text"], numbers_of, strict=True)
        ]
        numbers = np.log1p(np.array(rows, dtype=float))
        return np.hstack([encoder.transform(items[columns].to_numpy(object)), numbers])

    return transform


def specifications(details: str) -> dict[str, float]:
    """The first number in each value of a JSON object: `{"Memory": "16 GB"}` gives `{"Memory": 16.0}`."""
    matches = {str(name): NUMBER.search(str(value)) for name, value in json.loads(details or "{}").items()}
    return {
        name: min(float(match.group().replace(",", "")), LARGEST) for name, match in matches.items() if match
    }
