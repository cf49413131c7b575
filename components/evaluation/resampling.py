"""The bootstrap by products: rows of one product are not independent, so that whole products are drawn.

Listings of one product share what makes it hard to predict. An interval that draws rows takes each of them
for new evidence and is too short: with clusters of three rows and a correlation of 0.9 it misses the truth
five times as often as it says. Drawing clusters whole (Field and Welsh 2007, the cluster bootstrap) keeps
what is alike together. Where every product has one row this is the ordinary bootstrap (Efron 1979), draw by
draw. Plain numpy, no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.model.answers import Floats as Floats

Products = NDArray[Any]
"""The product of each row, (rows,): ids of any kind that can be compared."""

Statistic = Callable[[Floats], Floats]
"""How often each row was drawn, of shape (draws, rows), to one value a draw, (draws,)."""

CONFIDENCE = 0.95
"""Of every interval, unless another is given."""

DRAWS_AT_ONCE = 1 << 20
"""Rows samples per step of the bootstrap: bounds its memory to some 40 MB whatever the table's size."""


def numbered(products: Products) -> NDArray[np.int64]:
    """The number of each row's product, (rows,), counted from 0 in the order in which they first appear."""
    return pd.factorize(np.asarray(products))[0].astype(np.int64)


def drawn(products: int, *, bootstrap: int, seed: int, width: int) -> Iterator[Floats]:
    """How often each product is in each of `bootstrap` samples of as many products, in steps of shape
    (draws, products); `width` values a draw are bounded by DRAWS_AT_ONCE.
    """
    generator, step = np.random.default_rng(seed), max(1, DRAWS_AT_ONCE // width)
    for start in range(0, bootstrap, step):
        draws = min(step, bootstrap - start)
        samples = generator.integers(0, products, (draws, products))
        samples += products * np.arange(draws)[:, None]
        counts = np.bincount(samples.ravel(), minlength=draws * products)
        yield counts.reshape(draws, products).astype(np.float64)


def interval(
    statistic: Statistic, products: Products, *, bootstrap: int, seed: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Percentile interval of a statistic, its products resampled; draws for which it does not exist (NaN) do
    not count.
    """
    number = numbered(products)
    steps = drawn(int(number.max()) + 1, bootstrap=bootstrap, seed=seed, width=len(number))
    values = np.concatenate([statistic(counts[:, number]) for counts in steps])
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def mean(values: Floats, counts: Floats) -> Floats:
    """The mean of `values` (rows,) in each draw, by how often it drew each row: (draws, rows) to (draws,)."""
    return (counts * values).sum(axis=-1) / counts.sum(axis=-1)


def median(values: Floats, counts: Floats) -> Floats:
    """The median of `values` (rows,) in each draw, likewise: the mean of the two middle ones."""
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(counts[:, order], axis=-1)
    last = upto[:, -1:] - 1
    places = [(upto <= np.floor(last / 2)).sum(axis=-1), (upto <= np.ceil(last / 2)).sum(axis=-1)]
    return values[order[places]].mean(axis=0)


def contributions(values: Floats, number: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """The sum of `values` of each product and its count of rows, (products,) each; `number` by `numbered`."""
    sizes = np.bincount(number).astype(np.float64)
    return np.bincount(number, values).astype(np.float64), sizes
