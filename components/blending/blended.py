"""A blend: the tuned language model and three regressions, two of which know the untuned one, priced as one.

Different readers err differently: the language model knows what words mean, the ridge has counted every word
of the catalogue, the trees see steps where it sees lines, the neighbours know what the like of it costs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.blending.pool import fit_shift, fit_weights, pool, shifted
from components.core.errors import PricewrightError
from components.core.params.task import Task
from components.evaluation.resampling import Floats
from components.model.distribution import listing_distribution, quantile
from components.model.hidden_states import hidden_states
from components.regression.regressions import NAMES, Regressions

WEIGHTS = "blend.json"
PARTS = ("sft", *NAMES)


@dataclass(frozen=True)
class Answers:
    """What the language models give for some listings."""

    texts: list[str]
    tuned: Floats
    """The price distributions of the tuned model, (n, prices)."""
    untuned: Floats
    """Those of the base, (n, prices)."""
    states: Floats
    """The hidden states of the base, (n, size); see `hidden_states`."""


@dataclass(frozen=True)
class Blend:
    """How the price distributions of PARTS become one."""

    weights: dict[str, float]
    """Exponent of each part in the logarithmic pool."""
    shift: float
    """Of the pool, in log dollars; see `shifted`."""
    regressions: Regressions

    def distribution(self, answers: Answers) -> Floats:
        """Probability of each whole-dollar price, (n, prices)."""
        pooled = pool(parts(self.regressions, answers), np.array([self.weights[part] for part in PARTS]))
        return shifted(pooled, self.shift)

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
    model: Any, tokenizer: Any, texts: list[str], depths: list[float], task: Task, batch_size: int
) -> tuple[Floats, Floats]:
    """What `Answers` has of the untuned base: (price distributions, hidden states) of listing texts."""
    options: dict[str, Any] = {"batch_size": batch_size, "title": "untuned base"}
    distribution = listing_distribution(model, tokenizer, texts, task, **options)
    return distribution, hidden_states(model, tokenizer, texts, task, depths=depths, **options)


def parts(regressions: Regressions, answers: Answers) -> list[Floats]:
    """The distributions of PARTS, (n, prices) each."""
    known = answers.texts, quantile(answers.untuned, 0.5), answers.states
    return [answers.tuned, *regressions.distributions(*known, price_max=answers.tuned.shape[1] - 1)]


def fit(regressions: Regressions, answers: Answers, true: Floats, *, shrinkage: float) -> Blend:
    """The blend whose weights score best on the true prices, (n,) dollars, see `pool.fit_weights`, shifted so
    that its medians neither fall short of them nor exceed them.

    The rows must be ones that neither the language model nor a regression was fitted on.
    """
    distributions = parts(regressions, answers)
    weights = fit_weights(distributions, true, shrinkage=shrinkage).round(4)
    shift = fit_shift(pool(distributions, weights), true, shrinkage=shrinkage)
    return Blend(dict(zip(PARTS, map(float, weights), strict=True)), round(shift, 4), regressions)
