"""A blend of a language model and a regression: what it prices, and that it is kept whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.blending import blended
from components.blending.blended import PARTS, WEIGHTS, Blend
from components.blending.pool import pool
from components.core.errors import PricewrightError
from components.regression.ridge import NUMBERS, fit_ridge

PRICES = 300
Made = tuple[Blend, list[str], np.ndarray, np.ndarray, np.ndarray]
"""A blend, and of some listings texts, what the tuned and the untuned model give, and the true prices."""


@pytest.fixture(scope="module")
def made() -> Made:
    """The tuned model knows the price within a tenth, the untuned one halves it for red things."""
    draw = np.random.default_rng(0)
    red, true = draw.random(300) < 0.5, draw.uniform(20, 250, 300)
    texts = [f"A {'red' if each else 'blue'} thing" for each in red]

    def about(centres: np.ndarray) -> np.ndarray:
        logs = np.log(np.maximum(np.arange(PRICES), 0.5))[None, :] - np.log(centres)[:, None]
        masses = np.exp(-0.5 * (logs / 0.1) ** 2)
        return np.asarray(masses / masses.sum(axis=1, keepdims=True))

    untuned = about(true * np.where(red, 0.5, 1.0) * np.exp(0.1 * draw.standard_normal(300)))
    tuned = about(true * np.exp(0.1 * draw.standard_normal(300)))
    readings = (untuned.cumsum(axis=1) < 0.5).sum(axis=1)
    ridge = fit_ridge(
        texts[:100], readings[:100].astype(float), true[:100], vocabulary=9, alphas=[0.1], folds=5, seed=0
    )
    rest = slice(100, None)
    fitted = blended.fit(ridge, texts[rest], tuned[rest], untuned[rest], true[rest], shrinkage=1.0)
    return fitted, texts[rest], tuned[rest], untuned[rest], true[rest]


def error(distribution: np.ndarray, true: np.ndarray) -> float:
    return float(np.abs((distribution.cumsum(axis=1) < 0.5).sum(axis=1) - true).mean())


def test_it_errs_less_than_either_part(made: Made) -> None:
    blend, texts, tuned, untuned, true = made
    ours = error(blend.distribution(texts, tuned, untuned), true)
    for part in blended.parts(blend.ridge, texts, tuned, untuned):
        assert ours < 0.9 * error(part, true)


def test_it_is_the_pool_of_its_parts(made: Made) -> None:
    blend, texts, tuned, untuned, _ = made
    parts = blended.parts(blend.ridge, texts, tuned, untuned)
    weights = np.array([blend.weights[part] for part in PARTS])
    np.testing.assert_array_equal(blend.distribution(texts, tuned, untuned), pool(parts, weights))


def test_what_is_saved_prices_the_same(made: Made, tmp_path: Path) -> None:
    blend, *read, _ = made
    blend.save(tmp_path)
    np.testing.assert_array_equal(Blend.load(tmp_path).distribution(*read), blend.distribution(*read))


@pytest.mark.parametrize("name", [WEIGHTS, NUMBERS])
def test_a_blend_with_a_part_missing_is_refused(made: Made, tmp_path: Path, name: str) -> None:
    made[0].save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(PricewrightError, match=rf"{name} is missing.*dvc repro"):
        Blend.load(tmp_path)


def test_weights_of_other_parts_are_refused(made: Made, tmp_path: Path) -> None:
    made[0].save(tmp_path)
    (tmp_path / WEIGHTS).write_text('{"sft": 1.0}')
    with pytest.raises(PricewrightError, match="weighs sft; sft and ridge_with_base are the parts"):
        Blend.load(tmp_path)
