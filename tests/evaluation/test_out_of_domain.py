"""What a model is worth on listings unlike its training: which they are, and the figures on them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from components.core.params.file import Params
from components.evaluation import out_of_domain, scoring
from components.evaluation.out_of_domain import by_likeness, likeness
from tests.support.project import TASK

KNOWN = [f"steel kettle number {number} with a lid" for number in range(40)]


def test_likeness_is_the_cosine_to_the_nearest_training_text_whatever_the_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = np.random.default_rng(5).integers(0, 300, (230, 12))
    texts = [" ".join(f"w{word}" for word in row) for row in words]
    train, new = texts[:150], [*texts[150:], texts[3], "nothing of it", ""]
    at_once = likeness(train, new)
    monkeypatch.setattr(out_of_domain, "BLOCK_ROWS", 7)
    monkeypatch.setattr(out_of_domain, "BLOCK_COLUMNS", 11)
    assert likeness(train, new).tolist() == at_once.tolist()
    assert at_once[-3:].tolist() == [1.0, 0.0, 0.0]
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer()
    known, unknown = vectorizer.fit_transform(train), vectorizer.transform(new)
    np.testing.assert_allclose(at_once, (unknown @ known.T).toarray().max(axis=1), atol=1e-5)


def test_the_least_like_tenth_has_its_own_error_and_coverage_by_product(params: Params) -> None:
    """Four of forty test listings sell what training never had; they are missed by 50, the others by 5."""
    texts = [*KNOWN[:36], *(f"oil painting of a harbour, {number}" for number in range(4))]
    far = np.array([text.startswith("oil") for text in texts])
    items = pd.DataFrame(
        {
            "id": [f"{number:016x}" for number in range(40)],
            "text": texts,
            "product": [f"p{number // 2}" for number in range(40)],
            "split": "test",
            "target": 100.0,
        }
    )
    validation = items.assign(id=[f"v{number}" for number in range(40)], split="validation")
    everything = pd.concat([validation, items.sample(frac=1, random_state=1)], ignore_index=True)
    error = np.where(everything["text"].str.startswith("oil"), 50.0, 5.0)
    rows = scoring.predictions("sft", everything, 100 + error, TASK, low=90 + error, high=110 + error)
    section = params.evaluate.model_copy(update={"unlike_share": 0.1, "bootstrap": 200})
    figures = by_likeness(KNOWN, everything, rows, section, TASK)
    least, rest = figures["least_like"], figures["rest"]
    assert (least["n"], rest["n"]) == (far.sum(), 36)
    assert (least["loss"], rest["loss"], least["loss_low"]) == (50.0, 5.0, 50.0)
    assert (least["coverage"], rest["coverage"]) == (0.0, 1.0)
    assert least["coverage_low"] == 0.0 < least["coverage_high"] < 1.0
    assert figures["likeness_below"] < 0.5
    assert figures["share"] == 0.1
    wider = by_likeness(KNOWN, everything, rows, section.model_copy(update={"unlike_share": 0.5}), TASK)
    assert (wider["least_like"]["n"], wider["rest"]["loss"]) == (20, 5.0)
