"""The stage that blends: real tiny models, weights from rows that no part was fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.blend import blend, read
from components.blending.blended import names, untuned
from components.core.params.file import Params
from components.model import loading
from components.regression.regressions import Regressions
from tests.support.project import TASK
from tests.support.regressions import DEPTHS, fitted_regressions
from tests.support.source import listed


def fitted_on(items: pd.DataFrame, base: Path, params: Params, **options: Any) -> Regressions:
    """The regressions on the words of some items and what the base holds of them."""
    model, tokenizer, texts = loading.load_model(base), loading.load_tokenizer(base), items["text"].tolist()
    _, states = untuned(model, tokenizer, texts, DEPTHS, TASK, params.blend.batch_size)
    return fitted_regressions(texts, np.log(items["target"].to_numpy(float)), states, **options)


def test_the_blend_of_real_models_prices_every_row_and_reports_its_weights(
    tiny_base: Path, tiny_adapter: Path, tiny_items: pd.DataFrame, tiny_params: Params
) -> None:
    regressions = fitted_on(tiny_items.head(30), tiny_base, tiny_params)
    rest, section, task = tiny_items.tail(18), tiny_params.blend, TASK
    fitted, report = blend(rest, regressions, tiny_base, tiny_adapter, section, task)
    assert report["rows"] == 18
    assert set(report["weights"]) == set(names(regressions))
    assert set(report["error_on_fitted_rows"]) == {*names(regressions), "blend"}
    assert all(weight >= 0 for weight in fitted.weights.values())
    answers = read(rest["text"].tolist(), tiny_base, tiny_adapter, DEPTHS, section, task)
    distribution = fitted.distribution(answers, task.answers)
    assert distribution.shape == (18, 1000)
    np.testing.assert_allclose(distribution.sum(axis=1), 1.0, rtol=1e-6)


def test_an_untrained_model_loses_its_say_to_a_regression_that_knows(
    tiny_base: Path, tiny_adapter: Path, tiny_items: pd.DataFrame, tiny_params: Params
) -> None:
    """The tiny model has learned next to nothing, the regressions have the price in the text."""
    items = tiny_items.assign(text=[f"{text} lot{row % 8}" for row, text in enumerate(tiny_items["text"])])
    items = items.assign(target=[20.0 * 1.6 ** (row % 8) for row in range(len(items))])
    train, rest = items.head(32), items.tail(16)
    known = fitted_on(train, tiny_base, tiny_params, vocabulary=400, alpha=0.01, folds=4)
    fitted, report = blend(rest, known, tiny_base, tiny_adapter, tiny_params.blend, TASK)
    errors = report["error_on_fitted_rows"]
    assert errors["blend"] < errors["sft"]
    assert fitted.weights["hidden_states_ridge"] > fitted.weights["sft"]


def test_no_part_has_seen_a_row_of_the_split_that_the_weights_are_fitted_on() -> None:
    assert "artifacts/curate/preference.parquet" in listed("blend", "deps")
    for stage in ("sft", "baseline"):
        source = (Path(__file__).parents[1] / "components" / f"{stage}.py").read_text(encoding="utf-8")
        assert "preference" not in source
    assert not any("train" in path or path == "artifacts/curate" for path in listed("blend", "deps"))
