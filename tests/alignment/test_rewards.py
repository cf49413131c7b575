"""The reward of a completion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.align import align
from components.alignment import rewards
from components.alignment.rewards import RewardModel
from components.alignment.task import AlignmentTask
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.model import adapters
from components.model.labels import Labels
from tests.support.project import whole
from tests.support.reward import COIN, GOOD


def test_the_true_reward_is_minus_the_error_and_no_price_counts_as_the_largest() -> None:
    reward = rewards.truth(["p", "q"], [100.0, 50.0], whole(999), 200.0, 1.0)
    result = reward(["p", "q", "p", "q"], ["90", "50 or so", "cheap", "9999"])
    assert result.tolist() == [-10, 0, -200, -200]


def test_a_dollar_below_the_price_costs_what_the_preferences_say() -> None:
    reward = rewards.truth(["p"], [100.0], whole(999), 200.0, 3.0)
    assert reward(["p"] * 5, ["110", "90", "100", "20", "cheap"]).tolist() == [-10, -30, 0, -200, -200]
    masses, priced = np.array([[0.25, 0.0, 0.25, 0.5]]), (np.array([2.0]), whole(3), 9.0, 3.0)
    assert rewards.expected(masses, ["3"], *priced)[0] == pytest.approx(0.25 * 6 + 0.5)
    assert rewards.expected(masses, ["1 or so"], *priced)[0] == 3


@pytest.mark.parametrize("under_cost", [1.0, 4.0])
def test_the_true_reward_of_a_method_is_that_of_the_task(
    cheap_task: AlignmentTask, under_cost: float
) -> None:
    task = cheap_task._replace(under_cost=under_cost)
    prompt, price = task.prompts["prompt"][0], round(task.prompts["target"][0])
    task = task._replace(prompts=task.prompts[:1].assign(target=float(price)))
    low, high = rewards.reward_by("truth", task)([prompt] * 2, [str(price - 5), str(price + 5)])
    assert (low, high) == (-5 * under_cost, -5)


def test_two_listings_with_the_same_cut_prompt_keep_their_own_prices() -> None:
    reward = rewards.truth(["p", "p", "q"], [100.0, 40.0, 7.0], whole(999), 500.0, 1.0)
    assert reward(["p", "p", "q"], ["100", "40", "7"]).tolist() == [-30.0, -30.0, 0.0]


@pytest.mark.parametrize("method", ["ppo", "rloo", "grpo", "sft_best_of_n"])
def test_a_reward_model_that_may_be_a_coin_is_barred_before_any_training(
    cheap_task: AlignmentTask, tiny_params: Params, method: str
) -> None:
    cheap_task.reward_model.standing = COIN
    section = getattr(tiny_params.align, method)
    if method != "ppo":
        section = section.model_copy(update={"reward": "model"})
    before = [weight.clone() for weight in adapters.adapter_weights(cheap_task.model, "default")]
    with pytest.raises(PricewrightError, match=r"may be a coin.*0\.42 of 71.*0\.31 to 0\.54"):
        align(cheap_task, method, section)
    after = adapters.adapter_weights(cheap_task.model, "default")
    assert all(bool((left == right).all()) for left, right in zip(before, after, strict=True))
    assert not cheap_task.monitor.snapshots


def test_a_reward_model_may_be_a_coin_while_the_interval_of_its_accuracy_holds_a_half() -> None:
    often = GOOD._replace(accuracy=0.58, accuracy_low=0.47, accuracy_high=0.69)
    assert not often.better_than_chance
    assert not often._replace(accuracy_low=0.5).better_than_chance
    assert often._replace(accuracy_low=0.51).better_than_chance


def test_the_reward_of_a_completion_has_the_start_that_its_standing_names(cheap_task: AlignmentTask) -> None:
    model, prompts = cheap_task.reward_model, list(cheap_task.prompts["prompt"][:2]) * 2
    texts = ["7", "400", "12", "cheap"]
    plain = model(prompts, texts)
    started = RewardModel(model.model, model.head, model.tokenizer, 3, GOOD._replace(slope=2.0), whole(999))
    known = started.start(prompts, texts)
    assert np.ptp(known) > 0.1
    np.testing.assert_allclose(started(prompts, texts), plain + 2 * known, rtol=1e-4, atol=1e-4)


def test_a_folder_without_a_standing_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(PricewrightError, match=r"reward\.json does not load.*Run the stage reward again"):
        rewards.load_standing(tmp_path)
    COIN.save(tmp_path)
    assert rewards.load_standing(tmp_path) == COIN


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_reward_that_is_no_number_is_a_clear_stop(value: float) -> None:
    reward = rewards.trl_reward(lambda prompts, completions: np.array([1.0, value]))
    with pytest.raises(PricewrightError, match="NaN or infinite"):
        reward(prompts=["p", "p"], completions=["1", "2"], completion_ids=[[1], [2]])


def test_the_expected_error_is_the_mean_over_all_completions() -> None:
    masses = np.array([[0.1, 0.2, 0.0, 0.5]])  # prices 0 to 3; a fifth is no price
    for text in ("3", " 1", "cheap"):
        error, malformed = rewards.expected(masses, [text], np.array([1.0]), whole(3), 1.5, 1.0)
        assert malformed[0] == pytest.approx(0.2)
        assert error[0] == pytest.approx((0.1 * 1 + 0.2 * 0 + 0.5 * 1.5) / 0.8)
    error, malformed = rewards.expected(np.zeros((1, 4)), ["?"], np.array([1.0]), whole(3), 1.5, 1.0)
    assert (error[0], malformed[0]) == (0, 1)


@pytest.mark.parametrize(("text", "error"), [("3 or so", 2.0), ("3.50", 2.5), ("1234", 99.0)])
def test_a_completion_that_goes_on_after_its_price_counts_by_itself(text: str, error: float) -> None:
    masses = np.array([[0.0, 1.0, 0.0, 0.0]])
    assert rewards.expected(masses, [text], np.array([1.0]), whole(3), 99.0, 1.0)[0].tolist() == [error]


NAMES = Labels(("Home", "Home Garden", "Toys"))


def test_the_true_reward_of_a_label_is_right_or_wrong_and_none_is_as_bad_as_the_section_says() -> None:
    reward = rewards.truth(["p", "q"], [0.0, 1.0], NAMES, 1.0, 3.0)
    completions = [" Home", " Home Garden", " Toys", " Homes", " Home Garden, I think"]
    assert reward(["p"] * 5, completions).tolist() == [0, -1, -1, -1, -1]
    assert reward(["q"] * 5, completions).tolist() == [-1, 0, -1, -1, 0]
    dear = rewards.truth(["p", "p"], [0.0, 2.0], NAMES, 500.0, 1.0)
    assert dear(["p"] * 3, [" Home", " Home Garden", "?"]).tolist() == [-0.5, -1.0, -500.0]
    assert rewards.read_answers(completions, NAMES).tolist()[:3] == [0.0, 1.0, 2.0]


def test_the_expected_error_of_labels_is_the_probability_of_a_wrong_one_among_answers() -> None:
    masses, true = np.array([[0.5, 0.2, 0.1], [0.0, 0.0, 0.4]]), np.array([0.0, 1.0])
    error, malformed = rewards.expected(masses, [" Toys", " Toys"], true, NAMES, 1.0, 1.0)
    np.testing.assert_allclose(error, [0.3 / 0.8, 1.0])
    np.testing.assert_allclose(malformed, [0.2, 0.6])
    goes_on, _ = rewards.expected(masses, [" Home, surely", " Home Garden too"], true, NAMES, 1.0, 1.0)
    assert goes_on.tolist() == [0.0, 0.0], "what goes on after its answer counts by itself"
