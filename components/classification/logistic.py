"""Multinomial logistic regression, kept as plain numbers: the probability of each label from features.

    log p(label | x)  =  x . w(label) + b(label) - log of the sum over all labels

Fitted by scikit-learn with an L2 penalty (Hastie, Tibshirani and Friedman 2009, The Elements of Statistical
Learning, section 4.4), whose strength cross-validation over whole products chooses by the log loss. Written
as safetensors, never pickled, so that a served version may hold it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from components.evaluation.resampling import Floats
from components.regression.ridge import Folds

STEPS = 300  # of the optimizer; what it still moves after them changes no fourth digit of a probability
LEAST = 1e-6  # of a probability: a label that a fold has not seen costs no more than this says
UNSEEN = -30.0  # in place of the logarithm of the probability of a label without a row


@dataclass(frozen=True)
class Logistic:
    """The weights of every label."""

    weights: Floats
    """(labels, features)."""
    intercepts: Floats
    """(labels,)."""

    def distribution(self, inputs: Any) -> Floats:
        """Probability of each label, (n, labels), rows sum to 1, for features, (n, features)."""
        return np.asarray(softmax(inputs @ self.weights.T + self.intercepts, axis=1))


def fit_logistic(
    inputs: Any, labels: Floats, count: int, *, strengths: list[float], split: Folds
) -> Logistic:
    """Fit on features (n, features) and the places of the labels, (n,); there are `count` labels.

    `strengths` are inverse penalties; that with the lowest log loss on the folds of `split` is taken.
    """
    targets = np.asarray(labels).astype(int)
    shown = tqdm(strengths, desc="logistic regression", leave=False)
    losses = [_cross_loss(inputs, targets, count, strength, split) for strength in shown]
    return _fitted(inputs, targets, count, strengths[int(np.argmin(losses))])


def _fitted(inputs: Any, targets: Any, count: int, strength: float) -> Logistic:
    seen = np.unique(targets)
    weights, intercepts = np.zeros((count, inputs.shape[1])), np.full(count, UNSEEN)
    if len(seen) == 1:
        intercepts[seen] = 0.0
        return Logistic(weights, intercepts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=strength, max_iter=STEPS).fit(inputs, targets)
    two = len(seen) == 2  # of which scikit-learn keeps the weights of the second alone
    weights[seen] = np.vstack([-model.coef_, model.coef_]) / 2 if two else model.coef_
    intercepts[seen] = np.hstack([-model.intercept_, model.intercept_]) / 2 if two else model.intercept_
    return Logistic(weights, intercepts)


def _cross_loss(inputs: Any, targets: Any, count: int, strength: float, split: Folds) -> float:
    """The mean log loss on rows that were not fitted on."""
    losses = np.empty(len(targets))
    for fitted, held_out in split:
        model = _fitted(inputs[fitted], targets[fitted], count, strength)
        own = model.distribution(inputs[held_out])[np.arange(len(held_out)), targets[held_out]]
        losses[held_out] = -np.log(np.maximum(own, LEAST))
    return float(losses.mean())
