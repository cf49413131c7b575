"""A blend: the tuned language model and a ridge regression that knows the untuned one, priced as one model.

Different readers err differently: the language model knows what words mean, the regression has counted every
word of the catalogue.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.blending.pool import fit_weights, pool
from components.core.errors import PricewrightError
from components.evaluation.resampling import Floats
from components.model.distribution import quantile
from components.regression.ridge import RidgeWithBase

WEIGHTS = "blend.json"
PARTS = ("sft", "ridge_with_base")


@dataclass(frozen=True)
class Blend:
    """How the price distributions of PARTS become one."""

    weights: dict[str, float]
    """Exponent of each part in the logarithmic pool."""
    ridge: RidgeWithBase

    def distribution(self, texts: list[str], tuned: Floats, untuned: Floats) -> Floats:
        """Probability of each whole-dollar price, (n, prices), by the distributions that the tuned and the
        untuned language model give for the same texts, (n, prices) each.
        """
        weights = np.array([self.weights[part] for part in PARTS])
        return pool(parts(self.ridge, texts, tuned, untuned), weights)

    def save(self, folder: Path) -> None:
        """Write the weights and the regression to `folder`."""
        self.ridge.save(folder)
        (folder / WEIGHTS).write_text(json.dumps(self.weights, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Blend:
        """What `save` wrote. Raises PricewrightError where a part of it is missing."""
        path = folder / WEIGHTS
        if not path.is_file():
            raise PricewrightError(
                f"{folder} holds no whole blend: {WEIGHTS} is missing. Make it anew with `dvc repro`"
            )
        weights = json.loads(path.read_text(encoding="utf-8"))
        if set(weights) != set(PARTS):
            raise PricewrightError(f"{path} weighs {', '.join(weights)}; {' and '.join(PARTS)} are the parts")
        return cls(weights, RidgeWithBase.load(folder))


def parts(ridge: RidgeWithBase, texts: list[str], tuned: Floats, untuned: Floats) -> list[Floats]:
    """The distributions of PARTS, (n, prices) each."""
    readings = quantile(untuned, 0.5)
    return [tuned, ridge.distribution(texts, readings, price_max=tuned.shape[1] - 1)]


def fit(
    ridge: RidgeWithBase, texts: list[str], tuned: Floats, untuned: Floats, true: Floats, *, shrinkage: float
) -> Blend:
    """The blend whose weights score best on the true prices, (n,) dollars; see `pool.fit_weights`.

    The rows must be ones that neither the language model nor `ridge` was fitted on.
    """
    weights = fit_weights(parts(ridge, texts, tuned, untuned), true, shrinkage=shrinkage)
    return Blend({part: round(float(weight), 4) for part, weight in zip(PARTS, weights, strict=True)}, ridge)
