"""Test-set contamination: the overlap of the held-out splits with everything that a model may have read.

Three measures of the texts as a model reads them, from the strictest to the loosest: the same words; a
Jaccard similarity of word 3-shingles as of near duplicates; and shared 13-grams, the usual
sign that a language model has read its test set (Brown et al. 2020, GPT-3, appendix C).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from components.core.schemas import HELD_OUT, Split
from components.curation.common_shingles import boilerplate, rows_with, shared_by, without
from components.curation.minhash import neighbours
from components.curation.shingles import SHINGLE, Ragged, sequence_hashes, shingles, word_hashes

GRAM = 13  # words

Leakage = dict[str, dict[str, dict[str, Any]]]
"""Scored split -> body of texts (`training` or `base`) -> the counts of `summary`."""


def measure_leakage(
    splits: dict[Split, pd.DataFrame], corpus: list[str] | None, similarity: float, common_share: float
) -> Leakage:
    """Overlap of the texts of each held-out split with `training`, the texts of all other splits, and with
    `base`, the `corpus` that the base model has read; without `base` where that is not known (None).

    `similarity` is the Jaccard similarity of near duplicates; shingles that more than `common_share` of the
    texts have do not count in it. A split without a column `text` has no rows.
    """
    fitted = [rows for split, rows in splits.items() if split not in HELD_OUT]
    training = [text for rows in fitted for text in _texts(rows)]
    scored = {split: splits[split] for split in HELD_OUT}
    return leakage_against(scored, [training], corpus, similarity, common_share)


def leakage_against(
    scored: dict[Split, pd.DataFrame],
    training: Iterable[list[str]],
    corpus: list[str] | None,
    similarity: float,
    common_share: float,
) -> Leakage:
    """`measure_leakage` of rows of scored splits against the texts of the others, a batch at a time.

    Which shingles are common is decided for each batch and the scored rows.
    """
    bodies = {"training": training} | ({} if corpus is None else {"base": [corpus]})
    texts = {split: _texts(rows) for split, rows in scored.items()}
    words = _words([text for rows in texts.values() for text in rows])
    split_of = np.repeat(list(texts), [len(rows) for rows in texts.values()])
    overlap = {
        body: overlaps(words, map(_words, read), similarity, common_share) for body, read in bodies.items()
    }
    return {
        split: {body: summary(rows[split_of == split]) for body, rows in overlap.items()} for split in scored
    }


def overlaps(
    scored: Ragged, batches: Iterable[Ragged], similarity: float, common_share: float
) -> pd.DataFrame:
    """For each row of word hashes of `scored`: `exact`, `nearest` and `near`, whether it is in one of the
    batches, and `grams`, the share of its 13-grams that are (a text of fewer words is one 13-gram).

    `nearest` is at a similarity half way between that of near duplicates and 1. Curation compares
    descriptions, so that whole texts of two products may be near each other; the nearest never are.
    """
    words, grams = pd.Index(sequence_hashes(scored)), shingles(scored, GRAM)
    exact, nearest, near = np.zeros((3, len(words)), bool)
    known = np.zeros(len(grams.values), bool)
    for read in batches:
        exact |= words.isin(sequence_hashes(read))
        near_here = _near(scored, read, similarity, common_share)
        if near_here.any():
            near |= near_here
            nearest |= _near(scored, read, (1 + similarity) / 2, common_share)
        known |= pd.Index(grams.values).isin(shingles(read, GRAM).values)
    shared = np.add.reduceat(known, grams.bounds[:-1], dtype=np.int64) / np.diff(grams.bounds)
    return pd.DataFrame({"exact": exact, "nearest": exact | nearest, "near": exact | near, "grams": shared})


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Of rows of `overlaps`: how many have the same words, a nearest or near duplicate, or a 13-gram in the
    body, and the mean share of a row's 13-grams in it.
    """
    return {
        "rows": len(rows),
        "exact": int(rows["exact"].sum()),
        "nearest": int(rows["nearest"].sum()),
        "near": int(rows["near"].sum()),
        "gram": int((rows["grams"] > 0).sum()),
        "gram_share": round(float(rows["grams"].mean()), 4) if len(rows) else 0.0,
    }


def _near(scored: Ragged, read: Ragged, similarity: float, common_share: float) -> np.ndarray:
    """Whether each scored row has a near duplicate of that similarity among the rows read, bool (rows,)."""
    border = len(read.bounds) - 1
    both = Ragged(
        np.concatenate([read.values, scored.values]),
        np.concatenate([read.bounds, scored.bounds[1:] + read.bounds[-1]]),
    )
    rows = shingles(both, SHINGLE)
    candidates = shared_by(rows, common_share)
    common = boilerplate(candidates, rows_with(rows, candidates), len(both.bounds) - 1, common_share)
    first, pairs = neighbours(without(rows, common), similarity)
    across = pairs[(pairs[:, 0] < border) & (pairs[:, 1] >= border)]
    near = np.zeros(len(first), bool)
    near[across[:, 1]] = True
    return (near[first] | (first < border))[border:]  # what holds of a row holds of its twins


def _texts(rows: pd.DataFrame) -> list[str]:
    return rows["text"].fillna("").tolist() if "text" in rows else []


def _words(texts: list[str]) -> Ragged:
    return word_hashes(pa.array(texts, pa.string()))
