"""The error measures: their figures, their intervals, and what becomes of an unreadable answer."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from components.evaluation import resampling
from components.evaluation.metrics import error_metrics, paired_difference, rank, share_interval

NAN = float("nan")
OPTIONS: dict[str, Any] = {"bootstrap": 400, "seed": 1, "hit_error": 40.0, "hit_share": 0.2}


def measured(true: list[float], predicted: list[float], **changed: Any) -> dict[str, Any]:
    return error_metrics(np.array(true), np.array(predicted), np.arange(len(true)), **OPTIONS | changed)


def test_the_figures_are_those_worked_out_by_hand() -> None:
    result = measured([100.0, 200.0, 10.0], [110.0, 170.0, 10.0])
    assert result["loss"] == pytest.approx(40 / 3, abs=1e-4)
    logs = np.log([111 / 101, 171 / 201, 1.0])
    assert result["rmsle"] == pytest.approx(np.sqrt((logs**2).mean()), abs=1e-4)
    assert (result["n"], result["unparsed"], result["hit_rate"]) == (3, 0, 1.0)
    assert result["median_error"] == 10.0
    spread = (100 - 310 / 3) ** 2 + (200 - 310 / 3) ** 2 + (10 - 310 / 3) ** 2
    assert result["r2"] == pytest.approx(1 - 1000 / spread, abs=1e-4)


def test_a_hit_is_within_the_dollars_or_within_the_share_of_the_true_price() -> None:
    true = [10.0, 10.0, 500.0, 500.0]
    predicted = [50.0, 50.01, 400.0, 399.0]
    assert measured(true, predicted)["hit_rate"] == 0.5


def test_an_exact_candidate_has_no_error_and_an_interval_of_no_width() -> None:
    result = measured([5.0, 500.0], [5.0, 500.0])
    assert (result["loss"], result["loss_low"], result["loss_high"], result["rmsle"]) == (0.0, 0.0, 0.0, 0.0)


def test_the_interval_holds_the_mean_error_of_new_rows_about_95_times_in_100() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        errors = generator.exponential(20.0, 150)  # their mean is 20
        result = measured([0.0] * 150, list(errors), seed=seed, bootstrap=300)
        held += result["loss_low"] <= 20.0 <= result["loss_high"]
    assert 0.88 <= held / 200 <= 0.99


@pytest.mark.parametrize("name", ["loss", "median_error", "rmsle", "r2", "hit_rate"])
def test_every_measure_lies_in_an_interval_that_narrows_with_more_rows(name: str) -> None:
    generator = np.random.default_rng(5)
    true = generator.uniform(10, 500, 1600)
    predicted = true + generator.normal(0, 60, 1600)
    few, many = (measured(list(true[:rows]), list(predicted[:rows].clip(0))) for rows in (100, 1600))
    widths = [result[f"{name}_high"] - result[f"{name}_low"] for result in (few, many)]
    assert 0.15 < widths[1] / widths[0] < 0.45, "about a quarter for sixteen times the rows"
    assert many[f"{name}_low"] < many[name] < many[f"{name}_high"]


def test_prices_that_are_all_the_same_have_no_variance_to_explain() -> None:
    result = measured([5.0, 5.0], [5.0, 6.0])
    assert (result["r2"], result["loss"]) == (None, 0.5)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    true, predicted = [50.0] * 40, list(np.linspace(0, 300, 40))
    assert measured(true, predicted) == measured(true, predicted)
    assert measured(true, predicted)["loss_low"] != measured(true, predicted, seed=2)["loss_low"]


def test_an_unreadable_answer_is_counted_and_is_not_zero_dollars() -> None:
    result = measured([100.0, 300.0], [100.0, NAN])
    assert (result["unparsed"], result["n"], result["loss"]) == (1, 2, 0.0)
    assert result["hit_rate"] == 0.5, "a row without an answer is a miss"


def test_a_candidate_without_one_readable_answer_has_no_figures_and_ranks_last() -> None:
    result = measured([100.0, 300.0], [NAN, NAN])
    assert [result[name] for name in ("loss", "loss_low", "loss_high", "rmsle")] == [None] * 4
    assert result["unparsed"] == result["n"] == 2
    assert rank(measured([100.0, 300.0], [900.0, 900.0])) < rank(result)


def test_falling_silent_on_any_row_never_moves_a_candidate_up() -> None:
    true = np.array([20.0, 40.0, 80.0, 900.0])
    predicted = np.array([25.0, 35.0, 90.0, 100.0])
    honest = rank(error_metrics(true, predicted, np.arange(len(true)), **OPTIONS))
    for row in range(4):
        silent = predicted.copy()
        silent[row] = NAN
        assert honest < rank(error_metrics(true, silent, np.arange(len(true)), **OPTIONS))


def test_among_equally_readable_candidates_the_lower_error_ranks_first() -> None:
    assert rank(measured([10.0], [11.0])) < rank(measured([10.0], [12.0]))


def test_a_paired_difference_is_the_difference_of_the_mean_errors() -> None:
    true = np.array([10.0, 20.0, 30.0])
    mean, low, high = paired_difference(
        np.ones(3), np.full(3, 4.0), np.arange(len(true)), bootstrap=200, seed=0
    )
    assert (mean, low, high) == (-3.0, -3.0, -3.0)


def test_pairing_sees_a_small_lead_that_separate_intervals_do_not() -> None:
    generator = np.random.default_rng(3)
    true = np.zeros(300)
    hard = generator.exponential(50.0, 300)
    a, b = hard, hard + generator.normal(2.0, 1.0, 300).clip(0)
    first, second = (error_metrics(true, predicted, np.arange(len(true)), **OPTIONS) for predicted in (a, b))
    assert first["loss_high"] > second["loss_low"], "the intervals overlap"
    assert paired_difference(a, b, np.arange(len(true)), bootstrap=400, seed=0)[2] < 0


def test_more_confidence_makes_a_wider_interval_around_the_same_difference() -> None:
    true = np.zeros(200)
    a = np.random.default_rng(4).exponential(50.0, 200)
    usual, unnamed, wide = (
        paired_difference(a, true, np.arange(len(true)), bootstrap=400, seed=0, **options)
        for options in ({"confidence": 0.95}, {}, {"confidence": 0.999})
    )
    assert usual == unnamed
    assert wide[0] == usual[0]
    assert wide[1] < usual[1] < usual[2] < wide[2]


def test_a_paired_difference_leaves_out_rows_that_one_of_the_two_could_not_answer() -> None:
    true = np.array([10.0, 20.0, 30.0])
    a, b = np.array([1.0, NAN, 1.0]), np.array([2.0, 880.0, 2.0])
    assert paired_difference(a, b, np.arange(len(true)), bootstrap=200, seed=0)[0] == -1.0
    with pytest.raises(ValueError, match="no row that both"):
        paired_difference(np.full(3, NAN), b, np.arange(3), bootstrap=200, seed=0)


def test_the_bootstrap_of_a_large_table_takes_little_memory() -> None:
    true = np.zeros(20_000)
    tracemalloc.start()
    error_metrics(
        true, true + 1, np.arange(20_000), **OPTIONS | {"bootstrap": 1000}
    )  # 160 MB if drawn at once
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


def test_drawing_in_steps_gives_the_same_interval_as_drawing_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    true, predicted = [0.0] * 50, list(np.linspace(0, 90, 50))
    at_once = measured(true, predicted)
    monkeypatch.setattr(resampling, "DRAWS_AT_ONCE", 70)
    assert measured(true, predicted) == at_once


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ([1.0], [1.0, 2.0], "1 true numbers but 2"),
        ([], [], "no rows"),
        ([NAN], [1.0], "true number is missing"),
    ],
)
def test_rows_that_cannot_be_compared_are_refused(
    true: list[float], predicted: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        measured(true, predicted)


def test_the_interval_of_a_share_is_that_of_the_textbook_and_stays_within_0_and_1() -> None:
    half, none, all_ = np.arange(100) < 50, np.zeros(10, bool), np.ones(10, bool)
    textbook = share_interval(half, np.arange(100))
    assert textbook == (pytest.approx(0.4038, abs=1e-3), pytest.approx(0.5962, abs=1e-3))
    assert share_interval(none, np.arange(10)) == (0.0, pytest.approx(0.2775, abs=1e-3))
    assert share_interval(all_, np.arange(10))[1] == 1.0


def test_a_share_over_products_counts_their_rows_as_often_as_they_tell_something_new() -> None:
    inside = np.repeat(np.arange(50) < 40, 4)
    assert share_interval(inside, np.repeat(np.arange(50), 4)) == share_interval(inside[::4], np.arange(50))
    never = np.zeros(40, bool)
    assert share_interval(never, np.repeat(np.arange(10), 4)) == share_interval(never[:10], np.arange(10))


@pytest.mark.parametrize("name", ["loss", "median_error", "rmsle", "r2", "hit_rate"])
def test_every_interval_is_that_of_the_products_where_their_rows_are_the_same(name: str) -> None:
    generator = np.random.default_rng(6)
    true = generator.uniform(10, 500, 120)
    predicted = true + generator.normal(0, 60, 120)
    once = measured(list(true), list(predicted.clip(0)))
    rows = (np.repeat(column, 4) for column in (true, predicted.clip(0), np.arange(120)))
    fourfold = error_metrics(*rows, **OPTIONS)
    for end in ("", "_low", "_high"):
        assert fourfold[f"{name}{end}"] == pytest.approx(once[f"{name}{end}"], abs=2e-4)


def test_a_paired_difference_over_products_misses_the_truth_as_seldom_as_it_says() -> None:
    generator, products = np.random.default_rng(7), np.repeat(np.arange(60), 5)
    nothing = np.zeros(300)
    held = {"products": 0, "rows": 0}
    for seed in range(200):
        shared = generator.normal(0, 20, 60)[products] + generator.normal(0, 6, 300)
        for name, drawn in (("products", products), ("rows", np.arange(300))):
            ends = paired_difference(200 + shared, nothing + 200, drawn, bootstrap=300, seed=seed)
            held[name] += ends[1] <= 0 <= ends[2]
    assert held["products"] / 200 > 0.9
    assert held["rows"] / 200 < 0.75
