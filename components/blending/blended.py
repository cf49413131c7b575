"""A blend: the tuned language model and two regressions that know the untuned one, priced as one model.

Different readers err differently: the language model knows what words mean, the ridge has counted every word
of the catalogue and holds a listing against its neighbours, the trees see steps where those see lines.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.blending.pool import fit_weights, pool
from components.core.errors import PricewrightError
from components.core.params.prompt import Prompt
from components.evaluation.resampling import Floats
from components.model.distribution import listing_distribution, quantile
from components.model.hidden_states import hidden_states
from components.regression.boosting import HiddenStatesBoosting
from components.regression.hidden_states import HiddenStatesRidge

WEIGHTS = "blend.json"
PARTS = ("sft", "hidden_states_ridge", "hidden_states_boosting")


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
    ridge: HiddenStatesRidge
    boosting: HiddenStatesBoosting

    def distribution(self, answers: Answers) -> Floats:
        """Probability of each whole-dollar price, (n, prices)."""
        return pool(
            parts(self.ridge, self.boosting, answers), np.array([self.weights[part] for part in PARTS])
        )

    def save(self, folder: Path) -> None:
        """Write the weights and the regressions to `folder`."""
        self.ridge.save(folder)
        self.boosting.save(folder)
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
            raise PricewrightError(f"{path} weighs {', '.join(weights)}; {', '.join(PARTS)} are the parts")
        return cls(weights, HiddenStatesRidge.load(folder), HiddenStatesBoosting.load(folder))


def untuned(
    model: Any, tokenizer: Any, texts: list[str], depths: list[float], prompt: Prompt, batch_size: int
) -> tuple[Floats, Floats]:
    """What `Answers` has of the untuned base: (price distributions, hidden states) of listing texts."""
    options: dict[str, Any] = {"batch_size": batch_size, "title": "untuned base"}
    distribution = listing_distribution(model, tokenizer, texts, prompt, **options)
    return distribution, hidden_states(model, tokenizer, texts, prompt, depths=depths, **options)


def parts(ridge: HiddenStatesRidge, boosting: HiddenStatesBoosting, answers: Answers) -> list[Floats]:
    """The distributions of PARTS, (n, prices) each."""
    price_max = answers.tuned.shape[1] - 1
    known = answers.texts, quantile(answers.untuned, 0.5), answers.states
    return [answers.tuned, *(part.distribution(*known, price_max=price_max) for part in (ridge, boosting))]


def fit(
    ridge: HiddenStatesRidge,
    boosting: HiddenStatesBoosting,
    answers: Answers,
    true: Floats,
    *,
    shrinkage: float,
) -> Blend:
    """The blend whose weights score best on the true prices, (n,) dollars; see `pool.fit_weights`.

    The rows must be ones that neither the language model nor a regression was fitted on.
    """
    weights = fit_weights(parts(ridge, boosting, answers), true, shrinkage=shrinkage)
    named = {part: round(float(weight), 4) for part, weight in zip(PARTS, weights, strict=True)}
    return Blend(named, ridge, boosting)
