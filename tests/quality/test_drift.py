from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.quality.drift import drift, load, path_of, profile, spelled
from components.synthetic.catalogue import catalogue
from tests.support.validated import TASK


@pytest.fixture(scope="module")
def items() -> pd.DataFrame:
    rows = [
        {
            "target": float(product.price),
            "text": product.description,
            "category": product.category,
            "source": "demo_shop",
        }
        for product in catalogue(3, 1500, 0.25)
        if product.price is not None
    ]
    return pd.DataFrame(rows)


def test_other_rows_of_the_same_shop_have_not_drifted(items: pd.DataFrame) -> None:
    reference = profile(items.iloc[:700])
    assert drift(items.iloc[700:], reference) == {"target": 0.0, "length": 0.0, "categories": 0.0}


def test_drift_is_measured_in_the_column_that_changed_and_grows_with_the_change(items: pd.DataFrame) -> None:
    reference, rows = profile(items), items.copy()
    dearer, dearest = (drift(rows.assign(target=rows["target"] * factor), reference) for factor in (1.5, 3.0))
    assert 0 < dearer["target"] < dearest["target"] <= 1
    assert (dearer["length"], dearer["categories"]) == (0.0, 0.0)
    longer = drift(rows.assign(text=rows["text"] * 2), reference)
    assert (longer["target"], longer["categories"]) == (0.0, 0.0)
    assert longer["length"] > 0
    fewer = drift(rows[rows["category"] != rows["category"].iloc[0]], reference)
    assert fewer["categories"] > 0


def test_of_few_rows_chance_explains_a_larger_distance(items: pd.DataFrame) -> None:
    assert max(drift(items.sample(15, random_state=1), profile(items)).values()) < 0.1


def test_a_profile_is_the_same_after_it_was_written(items: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "shop.json"
    path.write_text(json.dumps(profile(items)))
    assert load(path) == profile(items)
    assert load(tmp_path / "none.json") is None


@pytest.mark.parametrize("content", ["{", "[]", '{"target": []}'])
def test_a_file_that_is_no_profile_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "shop.json"
    path.write_text(content)
    with pytest.raises(PricewrightError, match="python -m components.quality.drift"):
        load(path)


def test_a_profile_is_named_after_the_sources_of_the_items(items: pd.DataFrame) -> None:
    assert path_of(items, TASK) == Path("reference/demo_shop.json")
    several = pd.DataFrame({"source": ["files", "a/b", None]})
    assert path_of(several, TASK) == Path("reference/a_b_files.json")
    colour = TASK.label.model_copy(update={"column": "Main Colour"})
    label_task = TASK.model_copy(update={"kind": "label", "label": colour})
    assert path_of(items, label_task) == Path("reference/demo_shop.Main_Colour.json")


def test_labels_drift_by_their_shares(items: pd.DataFrame) -> None:
    names = sorted(items["category"].unique())
    label_task = TASK.model_copy(
        update={"kind": "label", "label": TASK.label.model_copy(update={"names": names})}
    )
    labelled = spelled(items.assign(target=items["category"].map(names.index).astype(float)), label_task)
    assert list(labelled["target"]) == list(items["category"])
    reference = json.loads(json.dumps(profile(labelled.iloc[:700])))
    assert set(reference["target"]) == set(names)
    assert drift(labelled.iloc[700:], reference)["target"] == 0.0
    fewer, fewest = (
        drift(labelled[~labelled["target"].isin(names[:left_out])], reference)["target"]
        for left_out in (1, 3)
    )
    assert 0 < fewer < fewest
