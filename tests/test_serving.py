"""What the served model answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from components import quantize, serving
from components.calibration import Calibration
from components.records import PricewrightError


@pytest.fixture(scope="module")
def pricer(tiny_base: Path, tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> serving.Pricer:
    folder = tmp_path_factory.mktemp("served")
    quantize.merge(tiny_base, tiny_adapter, folder / "merged")
    quantize.quantize(folder / "merged", folder, "nf4")
    serving.Settings(
        price_max=999, prompt_tokens=64, batch_size=2, calibration=Calibration.uncalibrated(0.8)
    ).write(folder)
    return serving._load_pyfunc(str(folder))


def test_one_or_many_descriptions_get_price_low_and_high(pricer: serving.Pricer) -> None:
    texts = ["Oak desk", "Wireless headphones with noise cancelling", "Cast iron pan"]
    answer = pricer.predict(pd.DataFrame({"description": texts}))
    assert list(answer.columns) == ["price", "low", "high"]
    assert (answer["low"] <= answer["price"]).all()
    assert (answer["price"] <= answer["high"]).all()
    one = pricer.predict(pd.DataFrame({"description": texts[1:2]}))
    assert one.iloc[0].tolist() == answer.iloc[1].tolist()


def test_mean_and_mode_are_given_to_who_asks_and_another_point_is_refused(pricer: serving.Pricer) -> None:
    text = pd.DataFrame({"description": ["Oak desk"]})
    said = {name: pricer.predict(text, {"point": name}).iloc[0] for name in ("median", "mean", "mode")}
    assert said["median"].tolist() == pricer.predict(text).iloc[0].tolist()
    assert len({one["price"] for one in said.values()}) == 3
    assert len({one["low"] for one in said.values()}) == 1
    with pytest.raises(PricewrightError, match="no point 'best': ask for one of median, mean, mode"):
        pricer.predict(text, {"point": "best"})


@pytest.mark.parametrize("texts", [["Oak desk", "  "], ["Oak desk", None]])
def test_an_empty_description_is_refused_by_its_row(pricer: serving.Pricer, texts: list[str | None]) -> None:
    with pytest.raises(PricewrightError, match="row 1 has no description"):
        pricer.predict(pd.DataFrame({"description": texts}))


def test_no_rows_give_no_rows(pricer: serving.Pricer) -> None:
    assert pricer.predict(pd.DataFrame({"description": pd.Series(dtype=str)})).shape == (0, 3)


def test_low_and_high_go_as_far_as_serving_json_says(pricer: serving.Pricer, tmp_path: Path) -> None:
    text = pd.DataFrame({"description": ["Oak desk"]})
    wide, settings = pricer.predict(text).iloc[0], pricer.settings
    narrow = replace(settings, calibration=Calibration(0.8, [wide["price"] + 1], [0.05, 0.45]))
    narrow.write(tmp_path)
    pricer.settings = serving.Settings.read(tmp_path)
    assert pricer.settings == narrow
    answer = pricer.predict(text).iloc[0]
    pricer.settings = settings
    assert answer["price"] == wide["price"]
    assert wide["low"] < answer["low"] <= answer["high"] < wide["high"]
