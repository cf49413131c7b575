"""Logistic regression of labels: against scikit-learn's own, and with labels that a fold or all lack."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from components.classification.logistic import Logistic, fit_logistic
from components.regression.ridge import product_folds

STRENGTHS = [0.01, 1.0, 100.0]


def drawn(rows: int, labels: int, seed: int = 0, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(features, labels that follow from them but for noise)."""
    draw = np.random.default_rng(seed)
    inputs = draw.standard_normal((rows, 6))
    weights = np.random.default_rng(9).standard_normal((6, labels)) * 2
    return inputs, (inputs @ weights + noise * draw.gumbel(size=(rows, labels))).argmax(axis=1).astype(float)


def log_loss(fitted: Logistic, inputs: np.ndarray, true: np.ndarray) -> float:
    return float(-np.log(fitted.distribution(inputs)[np.arange(len(true)), true.astype(int)]).mean())


@pytest.mark.parametrize("labels", [2, 3, 5])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_it_gives_the_probabilities_of_scikit_learn(labels: int, kind: type) -> None:
    inputs, true = drawn(300, labels)
    split = product_folds(range(300), 3, 0)
    fitted = fit_logistic(kind(inputs), true, labels, strengths=[1.0], split=split)
    theirs = LogisticRegression(C=1.0, max_iter=300).fit(inputs, true)
    new, _ = drawn(50, labels, 1)
    np.testing.assert_allclose(fitted.distribution(kind(new)), theirs.predict_proba(new), atol=1e-6)


def test_the_strength_is_that_of_the_lowest_log_loss_on_rows_not_fitted_on() -> None:
    """Few rows whose labels nothing tells want a strong penalty, many that follow from the features a weak
    one.
    """
    split, (inputs, _) = product_folds(range(60), 3, 0), drawn(60, 3)
    noise = np.random.default_rng(4).integers(0, 3, 60).astype(float)
    timid = fit_logistic(inputs, noise, 3, strengths=STRENGTHS, split=split)
    inputs, true = drawn(900, 3, noise=0.3)
    bold = fit_logistic(inputs, true, 3, strengths=STRENGTHS, split=product_folds(range(900), 3, 0))
    assert np.abs(timid.weights).max() < 0.1 < 1 < np.abs(bold.weights).max()
    new = drawn(900, 3, 5, noise=0.3)
    tried = [LogisticRegression(C=strength, max_iter=300).fit(inputs, true) for strength in STRENGTHS]
    losses = [
        float(-np.log(each.predict_proba(new[0])[np.arange(900), new[1].astype(int)]).mean())
        for each in tried
    ]
    assert log_loss(bold, *new) == pytest.approx(min(losses), abs=0.02)


def test_a_label_that_a_fold_has_not_seen_is_survived() -> None:
    """The third label stands in one product only, which is held out whole."""
    inputs, true = drawn(90, 2)
    true[:9] = 2.0
    products = np.where(np.arange(90) < 9, "rare", [f"p{row}" for row in range(90)])
    split = product_folds(products, 3, 0)
    assert any(not (true[fitted] == 2.0).any() for fitted, _ in split)
    fitted = fit_logistic(inputs, true, 3, strengths=STRENGTHS, split=split)
    distribution = fitted.distribution(inputs)
    np.testing.assert_allclose(distribution.sum(axis=1), 1.0)
    assert distribution[:9, 2].mean() > distribution[9:, 2].mean()


def test_labels_without_a_row_are_all_but_ruled_out() -> None:
    inputs, true = drawn(120, 3)
    split = product_folds(range(120), 3, 0)
    fitted = fit_logistic(
        inputs, np.array([1.0, 3.0, 4.0])[true.astype(int)], 6, strengths=[1.0], split=split
    )
    distribution = fitted.distribution(inputs)
    assert distribution.shape == (120, 6)
    assert 0 < distribution[:, [0, 2, 5]].max() < 1e-6
    theirs = LogisticRegression(C=1.0, max_iter=300).fit(inputs, true).predict_proba(inputs)
    np.testing.assert_allclose(distribution[:, [1, 3, 4]], theirs, atol=1e-6)


@pytest.mark.parametrize("label", [0, 2])
def test_a_single_label_is_certain(label: int) -> None:
    inputs, _ = drawn(30, 3)
    fitted = fit_logistic(
        inputs, np.full(30, float(label)), 3, strengths=STRENGTHS, split=product_folds(range(30), 3, 0)
    )
    assert (fitted.distribution(inputs)[:, label] > 1 - 1e-9).all()
