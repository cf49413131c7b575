"""What the regressions share: folds of whole products, the width of the errors, and that parts are there."""

from __future__ import annotations

import numpy as np
import pytest

from components.regression.ridge import chosen_ridge, normal, product_folds
from tests.support.project import whole


def test_the_width_is_that_of_errors_on_rows_that_were_not_fitted_on() -> None:
    draw = np.random.default_rng(0)
    inputs = draw.standard_normal((400, 30))
    logs = inputs[:, 0] + 0.1 * draw.standard_normal(400)
    fitted, deviation = chosen_ridge(inputs, logs, [0.1, 1.0], product_folds(range(400), 5, 1))
    assert fitted.coef_[0] == pytest.approx(1.0, abs=0.03)
    assert deviation == pytest.approx(0.1, rel=0.15)


def test_equal_prices_leave_a_width() -> None:
    inputs = np.random.default_rng(0).standard_normal((60, 2))
    fitted, deviation = chosen_ridge(inputs, np.full(60, np.log(49.0)), [1.0], product_folds(range(60), 5, 1))
    distribution = normal(fitted.predict(inputs), deviation, whole(99))
    np.testing.assert_allclose(distribution.sum(axis=1), 1.0)
    assert set(whole(99).median(distribution)) == {49.0}


def test_a_price_beyond_the_highest_is_the_highest() -> None:
    assert whole(999).median(normal(np.log([5000.0]), 0.1, whole(999)))[0] == 999


def test_folds_hold_whole_products_and_are_no_more_than_these() -> None:
    products = np.array([f"p{row // 4}" for row in range(40)])
    for fitted_on, predicted in product_folds(products, 5, 0):
        assert not set(products[fitted_on]) & set(products[predicted])
    rows = np.concatenate([predicted for _, predicted in product_folds(products, 5, 0)])
    assert sorted(rows) == list(range(40))
    assert len(product_folds(["a", "a", "b"], 5, 0)) == 2
