"""A blend: the tuned language model and three regressions, two of which know the untuned one, read as one.

Different readers err differently: the language model knows what words mean, the ridge has counted every word
of the catalogue, the trees see steps where it sees lines, the neighbours know what is true of the like of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.blending.pool import fit_shift, fit_weights, pool, shifted
from components.core.errors import PricewrightError
from components.evaluation.resampling import Floats
from components.model.distribution import listing_distribution
from components.model.grid import Grid
from components.model.hidden_states import hidden_states
from components.model.prompt import Asked
from components.regression.regressions import NAMES, Regressions

WEIGHTS = "blend.json"
PARTS = ("sft", *NAMES)


@dataclass(frozen=True)
class Answers:
    """What the language models give for some listings."""

    texts: list[str]
    tuned: Floats
    """The distributions of the tuned model, (n, numbers)."""
    untuned: Floats
    """Those of the base, (n, numbers)."""
    states: Floats
    """The hidden states of the base, (n, size); see `hidden_states`."""


@dataclass(frozen=True)
class Blend:
    """How the distributions of PARTS become one."""

    weights: dict[str, float]
    """Exponent of each part in the logarithmic pool."""
    shift: float
    """Of the pool, on the scale of the grid; see `shifted`."""
    regressions: Regressions

    def distribution(self, answers: Answers, grid: Grid) -> Floats:
        """Probability of each number of the grid, (n, numbers)."""
        weights = np.array([self.weights[part] for part in PARTS])
        return shifted(pool(parts(self.regressions, answers, grid), weights), self.shift, grid)

    def save(self, folder: Path) -> None:
        """Write weights, shift and regressions to `folder`."""
        self.regressions.save(folder)
        values = {"weights": self.weights, "shift": self.shift}
        (folder / WEIGHTS).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Blend:
        """What `save` wrote. Raises PricewrightError where a part of it is missing."""
        path = folder / WEIGHTS
        if not path.is_file():
            raise PricewrightError(
                f"{folder} holds no whole blend: {WEIGHTS} is missing. Make it anew with `dvc repro`"
            )
        values = json.loads(path.read_text(encoding="utf-8"))
        weights = values.get("weights", {})
        if set(weights) != set(PARTS):
            raise PricewrightError(f"{path} weighs {', '.join(weights)}; {', '.join(PARTS)} are the parts")
        return cls(weights, values["shift"], Regressions.load(folder))


def untuned(
    model: Any, tokenizer: Any, texts: list[str], depths: list[float], task: Asked, batch_size: int
) -> tuple[Floats, Floats]:
    """What `Answers` has of the untuned base: (distributions, hidden states) of listing texts."""
    options: dict[str, Any] = {"batch_size": batch_size, "title": "untuned base"}
    distribution = listing_distribution(model, tokenizer, texts, task, **options)
    return distribution, hidden_states(model, tokenizer, texts, task, depths=depths, **options)


def parts(regressions: Regressions, answers: Answers, grid: Grid) -> list[Floats]:
    """The distributions of PARTS, (n, numbers) each."""
    readings = grid.scaled(grid.median(answers.untuned))
    return [answers.tuned, *regressions.distributions(answers.texts, readings, answers.states, grid)]


def fit(regressions: Regressions, answers: Answers, true: Floats, grid: Grid, *, shrinkage: float) -> Blend:
    """The blend whose weights score best on the true numbers, (n,), see `pool.fit_weights`, shifted so that
    its medians neither fall short of them nor exceed them.

    The rows must be ones that neither the language model nor a regression was fitted on.
    """
    distributions = parts(regressions, answers, grid)
    weights = fit_weights(distributions, true, grid, shrinkage=shrinkage).round(4)
    shift = fit_shift(pool(distributions, weights), true, grid, shrinkage=shrinkage)
    return Blend(dict(zip(PARTS, map(float, weights), strict=True)), round(shift, 4), regressions)
