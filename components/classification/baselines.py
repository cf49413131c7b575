"""The baselines of a label: the commonest, and logistic regression on words and on what the untuned base
holds. Everything is fitted on train alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from components.classification.classifiers import Classifiers, fit_classifiers
from components.core.params.baseline import Baseline
from components.evaluation.resampling import Floats
from components.model.hidden_states import Known
from components.model.labels import Labels


def plain(train: pd.DataFrame, scored: pd.DataFrame, section: Baseline, answers: Labels) -> dict[str, Floats]:
    """What the candidates that know nothing of the base answer: a distribution, (n, labels), of the shares of
    the labels in `train`, of which the commonest is the answer.
    """
    del section
    counts = np.bincount(answers.places(train["target"]), minlength=len(answers.names))
    return {"majority": np.tile(counts / counts.sum(), (len(scored), 1))}


def knowing(
    train: pd.DataFrame,
    scored: pd.DataFrame,
    known_train: Known,
    known: Known,
    section: Baseline,
    answers: Labels,
) -> tuple[dict[str, Floats], Classifiers]:
    """(what the logistic regressions answer to the rows of `scored`, distributions (n, labels) each; these
    regressions, which are blended), from what the base gives for the rows of `train` and of `scored`.
    """
    fitted = fit_classifiers(train, known_train.states, answers, section)
    own = fitted.distributions(scored["text"].tolist(), known.distribution, known.states, answers)
    return dict(zip(fitted.NAMES, own, strict=True)), fitted
