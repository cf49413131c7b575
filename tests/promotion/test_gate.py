"""The gate's verdicts: hand-worked cases, and how often it errs on challengers that are no better."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from components.core.params.file import Params
from components.evaluation.metrics import paired_difference
from components.evaluation.resampling import Floats, Products
from components.promotion.gate import Budget, Decision, decide, interval, rows_needed, spread
from tests.support.project import TASK

ERROR_RATE = 0.025


def decided(
    true: Floats, challenger: Floats, champion: Floats, products: Products | None = None, **changed: Any
) -> Decision:
    """The gate's decision about answers; each row is a product of its own unless `products` says so."""
    options: dict[str, Any] = {
        "unit": "dollars",
        "minimum_effect": 0.0,
        "error_rate": ERROR_RATE,
        "power": 0.8,
        "rows_min": 2,
        "bootstrap": 400,
        "seed": 1,
        "unparsed_share_max": 0.1,
    }
    own = np.arange(len(true)) if products is None else products
    losses = (TASK.answers.loss(true, answers) for answers in (challenger, champion))
    return decide(*losses, own, **(options | changed))


def noisy(true: Floats, spread: float, seed: int) -> Floats:
    return true + np.random.default_rng(seed).normal(0, spread, len(true))


@pytest.fixture(scope="module")
def true() -> Floats:
    return np.random.default_rng(0).uniform(50, 500, 300)


# --- how often it errs -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def coin_flips() -> list[Decision]:
    """A thousand challengers on as many rows as the default has: the errors of their champions, another seed
    of noise. Each has a champion of its own: one that was lucky would be so against all its challengers.
    """
    true = np.random.default_rng(0).uniform(50, 500, 540)
    pairs = ((noisy(true, 30, seed), noisy(true, 30, 77_000 + seed)) for seed in range(1000))
    return [decided(true, *pair) for pair in pairs]


def test_a_hundred_coin_flip_challengers_are_promoted_at_most_at_the_stated_error_rate(
    coin_flips: list[Decision],
) -> None:
    """With no minimum effect a coin flip lies on the bound, so that their share is the error rate itself:
    the exact binomial test must not find it larger, of a hundred nor of ten times as many.
    """
    for challengers in (coin_flips[:100], coin_flips):
        promoted = sum(decision.verdict == "promoted" for decision in challengers)
        test = binomtest(promoted, len(challengers), ERROR_RATE, alternative="greater")
        assert test.pvalue > 0.05


def test_by_the_params_the_share_of_promoted_coin_flips_is_surely_below_the_error_rate(
    coin_flips: list[Decision], params: Params
) -> None:
    """Their minimum effect is above 0. The bound is the exact (Clopper-Pearson) one of confidence 0.95."""
    assert params.promote.error_rate == ERROR_RATE
    lows = [decision.low for decision in coin_flips if decision.low is not None]
    promoted = sum(low > params.promote.minimum_effect for low in lows)
    bound = binomtest(promoted, len(lows), alternative="less").proportion_ci(0.95).high
    assert bound <= ERROR_RATE


def test_a_challenger_that_seldom_fails_but_badly_is_not_promoted_for_its_many_small_gains() -> None:
    """Gains with a long tail of losses and a mean of 0: the percentile interval alone promotes many times as
    often as it says, since most samples hold too few of the losses.
    """
    generator = np.random.default_rng(5)
    gains = 10 * (np.exp(1.125) - generator.lognormal(0, 1.5, (400, 200)))
    lows = [interval(row, np.arange(200), ERROR_RATE, bootstrap=400, seed=1)[0] for row in gains]
    alone = [
        -paired_difference(np.maximum(-row, 0), np.maximum(row, 0), np.arange(200), bootstrap=400, seed=1)[2]
        for row in gains
    ]
    assert np.mean(np.array(alone) > 0) > 3 * ERROR_RATE
    assert np.mean(np.array(lows) > 0) < np.mean(np.array(alone) > 0) / 1.5


def test_a_sample_in_which_a_rare_loss_may_be_missing_altogether_settles_nothing() -> None:
    """One large loss in a hundred rows: a third of the draws are without it, and without any spread."""
    gains = np.where(np.arange(100) == 7, -200.0, 4.0)
    low, high = interval(gains, np.arange(100), ERROR_RATE, bootstrap=400, seed=1)
    assert low == gains.min()
    assert gains.mean() <= high <= gains.max()


def test_a_bad_gate_would_fail_the_test_above(true: Floats) -> None:
    """The same challengers, judged by the sign of the difference alone, as a ranking does."""
    better = [
        decided(true, noisy(true, 30, seed), noisy(true, 30, 77_000 + seed)).difference for seed in range(100)
    ]
    assert np.mean([gain is not None and gain > 0 for gain in better]) > 10 * ERROR_RATE


def test_a_minimum_effect_makes_coin_flips_rarer_still(true: Floats) -> None:
    verdicts = {
        decided(true, noisy(true, 30, seed), noisy(true, 30, 77_001), minimum_effect=5.0).verdict
        for seed in range(100)
    }
    assert "promoted" not in verdicts


def test_a_challenger_that_is_planted_better_is_promoted(true: Floats) -> None:
    for seed in range(20):
        decision = decided(true, noisy(true, 20, seed), noisy(true, 40, 500 + seed), minimum_effect=5.0)
        assert decision.verdict == "promoted"
        assert decision.low is not None
        assert decision.low > 5.0
        assert decision.rows_needed is None


def test_a_challenger_that_is_planted_worse_is_rejected(true: Floats) -> None:
    decision = decided(true, noisy(true, 40, 1), noisy(true, 20, 2))
    assert decision.verdict == "rejected"
    assert decision.high is not None
    assert decision.high < 0


# --- rows of one product -----------------------------------------------------------------------------


def clustered(size: int, trials: int, rows: int = 540) -> tuple[Floats, Products]:
    """(gains of equal challengers in dollars, (trials, rows); each row's product, (rows,)): products have
    `size` rows, whose gains correlate by 0.9.
    """
    generator, products = np.random.default_rng(size), np.repeat(np.arange(rows // size), size)
    shared = generator.normal(0, math.sqrt(0.9), (trials, rows // size))[:, products]
    return 20 * (shared + generator.normal(0, math.sqrt(0.1), (trials, rows))), products


def promoted(gains: Floats, products: Products) -> int:
    true = np.full(gains.shape[1], 1000.0)
    decisions = [decided(true, true + 200, true + 200 + gain, products) for gain in gains]
    return sum(decision.verdict == "promoted" for decision in decisions)


@pytest.mark.parametrize("size", [3, 5])
def test_equal_challengers_are_promoted_at_the_stated_rate_where_rows_of_a_product_are_alike(
    size: int,
) -> None:
    gains, products = clustered(size, 400)
    by_product = promoted(gains, products)
    assert binomtest(by_product, 400, ERROR_RATE, alternative="greater").pvalue > 0.05
    by_row = promoted(gains[:200], np.arange(gains.shape[1]))
    assert by_row / 200 > 3 * ERROR_RATE, "what it would be if the rows were independent"


def test_the_rate_holds_where_products_are_of_very_unequal_size() -> None:
    generator = np.random.default_rng(8)
    products = np.repeat(np.arange(200), generator.choice([1, 1, 1, 2, 4, 9], 200))
    shared = generator.normal(0, 20, (400, 200))[:, products]
    equal = promoted(shared + generator.normal(0, 6, shared.shape), products)
    assert binomtest(equal, 400, ERROR_RATE, alternative="greater").pvalue > 0.05


def test_the_same_rows_written_three_times_are_no_more_evidence_than_once(true: Floats) -> None:
    challenger, champion = noisy(true, 29, 1), noisy(true, 30, 2)
    once = decided(true, challenger, champion)
    names = np.array([f"product {number}" for number in range(len(true))])
    thrice = decided(*(np.tile(column, 3) for column in (true, challenger, champion, names)))
    assert (thrice.rows, thrice.products, once.products) == (900, 300, 300)
    for name in ("verdict", "difference", "low", "high", "rows_needed"):
        assert getattr(thrice, name) == getattr(once, name)


def test_rows_needed_counts_products() -> None:
    """Alike by 0.9, rows of products of three tell 2.8 times as little; a third of that many products."""
    gains, products = clustered(3, 1, rows=30_000)
    alone = spread(gains[0], np.arange(gains.shape[1]))
    assert spread(gains[0], products) ** 2 * 3 / alone**2 == pytest.approx(1 + 2 * 0.9, rel=0.05)
    true = np.full(300, 1000.0)
    settled = decided(true, true + 200, true + 201 + gains[0, :300], products[:300])
    assert settled.verdict == "not enough evidence"
    deviation = spread(gains[0, :300] + 1, products[:300])
    assert settled.difference is not None
    wanted = rows_needed(settled.difference, deviation, 0.0, 101, error_rate=ERROR_RATE, power=0.8)
    assert settled.rows_needed == wanted


def test_many_rows_of_few_products_are_too_few_for_the_gate() -> None:
    true = np.full(300, 1000.0)
    decision = decided(true, true + 1, true + 50, np.repeat(np.arange(3), 100), rows_min=100)
    assert (decision.verdict, decision.rows_needed) == ("not enough evidence", 100)
    assert decision.reasons == ("3 products that both could answer; at least 100 are needed",)


# --- worked by hand ----------------------------------------------------------------------------------


def flat(*values: float) -> Floats:
    return np.array(values)


def test_where_every_row_gains_the_same_the_interval_is_that_gain() -> None:
    decision = decided(flat(10, 20, 30), flat(11, 19, 31), flat(15, 25, 35))
    assert (decision.verdict, decision.difference, decision.low, decision.high) == ("promoted", 4.0, 4.0, 4.0)
    assert decision.rows == 3
    assert decision.reasons == (
        "the interval from +4.00 to +4.00 dollars lies above the minimum effect of 0",
    )


def test_a_gain_below_the_minimum_effect_is_rejected_although_it_is_one() -> None:
    decision = decided(flat(10, 20, 30), flat(11, 19, 31), flat(15, 25, 35), minimum_effect=4.5)
    assert decision.verdict == "rejected"
    assert "lies below the minimum effect of 4.5" in decision.reasons[0]


def test_a_gain_of_just_the_minimum_effect_is_settled_by_no_number_of_rows() -> None:
    decision = decided(flat(10, 20, 30), flat(11, 19, 31), flat(15, 25, 35), minimum_effect=4.0)
    assert (decision.verdict, decision.rows_needed) == ("not enough evidence", None)


def test_the_same_model_again_is_no_evidence_without_and_rejected_with_a_minimum_effect(true: Floats) -> None:
    same = noisy(true, 30, 1)
    assert decided(true, same, same).verdict == "not enough evidence"
    assert decided(true, same, same, minimum_effect=0.1).verdict == "rejected"


def test_rows_needed_follows_the_formula() -> None:
    # z(0.975) = 1.959964, z(0.8) = 0.841621; ((1.959964 + 0.841621) * 20 / (3 - 1)) ** 2 = 784.89
    assert rows_needed(3.0, 20.0, 1.0, 2, error_rate=0.025, power=0.8) == 785
    assert rows_needed(-1.0, 20.0, 1.0, 2, error_rate=0.025, power=0.8) == 785
    assert rows_needed(1.0, 20.0, 1.0, 2, error_rate=0.025, power=0.8) is None


def test_on_the_rows_that_it_asks_for_the_gate_settles_it_with_the_stated_power() -> None:
    generator = np.random.default_rng(3)
    needed = rows_needed(2.0, 20.0, 0.0, 2, error_rate=ERROR_RATE, power=0.8)
    assert needed == 785
    promoted = []
    for _ in range(200):
        gain = generator.normal(2.0, 20.0, needed)
        true = np.full(needed, 1000.0)
        promoted.append(decided(true, true + 100.0, true + 100.0 + gain).verdict == "promoted")
    assert 0.7 < np.mean(promoted) < 0.9


def test_too_little_evidence_says_how_many_rows_there_should_be(true: Floats) -> None:
    decision = decided(true[:30], noisy(true, 29, 1)[:30], noisy(true, 30, 2)[:30])
    assert decision.verdict == "not enough evidence"
    assert decision.rows_needed is not None
    assert decision.rows_needed > 30


def test_one_lucky_row_promotes_nothing() -> None:
    decision = decided(flat(10.0), flat(10.0), flat(90.0), rows_min=50)
    assert (decision.verdict, decision.rows_needed) == ("not enough evidence", 50)
    assert decision.reasons == ("1 products that both could answer; at least 50 are needed",)


# --- budgets and silence -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget("coverage", 0.5, 0.7, 0.9), "coverage is 0.5, at least 0.7 is needed"),
        (Budget("coverage", 0.95, 0.7, 0.9), "coverage is 0.95, at most 0.9 is allowed"),
        (Budget("size in MB", 60.0, at_most=50), "size in MB is 60, at most 50 is allowed"),
        (Budget("coverage", math.nan, 0.7), "coverage was not measured"),
    ],
)
def test_a_broken_budget_rejects_the_best_challenger(true: Floats, budget: Budget, reason: str) -> None:
    decision = decided(true, noisy(true, 5, 1), noisy(true, 40, 2), budgets=[budget])
    assert decision.verdict == "rejected"
    assert decision.reasons[0] == reason
    assert decision.low is not None
    assert decision.low > 0


def test_a_budget_that_may_go_unmeasured_holds_where_it_did(true: Floats) -> None:
    limits = [Budget("forgetting", math.nan, at_most=2.0, needed=False)]
    assert decided(true, noisy(true, 5, 1), noisy(true, 40, 2), budgets=limits).verdict == "promoted"


def test_a_budget_on_its_limit_holds(true: Floats) -> None:
    limits = [Budget("coverage", 0.7, 0.7, 0.9), Budget("size", 50.0, at_most=50.0)]
    assert decided(true, noisy(true, 5, 1), noisy(true, 40, 2), budgets=limits).verdict == "promoted"


def test_falling_silent_on_the_hard_rows_never_wins(true: Floats) -> None:
    champion = noisy(true, 30, 1)
    challenger = noisy(true, 30, 2)
    challenger[np.abs(challenger - true) > 45] = np.nan
    silent = int(np.isnan(challenger).sum())
    decision = decided(true, challenger, champion, unparsed_share_max=0.9)
    assert decision.verdict == "rejected"
    assert decision.reasons[0] == f"{silent} rows without a readable answer, 0 of the champion"


def test_too_many_silent_rows_break_the_budget_even_beside_a_silent_champion(true: Floats) -> None:
    champion, challenger = noisy(true, 40, 1), noisy(true, 5, 2)
    champion[:60] = challenger[:60] = np.nan
    decision = decided(true, challenger, champion)
    assert decision.verdict == "rejected"
    assert decision.rows == 240
    assert decision.reasons[0] == "unparsed share is 0.2, at most 0.1 is allowed"


def test_where_no_row_was_answered_by_both_nothing_is_decided_for_the_challenger() -> None:
    nothing = flat(math.nan, math.nan)
    decision = decided(flat(1, 2), flat(1, 2), nothing, rows_min=10)
    assert (decision.verdict, decision.difference, decision.rows_needed) == ("not enough evidence", None, 10)
    assert decided(flat(1, 2), nothing, flat(1, 2)).verdict == "rejected"


def test_tables_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="3 and 3 losses, 2 products"):
        decided(flat(1, 2, 3), flat(1, 2, 3), flat(1, 2, 3), np.arange(2))
