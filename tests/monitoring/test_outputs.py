"""Shift of the answers, and the challenger's disagreement."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from components.monitoring import outputs
from components.monitoring.looks import Window, compared
from tests.support.project import TASK


def answers(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    predicted = np.exp(rng.normal(3, 0.5, rows))
    reach = rng.uniform(0.2, 0.3, rows)
    ends = {"low": predicted * (1 - reach), "high": predicted * (1 + reach)}
    return pd.DataFrame(
        {"predicted": predicted, **ends, "width": ends["high"] - ends["low"], "seconds": 0.02}
    )


def p_values(observed: pd.DataFrame) -> dict[str, float]:
    features = outputs.answer_features(answers(800, 0), observed, TASK)
    return {feature.name: compared(feature, Window(1, 0, len(observed))).p for feature in features}


def test_answers_like_those_to_held_out_listings_have_not_shifted() -> None:
    assert min(p_values(answers(200, 1)).values()) > 0.01


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("predicted value", lambda rows: rows * [1.5, 1.5, 1.5, 1.5, 1]),
        ("width of the interval", lambda rows: rows.assign(high=rows["high"] * 1.2)),
        ("unreadable answers", lambda rows: rows[rows.index % 10 > 0].reindex(rows.index)),
    ],
)
def test_a_shift_is_found_by_the_feature_that_it_is_one_of(name: str, change: object) -> None:
    found = p_values(change(answers(200, 1)))  # type: ignore[operator]
    assert found.pop(name) < 1e-6
    assert min(found.values()) > 0.01


def test_the_disagreement_of_the_shadow_is_measured_where_both_have_answered() -> None:
    rows = pd.DataFrame(
        {
            "predicted": [10.0, 20.0, np.nan, 40.0],
            "shadow_predicted": [11.0, 30.0, 5.0, np.nan],
            "shadow_version": ["2", "2", "2", None],
        }
    )
    figures = outputs.disagreement(rows, TASK, bootstrap=200, seed=0)
    assert figures is not None
    assert (figures["rows"], figures["version"], figures["difference"], figures["far"]) == (2, "2", 5.5, 0.5)
    assert figures["difference_low"] <= 5.5 <= figures["difference_high"]
    assert outputs.disagreement(rows.assign(shadow_predicted=np.nan), TASK, bootstrap=200, seed=0) is None


def test_figures_leave_out_what_is_missing() -> None:
    rows = answers(3, 0).assign(predicted=[10.0, np.nan, 0.0], low=[8.0, 1.0, 0.0], high=[14.0, 2.0, 1.0])
    figures = outputs.figures(rows, TASK)
    assert figures == {"rows": 3, "unreadable": 1, "predicted": 5.0, "width": 0.6, "seconds": 0.02}
    nothing = outputs.figures(rows.assign(predicted=np.nan), TASK)
    assert (nothing["predicted"], nothing["width"]) == (None, None)
