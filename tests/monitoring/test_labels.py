"""Labels in service: what came true of them, their errors in time, and what is learned from them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.core.schemas import Listing
from components.feedback.queue import least_certain
from components.monitoring import errors_in_time, figures, outputs, watching
from components.monitoring.looks import Window, compared
from components.monitoring.page import PERIODS, page
from components.monitoring.retraining import learnable
from components.monitoring.truth import answered
from components.monitoring.truth_file import take_in
from components.promotion.live import decide_live
from components.serving.request_store import opened
from components.sources.requests import COLUMN, listing
from tests.support.project import ROOT, named
from tests.support.requests import NOW, asked, stored, true

NAMES = ("Audio", "Desk lamps", "Rings")
TASK = named(*NAMES)


def answer(value: str, *others: str, probability: float = 0.8) -> str:
    return json.dumps({"value": value, "probability": probability, "labels": [value, *others]})


def read(address: str) -> pd.DataFrame:
    with opened(address) as engine:
        return answered(engine, NOW - timedelta(days=30), TASK)


def store(folder: Path) -> str:
    """Three requests of labels, the first of which came true."""
    return stored(
        folder / "requests.db",
        asked(
            "a", hours=9, answer=answer("Rings", "Audio"), shadow_version="2", shadow_answer=answer("Audio")
        ),
        asked("b", "a lamp", hours=8, answer=answer("Desk lamps", probability=0.4)),
        asked("c", "a radio", hours=7, answer=answer("Chairs", "Audio", "Rings", probability=0.3)),
        true("a", "Audio"),
        true("b", "no such label"),
        true("b", 1.0),
    )


# --- what came true ------------------------------------------------------------------------------------


def test_answers_and_truths_are_places_and_a_truth_that_is_no_label_counts_for_nothing(
    tmp_path: Path,
) -> None:
    rows = read(store(tmp_path)).set_index("key")
    assert rows["predicted"].tolist() == [2.0, 1.0, -1.0]
    assert rows["shadow_predicted"]["a"] == 0.0
    assert rows["value"]["a"] == 0.0
    assert rows["value"].isna().tolist() == [False, True, True]
    assert rows["held"]["a"] == 1.0
    assert rows["width"].tolist() == [2.0, 1.0, 3.0]
    assert rows["answer"]["a"]["labels"] == ["Rings", "Audio"]


def test_a_file_of_labels_is_taken_in_once_and_another_word_is_rejected(tmp_path: Path) -> None:
    address, file = store(tmp_path), tmp_path / "truths.csv"
    when = (NOW - timedelta(minutes=5)).isoformat()
    file.write_text(f"key,value,time\nb,Desk lamps,{when}\na,Rings,{when}\nc,Chairs,{when}\n")
    with opened(address) as engine:
        intake = take_in(file, engine, 10**6, NOW, TASK)
        again = take_in(file, engine, 10**6, NOW, TASK)
    assert (intake.added, intake.changed, again.added, again.repeated) == (2, 2, 0, 2)
    [reject] = intake.rejects
    assert (reject.rule, reject.value) == ("no_label", "Chairs")
    assert reject.reason == "value is Chairs: it is to be one of Audio, Desk lamps, Rings"
    assert read(address).set_index("key")["value"].dropna().to_dict() == {"a": 2.0, "b": 1.0}
    file.write_text(f"key,value,time\nb,49.90,{when}\n")
    with opened(address) as engine, pytest.raises(PricewrightError, match="it is to be one of Audio"):
        take_in(file, engine, 10**6, NOW, TASK)


# --- errors in time ------------------------------------------------------------------------------------


def table(
    rows: int, wrong: float, seed: int, shares: tuple[float, ...] = (0.5, 0.3, 0.2), mended: float = 2 / 3
) -> pd.DataFrame:
    """Answers of which such a share is wrong; the sets of a share `mended` of these hold the truth."""
    rng = np.random.default_rng(seed)
    value = rng.choice(3, rows, p=shares).astype(float)
    mistaken = rng.random(rows) < wrong
    predicted = np.where(mistaken, (value + 1) % 3, value)
    width = np.where(mistaken & (rng.random(rows) < mended), 2.0, 1.0)
    columns = {"predicted": predicted, "low": np.nan, "high": np.nan, "width": width, "value": value}
    held = (~mistaken | (width > 1)).astype(float)
    time = pd.date_range(NOW - timedelta(days=9), periods=rows, freq="min")
    more = {"held": held, "seconds": 0.02, "key": [f"k{row}" for row in range(rows)], "row": 0}
    texts = [{"description": f"thing {row} of the shop"} for row in range(rows)]
    return pd.DataFrame({**columns, **more, "input": texts, "time": time, "truth_time": time})


def p_values(observed: pd.DataFrame) -> dict[str, float]:
    reference = table(900, 0.3, 0)
    features = outputs.answer_features(reference, observed, TASK)
    features += errors_in_time.truth_features(reference, observed, 0.9, 0.05, TASK)
    return {feature.name: compared(feature, Window(1, 0, len(observed))).p for feature in features}


def test_labels_as_on_held_out_listings_have_not_shifted_and_others_have() -> None:
    assert min(p_values(table(300, 0.3, 1)).values()) > 0.01
    worse = p_values(table(300, 0.8, 1))
    assert worse["wrong labels"] < 1e-6
    assert worse["coverage of the set"] < 1e-6
    other = p_values(table(300, 0.3, 1, shares=(0.1, 0.1, 0.8)))
    assert other["predicted label"] < 1e-6
    assert other["wrong labels"] > 0.01


def test_the_report_on_labels_has_a_page_by_label_and_offers_no_other_interval(tmp_path: Path) -> None:
    params = load_params(ROOT / "params.yaml")
    known = table(400, 0.8, 2, mended=0.2)
    training = pd.DataFrame({"text": ["a thing of the shop"] * 40, "category": ["all"] * 40})
    reference = watching.Reference(training, table(900, 0.3, 0), None)
    shadowed = known.assign(version="1", shadow_version="2", shadow_predicted=known["value"])
    report = watching.watch(shadowed, None, reference, params.watch, params.evaluate, TASK)
    assert {alarm["feature"] for alarm in report["alarms"]} >= {"wrong labels", "coverage of the set"}
    assert report["truth"]["recalibrated"] is None
    assert {band["name"] for band in report["truth"]["bands"]} == set(NAMES)
    errors = sum(band["rows"] * band["loss"] for band in report["truth"]["bands"]) / len(known)
    assert errors == pytest.approx((known["predicted"] != known["value"]).mean(), abs=1e-3)
    assert report["disagreement"]["far"] == pytest.approx(errors, abs=1e-3)
    assert "difference" not in report["disagreement"]
    report |= {"model": "pricer", "version": "1", "kind": "label", "challenger": None}
    report |= {"alarm_rate": 0.05, "batch_rows": 100}
    figures.periods(report["truth"]["periods"], 0.8, "label").savefig(tmp_path / PERIODS)
    shown = page(report, tmp_path)
    assert "By predicted label" in shown
    assert "no longer holds" not in shown
    assert "most often" in shown
    assert "answers another label than the champion" in shown


def test_a_challenger_that_errs_less_is_promoted_on_live_truth() -> None:
    section = load_params(ROOT / "params.yaml").promote.model_copy(update={"minimum_effect": 0.05})
    known = table(1500, 0.5, 3)
    rows = known.assign(shadow_predicted=known["value"])
    decision = decide_live(rows, section, TASK.answers.loss_max, TASK)
    assert decision.verdict == "promoted"
    assert decision.difference == pytest.approx((known["predicted"] != known["value"]).mean(), abs=1e-3)
    assert "interval from +0." in decision.reasons[-1]


# --- what is learned -----------------------------------------------------------------------------------


def test_what_came_true_becomes_a_listing_with_its_label(tmp_path: Path) -> None:
    known = learnable(read(store(tmp_path)), TASK)
    assert known.drop(columns="truth_time").values.tolist() == [["a", 0, "a desk", "Audio", "category"]]
    assert COLUMN in known
    row: dict[str, Any] = known.drop(columns="truth_time").iloc[0].to_dict()
    made = listing(**row)
    assert set(made) <= {*Listing.columns(), "key"}
    assert (made["category"], made["price"], made["amount"]) == ("Audio", "", "")
    assert json.loads(listing(**row | {"column": "Colour"})["details"]) == {"Colour": "Audio"}
    assert listing(**row | {"column": "Brand"})["brand"] == "Audio"


def test_the_least_probable_labels_with_a_choice_come_first_in_the_queue(tmp_path: Path) -> None:
    queue = least_certain(read(store(tmp_path)), 5, TASK)
    assert queue["id"].tolist() == ["c 0"], "a came true, and the set of b has a single label"
    assert queue["completions"][0] == [" Audio", " Rings"]
