"""A blend of a language model and a regression: what it prices, and that it is kept whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from components.blending import blended
from components.blending.blended import WEIGHTS, Answers, Blend
from components.blending.pool import pool, shifted
from components.classification.classifiers import NUMBERS as CLASSIFIERS
from components.classification.classifiers import Classifiers, fit_classifiers
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.model.labels import Labels
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
    weights = np.array([blend.weights[part] for part in blended.names(blend.regressions)])
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
        PricewrightError,
        match="weighs sft; sft, hidden_states_ridge, hidden_states_boosting, neighbours or sft, "
        "tfidf_logistic, hidden_states_logistic are the parts",
    ):
        Blend.load(tmp_path)


THREE = Labels(("lamps", "rugs", "tents"))


@pytest.fixture(scope="module")
def named(params: Params) -> Made:
    """Of labels: the tuned model sees each, its evidence noisy, the words tell lamps and the states tents."""
    draw = np.random.default_rng(0)
    true = draw.integers(0, 3, 300)
    texts = [f"{'A bulb' if place == 0 and draw.random() < 0.8 else 'A thing'} here" for place in true]
    states = (true == 2)[:, None] + 0.5 * draw.standard_normal((300, 2))
    tuned = softmax(1.5 * (draw.standard_normal((300, 3)) + 1.5 * np.eye(3)[true]), axis=1)
    first, rest = slice(120), slice(120, None)
    train = pd.DataFrame({"text": texts[first], "target": true[first].astype(float), "product": range(120)})
    section = params.baseline.model_copy(update={"ridge_folds": 3, "hidden_depths": [1.0]})
    fitted = fit_classifiers(train, states[first], THREE, section)
    answers = Answers(texts[rest], tuned[rest], np.full((180, 3), np.nan), states[rest])
    labels = true[rest].astype(float)
    return blended.fit(fitted, answers, labels, THREE, shrinkage=1.0), answers, labels


def test_a_blend_of_labels_is_surer_of_the_truth_than_any_part_and_has_no_shift(named: Made) -> None:
    blend, answers, true = named
    assert list(blend.weights) == list(blended.names(Classifiers))
    assert blend.shift == 0.0
    assert blend.depths == [1.0]
    whole, rows = blend.distribution(answers, THREE), np.arange(len(true))
    np.testing.assert_allclose(whole.sum(axis=1), 1.0)
    own = [
        np.log(each[rows, true.astype(int)]).mean()
        for each in blended.parts(blend.regressions, answers, THREE)
    ]
    assert np.log(whole[rows, true.astype(int)]).mean() > max(own) + 0.1
    assert all(weight > 0.2 for weight in blend.weights.values())


def test_a_blend_of_labels_that_is_saved_answers_the_same_and_is_known_by_its_parts(
    named: Made, made: Made, tmp_path: Path
) -> None:
    blend, answers, _ = named
    blend.save(tmp_path / "labels")
    made[0].save(tmp_path / "numbers")
    kept, other = (Blend.load(tmp_path / kind) for kind in ("labels", "numbers"))
    assert isinstance(kept.regressions, Classifiers)
    assert isinstance(other.regressions, Regressions)
    np.testing.assert_array_equal(kept.distribution(answers, THREE), blend.distribution(answers, THREE))
    (tmp_path / "labels" / CLASSIFIERS).unlink()
    with pytest.raises(PricewrightError, match=rf"{CLASSIFIERS} is missing.*dvc repro"):
        Blend.load(tmp_path / "labels")
