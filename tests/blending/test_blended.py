"""A blend of a language model and a regression: what it prices, and that it is kept whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.blending import blended
from components.blending.blended import PARTS, WEIGHTS, Answers, Blend
from components.blending.pool import pool, shifted
from components.core.errors import PricewrightError
from components.regression import boosting, hidden_states, neighbours
from components.regression.boosting import fit_boosting
from components.regression.hidden_states import fit_hidden_states
from components.regression.neighbours import fit_neighbours
from components.regression.regressions import Regressions
from components.regression.ridge import product_folds
from tests.support.project import whole

PRICES = 300
GRID = whole(PRICES - 1)
Made = tuple[Blend, Answers, np.ndarray]
"""A blend, and of some listings what the language models give and the true prices."""


@pytest.fixture(scope="module")
def made() -> Made:
    """The tuned model knows the price within a tenth, the untuned one halves it for red things; its hidden
    state holds the price within a tenth, too. The ridge is fitted on the state, the trees on the reading.
    """
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
    states = np.log(true * np.exp(0.1 * draw.standard_normal(300)))[:, None]
    first, rest = slice(100), slice(100, None)
    options = {"vocabulary": 9, "quantities": 5, "split": product_folds(range(100), 5, 0), "seed": 0}
    blind, known, targets = np.full(100, np.nan), GRID.scaled(readings[first]), GRID.scaled(true[first])
    ridge = fit_hidden_states(
        texts[first],
        blind,
        states[first],
        targets,
        depths=[1.0],
        landmarks=50,
        alphas=[0.1],
        count_weights=[1.0],
        **options,
    )
    trees = fit_boosting(
        texts[first],
        known,
        0 * states[first],
        targets,
        reduced=4,
        components=1,
        iterations=100,
        **options,
    )
    near = fit_neighbours(texts[first], targets, range(100), vocabulary=9, number=5, temperature=0.1, seed=0)
    answers = Answers(texts[rest], tuned[rest], untuned[rest], states[rest])
    return (
        blended.fit(Regressions(ridge, trees, near), answers, true[rest], GRID, shrinkage=1.0),
        answers,
        true[rest],
    )


def error(distribution: np.ndarray, true: np.ndarray) -> float:
    return float(np.abs((distribution.cumsum(axis=1) < 0.5).sum(axis=1) - true).mean())


def test_it_errs_less_than_any_part(made: Made) -> None:
    blend, answers, true = made
    ours = error(blend.distribution(answers, GRID), true)
    for part in blended.parts(blend.regressions, answers, GRID):
        assert ours < 0.9 * error(part, true)


def test_it_is_the_shifted_pool_of_its_parts(made: Made) -> None:
    blend, answers, _ = made
    parts = blended.parts(blend.regressions, answers, GRID)
    weights = np.array([blend.weights[part] for part in PARTS])
    np.testing.assert_array_equal(
        blend.distribution(answers, GRID), shifted(pool(parts, weights), blend.shift, GRID)
    )


def test_what_is_saved_prices_the_same(made: Made, tmp_path: Path) -> None:
    blend, answers, _ = made
    blend.save(tmp_path)
    np.testing.assert_array_equal(
        Blend.load(tmp_path).distribution(answers, GRID), blend.distribution(answers, GRID)
    )


@pytest.mark.parametrize("name", [WEIGHTS, hidden_states.NUMBERS, boosting.TREES, neighbours.WORDS])
def test_a_blend_with_a_part_missing_is_refused(made: Made, tmp_path: Path, name: str) -> None:
    made[0].save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(PricewrightError, match=rf"{name} is missing.*dvc repro"):
        Blend.load(tmp_path)


def test_weights_of_other_parts_are_refused(made: Made, tmp_path: Path) -> None:
    made[0].save(tmp_path)
    (tmp_path / WEIGHTS).write_text('{"weights": {"sft": 1.0}, "shift": 0.0}')
    with pytest.raises(
        PricewrightError, match="weighs sft; sft, hidden_states_ridge, hidden_states_boosting, neighbours are"
    ):
        Blend.load(tmp_path)
