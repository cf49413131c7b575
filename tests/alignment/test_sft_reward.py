"""What the SFT model's own distribution says of a price."""

from __future__ import annotations

import numpy as np
import pytest

from components.alignment.sft_reward import SftReward, column_of, fitted_slope, rewards_by_answer
from components.model.labels import Labels
from tests.support.project import whole

MASSES = np.array([[0.0, 0.5, 0.0, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0, 0.0]])
LOGS = np.log1p(np.arange(5))


@pytest.mark.parametrize("under_cost", [1.0, 3.0])
def test_a_price_is_rewarded_by_its_expected_error_and_no_price_is_the_worst(under_cost: float) -> None:
    off = LOGS[:, None] - LOGS[None]  # (price, what it may be)
    errors = np.where(off < 0, -under_cost * off, off) @ MASSES.T
    rewards = rewards_by_answer(MASSES, whole(4), under_cost)
    for row in range(2):
        average = (MASSES[row] * errors[:, row]).sum()
        np.testing.assert_allclose(rewards[row, :5], average - errors[:, row])
        assert rewards[row, 5] == rewards[row, :5].min()
        assert (MASSES[row] * rewards[row, :5]).sum() == pytest.approx(0)


def test_a_dear_undershoot_moves_the_best_price_up() -> None:
    best = [rewards_by_answer(MASSES[:1], whole(4), cost)[0, :5].argmax() for cost in (0.2, 1.0, 5.0)]
    assert best[0] == 1
    assert best[2] == 4


def test_where_the_model_gives_no_price_nothing_is_known() -> None:
    assert not rewards_by_answer(np.full((1, 4), np.nan), whole(3), 1.0).any()


def test_each_prompt_is_read_once_and_every_completion_has_its_column() -> None:
    readings: list[list[str]] = []

    def distributions(prompts: list[str]) -> np.ndarray:
        readings.append(prompts)
        return MASSES[[int(prompt) for prompt in prompts]]

    start = SftReward(distributions, whole(4), under_cost=1.0)
    table = rewards_by_answer(MASSES, whole(4), 1.0)
    given = start(["0", "1", "0", "0"], ["3", "3", "dear", "$1,000"])
    np.testing.assert_allclose(given, [table[0, 3], table[1, 3], table[0, 5], table[0, 4]], rtol=1e-6)
    start(["1", "0"], ["1", "1"])
    assert readings == [["0", "1"]]


@pytest.mark.parametrize("slope", [0.5, 4.0])
def test_the_slope_by_which_outcomes_were_drawn_is_fitted(slope: float) -> None:
    draw = np.random.default_rng(0)
    leads = draw.normal(0, 1 / slope, 4000)
    won = draw.random(4000) < 1 / (1 + np.exp(-slope * leads))
    assert fitted_slope(np.where(won, leads, -leads)) == pytest.approx(slope, rel=0.1)


def test_pairs_all_in_order_make_nothing_certain_and_pairs_against_it_count_nothing() -> None:
    few, many = (1 / (1 + np.exp(-fitted_slope(np.ones(count)))) for count in (3, 300))
    assert (few, many) == (pytest.approx(4 / 5, abs=1e-3), pytest.approx(301 / 302, abs=1e-3))
    assert fitted_slope(-np.ones(9)) == pytest.approx(0, abs=1e-3)
    assert fitted_slope(np.zeros(0)) == fitted_slope(np.zeros(3)) == 0


def test_a_label_is_rewarded_by_how_probable_it_is_and_no_label_as_the_worst() -> None:
    labels, masses = Labels(("a", "b", "c")), np.array([[0.6, 0.3, 0.1], [np.nan] * 3])
    rewards = rewards_by_answer(masses, labels, under_cost=3.0)
    centred = masses[0] - (masses[0] ** 2).sum()
    np.testing.assert_allclose(rewards[0], [*centred, centred.min()])
    assert not rewards[1].any()
    assert [column_of(text, labels) for text in (" b", "c and more", "bc", "")] == [1, 2, 3, 3]
