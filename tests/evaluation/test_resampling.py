"""The bootstrap by products against draws that are written out row by row."""

from __future__ import annotations

import numpy as np
import pytest

from components.evaluation.resampling import drawn, interval, mean, median, numbered


def test_products_are_numbered_in_the_order_in_which_they_appear() -> None:
    assert numbered(np.array(["b", "a", "b", "c"])).tolist() == [0, 1, 0, 2]


def test_one_row_a_product_gives_the_ordinary_bootstrap_draw_by_draw() -> None:
    generator = np.random.default_rng(2)
    values = generator.exponential(20.0, 70)
    samples = values[np.random.default_rng(9).integers(0, 70, (500, 70))].mean(axis=1)
    ids = np.array([f"{number:x}" for number in generator.permutation(70)])
    ends = interval(lambda counts: mean(values, counts), ids, bootstrap=500, seed=9)
    assert ends == pytest.approx(np.quantile(samples, [0.025, 0.975]), rel=1e-12)


def test_a_draw_holds_products_whole_and_its_figures_are_those_of_its_rows() -> None:
    generator = np.random.default_rng(3)
    products = np.repeat(np.arange(9), generator.integers(1, 6, 9))
    values = generator.normal(50, 20, len(products)).round(1)
    [counts] = drawn(9, bootstrap=40, seed=4, width=len(products))
    assert (counts.sum(axis=1) == 9).all()
    by_row = counts[:, products]
    for draw, times in enumerate(by_row.astype(int)):
        rows = np.repeat(values, times)
        assert median(values, by_row)[draw] == np.median(rows)
        assert mean(values, by_row)[draw] == pytest.approx(rows.mean())
