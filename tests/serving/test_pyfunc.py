"""What the served model answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.evaluation.calibration import Calibration
from components.serving import pyfunc
from tests.support.served import write_served


@pytest.fixture(scope="module")
def pricer(tiny_base: Path, tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> pyfunc.Predictor:
    served = write_served(tiny_base, tiny_adapter, tmp_path_factory.mktemp("model"), batch_size=2)
    return pyfunc._load_pyfunc(str(served))


def test_one_or_many_descriptions_get_price_low_and_high(pricer: pyfunc.Predictor) -> None:
    texts = ["Oak desk", "Wireless headphones with noise cancelling", "Cast iron pan"]
    answer = pricer.predict(pd.DataFrame({"description": texts}))
    assert list(answer.columns) == ["value", "low", "high"]
    assert (answer["low"] <= answer["value"]).all()
    assert (answer["value"] <= answer["high"]).all()
    first = pricer.predict(pd.DataFrame({"description": texts[1:2]}))
    assert first.iloc[0].tolist() == answer.iloc[1].tolist()


def test_mean_and_mode_are_given_to_who_asks_and_another_point_is_refused(pricer: pyfunc.Predictor) -> None:
    text = pd.DataFrame({"description": ["Oak desk"]})
    answers = {name: pricer.predict(text, {"point": name}).iloc[0] for name in ("median", "mean", "mode")}
    assert answers["median"].tolist() == pricer.predict(text).iloc[0].tolist()
    assert len({answer["value"] for answer in answers.values()}) == 3
    assert len({answer["low"] for answer in answers.values()}) == 1
    with pytest.raises(PricewrightError, match="no point 'best': choose among median, mean, mode"):
        pricer.predict(text, {"point": "best"})


def test_quantiles_of_the_distribution_rise_around_the_median(
    pricer: pyfunc.Predictor,
) -> None:
    answer = pricer.predict(pd.DataFrame({"description": ["Oak desk", "Pan"]}), {"quantiles": 5})
    for _, row in answer.iterrows():
        assert len(row["quantiles"]) == 5
        assert row["quantiles"] == sorted(row["quantiles"])
        assert row["quantiles"][2] == row["value"]
    assert "quantiles" not in pricer.predict(pd.DataFrame({"description": ["Oak desk"]}))
    for wrong in (-1, 100):
        with pytest.raises(PricewrightError, match=f"quantiles is to be from 0 to 99, found {wrong}"):
            pricer.predict(pd.DataFrame({"description": ["Oak desk"]}), {"quantiles": wrong})


@pytest.mark.parametrize("texts", [["Oak desk", "  "], ["Oak desk", None]])
def test_an_empty_description_is_refused_by_its_row(
    pricer: pyfunc.Predictor, texts: list[str | None]
) -> None:
    with pytest.raises(PricewrightError, match="row 1 has no description"):
        pricer.predict(pd.DataFrame({"description": texts}))


def test_no_rows_give_no_rows(pricer: pyfunc.Predictor) -> None:
    assert pricer.predict(pd.DataFrame({"description": pd.Series(dtype=str)})).shape == (0, 3)


def test_low_and_high_go_as_far_as_serving_json_says(pricer: pyfunc.Predictor, tmp_path: Path) -> None:
    text = pd.DataFrame({"description": ["Oak desk"]})
    wide, settings = pricer.predict(text).iloc[0], pricer.settings
    narrow = replace(settings, calibration=Calibration(0.8, [wide["value"] + 1], [0.05, 0.45]))
    narrow.write(tmp_path)
    pricer.settings = pyfunc.Settings.read(tmp_path)
    assert pricer.settings == narrow
    answer = pricer.predict(text).iloc[0]
    pricer.settings = settings
    assert answer["value"] == wide["value"]
    assert wide["low"] < answer["low"] <= answer["high"] < wide["high"]
