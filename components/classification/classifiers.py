"""The classifiers of a blend, kept in one folder: of words, and of the untuned base's hidden states."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from components.classification.logistic import Logistic, fit_logistic
from components.core.errors import PricewrightError
from components.core.params.baseline import Baseline
from components.evaluation.resampling import Floats
from components.model.labels import Labels
from components.regression.ridge import product_folds, require_whole
from components.regression.terms import Terms, fit_terms

WORDS, NUMBERS = "classifiers.json", "classifiers.safetensors"
SMALLEST = 1e-6  # of a hidden state's deviation: one that never changes is no feature


@dataclass(frozen=True)
class Classifiers:
    """Those that are blended with a language model where it predicts a label, in the order of NAMES."""

    NAMES: ClassVar = ("tfidf_logistic", "hidden_states_logistic")

    depths: list[float]
    """The layers whose hidden states are read, as shares of the base's depth; see `hidden_states`."""
    terms: Terms
    center: Floats
    """(size,), the mean on train of the hidden states."""
    scale: Floats
    """(size,), their standard deviation."""
    worded: Logistic
    """On TF-IDF."""
    stated: Logistic
    """On the scaled hidden states."""

    def distributions(
        self, texts: list[str], untuned: Floats, states: Floats, answers: Labels
    ) -> list[Floats]:
        """Probabilities of the labels by each, (n, labels), for listing texts and the hidden states of the
        untuned base, (n, size); what that base answers, `untuned`, is not read.

        Raises PricewrightError where they were fitted on other labels than `answers`.
        """
        del untuned
        if len(self.worded.intercepts) != len(answers.names):
            raise PricewrightError(
                f"the classifiers know {len(self.worded.intercepts)} labels and the task "
                f"{len(answers.names)}: make them anew with `dvc repro`"
            )
        words = self.terms.tfidf(self.terms.counts(texts))
        return [self.worded.distribution(words), self.stated.distribution(self._scaled(states))]

    def _scaled(self, states: Floats) -> Floats:
        if states.shape[1] != len(self.center):
            raise PricewrightError(
                f"hidden states of {states.shape[1]} numbers, the classifiers were fitted on "
                f"{len(self.center)}: these are of another base, make them anew with `dvc repro`"
            )
        return np.asarray((states - self.center) / self.scale)

    def save(self, folder: Path) -> None:
        """Write `classifiers.json` and `classifiers.safetensors` to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        lists = {"depths": self.depths, "words": self.terms.words}
        (folder / WORDS).write_text(json.dumps(lists, ensure_ascii=False), encoding="utf-8")
        numbers = {
            "rarity": self.terms.rarity,
            "center": self.center,
            "scale": self.scale,
            "word_weights": self.worded.weights,
            "word_intercepts": self.worded.intercepts,
            "state_weights": self.stated.weights,
            "state_intercepts": self.stated.intercepts,
        }
        save_file({name: np.ascontiguousarray(each) for name, each in numbers.items()}, folder / NUMBERS)

    @classmethod
    def load(cls, folder: Path) -> Classifiers:
        """What `save` wrote. Raises PricewrightError where a part of it is missing or fits no other."""
        require_whole(folder, WORDS, NUMBERS)
        lists = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        numbers: dict[str, Any] = load_file(folder / NUMBERS)
        if len(lists["words"]) != numbers["word_weights"].shape[1]:
            raise PricewrightError(f"{folder}: {WORDS} and {NUMBERS} are of two sets of classifiers")
        return cls(
            depths=lists["depths"],
            terms=Terms(lists["words"], numbers["rarity"]),
            center=numbers["center"],
            scale=numbers["scale"],
            worded=Logistic(numbers["word_weights"], numbers["word_intercepts"]),
            stated=Logistic(numbers["state_weights"], numbers["state_intercepts"]),
        )


def fit_classifiers(train: pd.DataFrame, states: Floats, answers: Labels, section: Baseline) -> Classifiers:
    """Fit both on listings (columns of `Item`) and the untuned base's hidden states of these, (n, size), at
    `section.hidden_depths`.
    """
    targets, count = train["target"].to_numpy(float), len(answers.names)
    split = product_folds(train["product"].to_numpy(), section.ridge_folds, section.seed)
    options: dict[str, Any] = {"strengths": section.logistic_strengths, "split": split}
    terms, counts = fit_terms(train["text"].tolist(), section.vocabulary)
    center, scale = states.mean(axis=0), np.maximum(states.std(axis=0), SMALLEST)
    scaled = (states - center) / scale
    return Classifiers(
        depths=section.hidden_depths,
        terms=terms,
        center=center,
        scale=scale,
        worded=fit_logistic(terms.tfidf(counts), targets, count, **options),
        stated=fit_logistic(scaled, targets, count, **options),
    )
