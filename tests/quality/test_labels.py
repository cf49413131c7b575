from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from components.quality.labels import FAR_ROWS_MIN, ROWS_MIN, fit_mixture, label_figures, label_kappas


def items(rows: int, noise: float = 0.3) -> pd.DataFrame:
    """Things whose price follows from two words and the brand, with noise."""
    rng = np.random.default_rng(5)
    kinds, grades, brands = (
        rng.integers(20, size=rows),
        rng.integers(8, size=rows),
        rng.integers(5, size=rows),
    )
    log_price = 2 + 0.1 * kinds + 0.15 * grades + 0.2 * brands + noise * rng.standard_normal(rows)
    return pd.DataFrame(
        {
            "id": [f"{row:016x}" for row in range(rows)],
            "product": [f"{row:016x}" for row in range(rows)],
            "split": np.where(np.arange(rows) % 5 == 0, "test", "train"),
            "text": [f"kind{kind} of grade{grade}" for kind, grade in zip(kinds, grades, strict=True)],
            "brand": [f"maker{brand}" for brand in brands],
            "category": [f"part{kind % 4}" for kind in kinds],
            "target": np.exp(log_price).round(2),
        }
    )


def test_of_too_few_rows_nothing_is_said_and_of_few_nothing_of_prices_far_off() -> None:
    assert label_figures(items(ROWS_MIN - 1), logarithmic=True).empty
    few, enough = (
        label_figures(items(rows), logarithmic=True).set_index("split") for rows in (ROWS_MIN, FAR_ROWS_MIN)
    )
    assert few["above"].isna().all()
    assert few["explained"].notna().all()
    assert enough[["above", "below"]].notna().all(axis=None)


def test_prices_ten_times_too_high_in_one_split_are_counted_there_alone() -> None:
    rows = items(2000)
    test = rows.index[rows["split"] == "test"]
    rows.loc[test[:40], "target"] *= 10
    figures = label_figures(rows, logarithmic=True).set_index("split")
    assert figures.loc["test", "above"] == pytest.approx(0.1, abs=0.03)
    assert figures.loc["train", "above"] == 0
    assert (figures["below"] == 0).all()


def test_figures_do_not_depend_on_the_order_of_rows() -> None:
    rows = items(ROWS_MIN)
    shuffled = rows.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(
        label_figures(rows, logarithmic=True), label_figures(shuffled, logarithmic=True), atol=0.02
    )


@pytest.mark.parametrize("kind", ["{}", "{} under $25", "{} of 4.5 stars"])
def test_shuffled_categories_do_not_follow_from_texts_that_name_them(kind: str) -> None:
    """The text names what is left of a category without its price."""
    rows = items(2000)
    rows = rows.assign(category=[kind.format(category) for category in rows["category"]])
    shuffled = rows.assign(category=rows["category"].sample(frac=1, random_state=3).to_numpy())
    kappas = []
    for of in (rows, shuffled):
        stated = of["category"].str.replace(" under $25", "")
        named = of.assign(text=of["text"] + "\nBrand: X. Category: " + stated + ". Colour: red.\nNew.")
        kappas.append(label_figures(named, logarithmic=True).set_index("split").loc["all", "kappa"])
    assert kappas[0] > 0.9
    assert abs(kappas[1]) < 0.1


def test_labels_that_follow_from_the_words_have_a_high_kappa_and_shuffled_ones_none() -> None:
    """A label is judged without the category that a text names, in all rows and in each split."""
    rows = items(2000)
    rows = rows.assign(
        target=rows["category"].str.removeprefix("part").astype(float),
        text=rows["text"] + "\nCategory: " + rows["category"] + ".",
    )
    shuffled = rows.assign(target=rows["target"].sample(frac=1, random_state=3).to_numpy())
    right, wrong = (label_kappas(of).set_index("split")["kappa"] for of in (rows, shuffled))
    assert list(right.index) == list(wrong.index) == ["all", "test", "train"]
    assert right.min() > 0.9
    assert wrong.abs().max() < 0.1
    unreadable = rows.assign(text=rows["text"].str.replace(r"kind\d+", "kind", regex=True))
    assert label_kappas(unreadable).set_index("split")["kappa"].abs().max() < 0.1
    assert label_kappas(rows.head(ROWS_MIN - 1)).empty


@pytest.mark.parametrize("off", [0.0, 0.05])
def test_a_mixture_finds_the_share_that_is_ten_times_too_low_beside_a_wide_left_side(off: float) -> None:
    rng = np.random.default_rng(1)
    side = rng.random(4000) < 0.6
    values = np.where(side, -0.6, 0.4) * np.abs(rng.standard_normal(4000))
    values -= np.log(10) * (rng.random(4000) < off)
    mixture = fit_mixture(values)
    assert mixture.posterior[:, 2].mean() == pytest.approx(off, abs=0.02)
    assert mixture.posterior[:, 1].mean() < 0.001
    assert mixture.left > mixture.right
