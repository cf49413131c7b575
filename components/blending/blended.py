"""A blend: the tuned language model and some regressions, most of which know the untuned one, read as one.

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
from components.classification.classifiers import Classifiers
from components.core.errors import PricewrightError
from components.evaluation.resampling import Floats
from components.model.distribution import listing_distribution
from components.model.grid import Grid
from components.model.hidden_states import hidden_states
from components.model.labels import Labels
from components.model.prompt import Asked
from components.regression.regressions import Regressions

WEIGHTS = "blend.json"
Parts = Regressions | Classifiers
"""What is blended with the language model: where a number is predicted, where a label is."""
AnySet = Grid | Labels
KINDS: dict[str, type[Regressions] | type[Classifiers]] = {"number": Regressions, "label": Classifiers}
"""By the kind of the task."""


@dataclass(frozen=True)
class Answers:
    """What the language models give for some listings."""

    texts: list[str]
    tuned: Floats
    """The distributions of the tuned model, (n, answers)."""
    untuned: Floats
    """Those of the base, (n, answers)."""
    states: Floats
    """The hidden states of the base, (n, size); see `hidden_states`."""


@dataclass(frozen=True)
class Blend:
    """How the distributions of a language model and of what is blended with it become one."""

    weights: dict[str, float]
    """Exponent of each part in the logarithmic pool."""
    shift: float
    """Of the pool, on the scale of the grid; see `shifted`. 0 for labels."""
    regressions: Parts

    @property
    def depths(self) -> list[float]:
        """The layers of the base whose hidden states it reads; see `hidden_states`."""
        return self.regressions.depths

    def distribution(self, answers: Answers, answer_set: AnySet) -> Floats:
        """Probability of each answer, (n, answers)."""
        weights = np.array([self.weights[part] for part in names(self.regressions)])
        pooled = pool(parts(self.regressions, answers, answer_set), weights)
        return shifted(pooled, self.shift, answer_set) if isinstance(answer_set, Grid) else pooled

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
        for kind in KINDS.values():
            if set(weights) == set(names(kind)):
                return cls(weights, values["shift"], kind.load(folder))
        known = " or ".join(", ".join(names(kind)) for kind in KINDS.values())
        raise PricewrightError(f"{path} weighs {', '.join(weights)}; {known} are the parts")


def untuned(
    model: Any, tokenizer: Any, texts: list[str], depths: list[float], task: Asked, batch_size: int
) -> tuple[Floats, Floats]:
    """What `Answers` has of the untuned base: (distributions, hidden states) of listing texts."""
    options: dict[str, Any] = {"batch_size": batch_size, "title": "untuned base"}
    distribution = listing_distribution(model, tokenizer, texts, task, **options)
    return distribution, hidden_states(model, tokenizer, texts, task, depths=depths, **options)


def names(regressions: Parts | type[Regressions] | type[Classifiers]) -> tuple[str, ...]:
    """The parts of a blend, the language model first."""
    return ("sft", *regressions.NAMES)


def parts(regressions: Parts, answers: Answers, answer_set: AnySet) -> list[Floats]:
    """The distributions of the parts, (n, answers) each, in the order of `names`."""
    known: Any = regressions
    return [
        answers.tuned,
        *known.distributions(answers.texts, answers.untuned, answers.states, answer_set),
    ]


def fit(regressions: Parts, answers: Answers, true: Floats, answer_set: AnySet, *, shrinkage: float) -> Blend:
    """The blend whose weights score best on the true answers, (n,), see `pool.fit_weights`, where numbers are
    predicted shifted so that its medians neither fall short of them nor exceed them.

    The rows must be ones that neither the language model nor a regression was fitted on.
    """
    distributions = parts(regressions, answers, answer_set)
    weights = fit_weights(distributions, true, answer_set, shrinkage=shrinkage).round(4)
    shift = 0.0
    if isinstance(answer_set, Grid):
        shift = fit_shift(pool(distributions, weights), true, answer_set, shrinkage=shrinkage)
    return Blend(
        dict(zip(names(regressions), map(float, weights), strict=True)), round(shift, 4), regressions
    )
