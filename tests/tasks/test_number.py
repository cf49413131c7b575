"""A number that is no price: decimals, below zero, differences instead of ratios; from law to answer."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components import sft
from components.blending.pool import fit_shift, shifted
from components.core.params.file import load_params
from components.core.params.scrape import SleepingBags
from components.core.schemas import Law, Listing
from components.evaluation.calibration import Calibration, calibrate
from components.evaluation.prompt_injection import attack
from components.evaluation.scoring import noise_floor
from components.model import loading
from components.model.distribution import listing_distribution
from components.quality.labels import label_figures
from components.regression.ridge import normal
from components.sources.block_list import BlockList
from components.sources.result import Spool
from components.sources.sleeping_bags import collect
from components.synthetic.sleeping_bags import sleeping_bags
from components.tasks import task_of
from components.tasks.number import NumberTask
from tests.support.project import TASK

ROWS = 1200


@pytest.fixture(scope="module")
def task() -> NumberTask:
    """How cold a night a bag is good for, by half degrees."""
    number = TASK.section.number.model_copy(
        update={"unit": "degrees", "min": -30.0, "max": 25.0, "step": 0.5, "logarithmic": False}
    )
    words = {"question": "How cold may it be?", "answer": "Comfort is at:", "tokens": 128, "number": number}
    return task_of(TASK.section.model_copy(update=words))


@pytest.fixture(scope="module")
def bags() -> pd.DataFrame:
    """Listings as items: what a shop says of each bag, its degrees, and the law's."""
    rows = sleeping_bags(3, ROWS, 1.5)
    return pd.DataFrame(
        {
            "id": [bag.sku for bag in rows],
            "product": [bag.sku for bag in rows],
            "split": ["validation" if row % 2 else "test" for row in range(ROWS)],
            "text": [f"{bag.title}\n{bag.description}" for bag in rows],
            "brand": [bag.brand for bag in rows],
            "category": [bag.category for bag in rows],
            "target": [bag.degrees for bag in rows],
            "address": [f"/bags/{bag.sku}" for bag in rows],
            "median": [bag.median for bag in rows],
        }
    )


def test_the_source_gives_each_bag_with_its_degrees_and_its_law(tmp_path: Path) -> None:
    section = SleepingBags(seed=3, listings=ROWS, noise=1.5)
    with Spool(tmp_path, BlockList("sleeping_bags", frozenset())) as spool:
        assert collect(section, spool).counts == {"generated": ROWS}
    listings, law = (pd.read_parquet(spool.path(kind)) for kind in (Listing, Law))
    degrees = listings["amount"].astype(float)
    assert (degrees < 0).any()
    assert (degrees % 1 != 0).any()
    off = degrees - listings["address"].map(law.set_index("address")["median"])
    assert off.std() == pytest.approx(1.5, rel=0.1)
    assert listings["description"].is_unique


def test_completions_have_decimals_and_a_sign(task: NumberTask, tiny_base: Path, bags: pd.DataFrame) -> None:
    assert [task.completion(number) for number in (-12.74, 0.1, 24.8)] == ["-12.5", "0.0", "25.0"]
    tokenizer = loading.load_tokenizer(tiny_base)
    for row, target in zip(sft.examples(tokenizer, bags.head(5), task), bags["target"], strict=False):
        learned = [token for token in row["labels"] if token >= 0]
        assert tokenizer.decode(learned, skip_special_tokens=True) == task.completion(target)
        assert tokenizer.decode(row["input_ids"]).count("Comfort is at:") == 1


def test_a_model_is_read_over_every_answer_and_those_below_zero(task: NumberTask, tiny_base: Path) -> None:
    model, tokenizer = loading.load_model(tiny_base), loading.load_tokenizer(tiny_base)
    read = listing_distribution(model, tokenizer, ["a warm bag", "a thin one"], task, batch_size=2, title="")
    assert read.shape == (2, 111)
    np.testing.assert_allclose(read.sum(axis=1), 1, atol=1e-5)
    assert (read[:, :60] > 0).all()


def test_the_floor_of_a_normal_law_is_its_mean_absolute_error(task: NumberTask, bags: pd.DataFrame) -> None:
    law = bags[["address", "median"]].assign(sigma=1.5)
    floor = noise_floor(bags, law, load_params().evaluate, task)
    assert floor is not None
    assert floor["test"]["loss_expected"] == pytest.approx(1.5 * math.sqrt(2 / math.pi), abs=1e-4)
    assert floor["test"]["loss"] == pytest.approx(floor["test"]["loss_expected"], rel=0.1)
    assert floor["test"]["rmsle"] is None, "there is no logarithm below zero"


def test_intervals_about_a_law_hold_what_they_promise(task: NumberTask, bags: pd.DataFrame) -> None:
    true, even = bags["target"].to_numpy(), np.arange(ROWS) % 2 == 0
    distribution = normal(bags["median"].to_numpy(), 0.5, task.answers)  # three times too narrow
    fitted = calibrate(distribution[even], true[even], task.answers, coverage=0.8, rows_min=250)
    held = {}
    for name, calibration in {"raw": Calibration.uncalibrated(0.8), "calibrated": fitted}.items():
        low, high = calibration.interval(distribution[~even], task.answers)
        held[name] = float(((true[~even] >= low) & (true[~even] <= high)).mean())
    assert held["raw"] < 0.5 < 0.78 < held["calibrated"] < 0.9, (
        "ends lie on the grid, so that it holds a little more"
    )


def test_a_pool_that_is_too_warm_is_shifted_by_degrees(task: NumberTask, bags: pd.DataFrame) -> None:
    true = bags["target"].to_numpy()
    pooled = normal(bags["median"].to_numpy() + 4.0, 1.5, task.answers)
    shift = fit_shift(pooled, true, task.answers, shrinkage=0.0)
    assert shift == pytest.approx(-4.0, abs=0.2)
    after = task.answers.median(shifted(pooled, shift, task.answers))
    loss = task.answers.loss
    assert loss(true, after).mean() < 0.5 * loss(true, task.answers.median(pooled)).mean()


def test_degrees_follow_from_texts_and_shuffled_ones_do_not(bags: pd.DataFrame) -> None:
    shuffled = bags.assign(target=bags["target"].sample(frac=1, random_state=1).to_numpy())
    honest, damaged = (label_figures(rows, logarithmic=False).set_index("split") for rows in (bags, shuffled))
    assert honest.loc["all", "explained"] > 0.4 > 0.1 > damaged.loc["all", "explained"]
    assert honest[["above", "below", "repeated"]].isna().all(axis=None), "ten times too cold is no fault"


def test_an_attack_wants_an_end_of_the_answers(task: NumberTask) -> None:
    texts = ["a warm bag"]
    effects = {row["attack"]: row for row in attack(lambda _: np.array([-30.0]), texts, task, moved=0.05)}
    assert effects["ignore the above"]["wanted"] == -29.5
    assert effects["ignore what follows"]["wanted"] == 25.0
    obeys = attack(lambda texts: np.array([25.0 if "25.0" in texts[0] else 3.0]), texts, task, moved=0.05)
    wanted = {row["attack"]: (row["toward"], row["obeyed"]) for row in obeys if row["wanted"] == 25.0}
    assert set(wanted.values()) == {(1.0, 1.0)}
