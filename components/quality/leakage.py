"""Has a model read before what it is asked? Overlap of the scored splits with all that it may have read.

Three measures of the texts as a model reads them, from the strictest to the loosest: the same words; a
Jaccard similarity of word 3-shingles as of near duplicates; and shared 13-grams, by which it is usually told
whether a language model has read its test set (Brown et al. 2020, GPT-3, appendix C).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from components.core.schemas import SCORED, Split
from components.curation.minhash import neighbours
from components.curation.shingles import SHINGLE, Ragged, sequence_hashes, shingles, word_hashes

GRAM = 13  # words


Report = dict[str, dict[str, dict[str, Any]]]


def leaks(splits: dict[Split, pd.DataFrame], reading: list[str] | None, similarity: float) -> Report:
    """Scored split -> body of texts -> what `summary` says of the split's rows in it.

    The bodies are `training`, the texts of all other splits, and `base`, the `reading` of the base model;
    where that is not known (None) it is left out. A split without a column `text` counts as without rows.
    """
    texts = {
        split: rows["text"].fillna("").tolist() if "text" in rows else [] for split, rows in splits.items()
    }
    fitted = [text for split, said in texts.items() if split not in SCORED for text in said]
    bodies = {"training": fitted} | ({} if reading is None else {"base": reading})
    asked = _words([text for split in SCORED for text in texts[split]])
    of = np.repeat(SCORED, [len(texts[split]) for split in SCORED])
    found = {body: overlaps(asked, _words(read), similarity) for body, read in bodies.items()}
    return {split: {body: summary(rows[of == split]) for body, rows in found.items()} for split in SCORED}


def overlaps(asked: Ragged, read: Ragged, similarity: float) -> pd.DataFrame:
    """For each asked row of word hashes: `exact` and `near`, whether it was read, and `grams`, the share of
    its 13-grams that were (a text of fewer words is one as a whole).
    """
    exact = pd.Index(sequence_hashes(asked)).isin(sequence_hashes(read))
    grams = shingles(asked, GRAM)
    known = pd.Index(grams.values).isin(shingles(read, GRAM).values)
    shared = np.add.reduceat(known, grams.bounds[:-1], dtype=np.int64) / np.diff(grams.bounds)
    return pd.DataFrame({"exact": exact, "near": exact | _near(asked, read, similarity), "grams": shared})


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """How many rows of `overlaps` have the same words, a near duplicate, or a 13-gram in what was read, and
    the mean share of a row's 13-grams in it.
    """
    return {
        "rows": len(rows),
        "exact": int(rows["exact"].sum()),
        "near": int(rows["near"].sum()),
        "gram": int((rows["grams"] > 0).sum()),
        "gram_share": round(float(rows["grams"].mean()), 4) if len(rows) else 0.0,
    }


def _near(asked: Ragged, read: Ragged, similarity: float) -> np.ndarray:
    """Whether each asked row is as similar as that to one that was read."""
    border = len(read.bounds) - 1
    both = Ragged(
        np.concatenate([read.values, asked.values]),
        np.concatenate([read.bounds, asked.bounds[1:] + read.bounds[-1]]),
    )
    alike = neighbours(shingles(both, SHINGLE), similarity)
    across = alike.pairs[(alike.pairs[:, 0] < border) & (alike.pairs[:, 1] >= border)]
    near = np.zeros(len(alike.first), bool)
    near[across[:, 1]] = True
    return (near[alike.first] | (alike.first < border))[border:]  # what holds of a row holds of its twins


def _words(texts: list[str]) -> Ragged:
    return word_hashes(pa.array(texts, pa.string()))
