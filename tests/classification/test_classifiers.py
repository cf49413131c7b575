"""The classifiers of a blend: what they know, and that they are kept whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.classification import baselines
from components.classification.classifiers import NUMBERS, WORDS, Classifiers, fit_classifiers
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.model.hidden_states import Known
from components.model.labels import Labels

THREE = Labels(("lamps", "rugs", "tents"))
GOODS = {"lamps": "A bulb and a shade", "rugs": "Woven of wool", "tents": "Pegs and poles"}


def shop(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """(listings whose words tell two labels of three, hidden states that tell the third, and one number that
    never changes); the answer of the base is of no use.
    """
    draw = np.random.default_rng(seed)
    target = draw.integers(0, 3, rows)
    texts = [
        f"{GOODS[THREE.names[place]] if place else 'A thing'} number {row}"
        for row, place in enumerate(target)
    ]
    states = np.column_stack([(target == 0) * 50.0 + draw.standard_normal(rows), np.full(rows, 7.0)])
    table = pd.DataFrame({"text": texts, "target": target.astype(float)})
    return table.assign(product=[f"p{row}" for row in range(rows)]), states


@pytest.fixture(scope="module")
def made(params: Params) -> tuple[Classifiers, pd.DataFrame, np.ndarray]:
    section = params.baseline.model_copy(update={"ridge_folds": 3, "hidden_depths": [0.5, 1.0]})
    train, states = shop(120, 0)
    return fit_classifiers(train, states, THREE, section), *shop(60, 1)


def distributions(made: tuple[Classifiers, pd.DataFrame, np.ndarray]) -> list[np.ndarray]:
    fitted, items, states = made
    return fitted.distributions(items["text"].tolist(), np.full((60, 3), np.nan), states, THREE)


def test_one_reads_words_and_one_reads_hidden_states(
    made: tuple[Classifiers, pd.DataFrame, np.ndarray],
) -> None:
    worded, stated = distributions(made)
    true = made[1]["target"].to_numpy()
    for each in (worded, stated):
        assert each.shape == (60, 3)
        np.testing.assert_allclose(each.sum(axis=1), 1.0)
    assert (THREE.point(worded) == true).all(), "two goods by their words, the third by their absence"
    assert ((THREE.point(stated) == 0) == (true == 0)).mean() > 0.95
    others = true != 0
    assert 0.25 < (THREE.point(stated) == true)[others].mean() < 0.75, (
        "its states do not tell rugs from tents"
    )
    assert made[0].depths == [0.5, 1.0]
    assert Classifiers.NAMES == ("tfidf_logistic", "hidden_states_logistic")


def test_what_is_saved_answers_the_same(
    made: tuple[Classifiers, pd.DataFrame, np.ndarray], tmp_path: Path
) -> None:
    made[0].save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [WORDS, NUMBERS]
    again = distributions((Classifiers.load(tmp_path), *made[1:]))
    for before, after in zip(distributions(made), again, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", [WORDS, NUMBERS])
def test_a_folder_with_a_file_missing_is_refused(
    made: tuple[Classifiers, pd.DataFrame, np.ndarray], tmp_path: Path, name: str
) -> None:
    made[0].save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(PricewrightError, match=rf"{name} is missing"):
        Classifiers.load(tmp_path)


def test_the_files_of_two_fits_are_refused(
    made: tuple[Classifiers, pd.DataFrame, np.ndarray], params: Params, tmp_path: Path
) -> None:
    train, states = shop(40, 2)
    section = params.baseline.model_copy(update={"ridge_folds": 3, "vocabulary": 9})
    fit_classifiers(train, states, THREE, section).save(tmp_path / "other")
    made[0].save(tmp_path)
    (tmp_path / WORDS).write_bytes((tmp_path / "other" / WORDS).read_bytes())
    with pytest.raises(PricewrightError, match="of two sets of classifiers"):
        Classifiers.load(tmp_path)


def test_other_labels_and_another_base_are_refused_with_what_to_do(
    made: tuple[Classifiers, pd.DataFrame, np.ndarray],
) -> None:
    fitted, items, states = made
    texts, untuned = items["text"].tolist(), np.zeros((60, 3))
    with pytest.raises(PricewrightError, match=r"know 3 labels and the task 2.*dvc repro"):
        fitted.distributions(texts, untuned, states, Labels(("lamps", "rugs")))
    with pytest.raises(PricewrightError, match=r"hidden states of 3 numbers.*fitted on 2.*dvc repro"):
        fitted.distributions(texts, untuned, np.hstack([states, states[:, :1]]), THREE)


def test_the_baselines_are_the_commonest_label_and_both_classifiers(params: Params) -> None:
    section = params.baseline.model_copy(update={"ridge_folds": 3})
    (train, states), (scored, new) = shop(120, 0), shop(60, 1)
    train.loc[:69, "target"] = 1.0
    [majority] = baselines.plain(train, scored, section, THREE).values()
    shares = np.bincount(train["target"].astype(int), minlength=3) / 120
    np.testing.assert_allclose(majority, np.tile(shares, (60, 1)))
    assert set(THREE.point(majority)) == {1.0}
    known = [Known(np.full((len(each), 3), np.nan), each) for each in (states, new)]
    own, fitted = baselines.knowing(train, scored, *known, section, THREE)
    assert list(own) == list(Classifiers.NAMES)
    expected = fitted.distributions(scored["text"].tolist(), known[1].distribution, new, THREE)
    for name, distribution in zip(own, expected, strict=True):
        np.testing.assert_array_equal(own[name], distribution)
