"""The targets of the nearest training listings, nearest by the cosine of TF-IDF.

    target = sum of w_i * target of neighbour i,   w_i proportional to exp(nearness_i / temperature)

A catalogue that lists one kind of thing many times has its targets there already. Targets are on the scale of
the grid: `Grid.scaled`. Where the nearest is far,
the answer says little: how wide it is depends on how near the nearest is, as seen on training listings that
were held against those of other products.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy import sparse

from components.core.errors import PricewrightError
from components.evaluation.resampling import Floats
from components.model.grid import Grid
from components.regression.ridge import NARROWEST, normal, require_whole
from components.regression.terms import Terms, fit_terms

AT_ONCE = 500  # rows held against all listings at a time
JUDGED = 2000  # training listings, at most, that tell how wide the errors are
SHARES = [0.2, 0.4, 0.6, 0.8, 0.9]  # of listings by nearness, between which the width is one
WORDS, NUMBERS = "neighbours.json", "neighbours.safetensors"
SPARSE = ("data", "indices", "indptr")


@dataclass(frozen=True)
class Neighbours:
    """The training listings that others are held against."""

    terms: Terms
    listings: sparse.csr_matrix
    """(listings, words), TF-IDF in rows of length 1."""
    targets: Floats
    """(listings,)."""
    edges: Floats
    """(5,), nearness of the nearest at which the width changes."""
    deviations: Floats
    """(6,), standard deviations of the target about its prediction between the edges."""
    number: int
    """How many neighbours are asked."""
    temperature: float
    """Of their weights, in units of nearness (a cosine)."""

    def predict(self, texts: list[str]) -> Floats:
        """Targets, (n,), for listing texts."""
        return self._predict(self._tfidf(texts))[0]

    def distribution(self, texts: list[str], grid: Grid) -> Floats:
        """Probability of each number of the grid, (n, numbers), rows sum to 1: normal about the prediction,
        the wider the farther the nearest listing is.
        """
        predicted, nearness = self._predict(self._tfidf(texts))
        return normal(predicted, self.deviations[np.searchsorted(self.edges, nearness)], grid)

    def save(self, folder: Path) -> None:
        """Write `neighbours.json` and `neighbours.safetensors` to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        kept = {"words": self.terms.words, "number": self.number, "temperature": self.temperature}
        (folder / WORDS).write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
        numbers = {name: getattr(self, name) for name in ("targets", "edges", "deviations")}
        numbers |= {name: getattr(self.listings, name) for name in SPARSE} | {"rarity": self.terms.rarity}
        save_file(numbers, folder / NUMBERS)

    @classmethod
    def load(cls, folder: Path) -> Neighbours:
        """What `save` wrote. Raises PricewrightError where a part of it is missing or fits no other."""
        require_whole(folder, WORDS, NUMBERS)
        kept = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        numbers: dict[str, Any] = load_file(folder / NUMBERS)
        if (
            len(kept["words"]) != len(numbers["rarity"])
            or len(numbers["indptr"]) != len(numbers["targets"]) + 1
        ):
            raise PricewrightError(f"{folder}: {WORDS} and {NUMBERS} are of two catalogues")
        shape = (len(numbers["targets"]), len(kept["words"]))
        listings = sparse.csr_matrix(tuple(numbers.pop(name) for name in SPARSE), shape=shape)
        terms = Terms(kept.pop("words"), numbers.pop("rarity"))
        return cls(terms, listings, **kept, **numbers)

    def _tfidf(self, texts: list[str]) -> Any:
        return self.terms.tfidf(self.terms.counts(texts))

    def _predict(self, tfidf: Any, products: Any = None, own: Any = None) -> tuple[Floats, Floats]:
        """(targets, the nearness of the nearest listing) of each row of TF-IDF, (n,) each; `products` of
        the listings and `own` of the rows, where a row is not to be held against its own product.
        """
        parts = []
        for start in range(0, tfidf.shape[0], AT_ONCE):
            nearness = (tfidf[start : start + AT_ONCE] @ self.listings.T).toarray()
            if own is not None:
                nearness[own[start : start + AT_ONCE, None] == products[None, :]] = -1.0
            parts.append(self._mean_of(nearness))
        predicted, nearest = zip(*parts, strict=True)
        return np.concatenate(predicted), np.concatenate(nearest)

    def _mean_of(self, nearness: Floats) -> tuple[Floats, Floats]:
        number = min(self.number, nearness.shape[1])
        asked = np.argpartition(-nearness, number - 1, axis=1)[:, :number]
        near = np.take_along_axis(nearness, asked, axis=1)
        nearest = near.max(axis=1)
        weights = np.exp((near - nearest[:, None]) / self.temperature)
        predicted = (weights * self.targets[asked]).sum(axis=1) / weights.sum(axis=1)
        return np.where(
            nearest > 0, predicted, self.targets.mean()
        ), nearest  # without a word in common: the mean


def fit_neighbours(
    texts: list[str],
    targets: Floats,
    products: Any,
    *,
    vocabulary: int,
    number: int,
    temperature: float,
    seed: int,
) -> Neighbours:
    """Keep listing texts and their targets, (n,); `vocabulary` words tell how near they are to each
    other. `products`, (n,), say which are of one product: these tell nothing of how wide the errors are.
    """
    terms, counts = fit_terms(texts, vocabulary)
    listings = sparse.csr_matrix(terms.tfidf(counts))
    unmeasured = Neighbours(terms, listings, targets, np.empty(0), np.empty(0), number, temperature)
    rows = np.sort(np.random.default_rng(seed).permutation(len(texts))[:JUDGED])
    products = np.unique(np.asarray(products), return_inverse=True)[1]
    predicted, nearness = unmeasured._predict(listings[rows], products, products[rows])
    edges, deviations = widths(nearness, predicted - targets[rows])
    return replace(unmeasured, edges=edges, deviations=deviations)


def widths(nearness: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """(edges, deviations) of `Neighbours`: the root mean square of errors, (n,), between
    quantiles of nearness, (n,); that of all where none lies between two.
    """
    edges = np.quantile(nearness, SHARES)
    between = np.searchsorted(edges, nearness)
    squares = [errors[between == part] ** 2 for part in range(len(SHARES) + 1)]
    deviations = [np.sqrt(np.mean(part if len(part) else errors**2)) for part in squares]
    return edges, np.maximum(deviations, NARROWEST)
