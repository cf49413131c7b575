"""The aligned policy against the SFT model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from components.alignment.comparison import Answers, against_sft, answers, errors, outcome
from components.alignment.controls import tempered
from components.model.labels import Labels
from tests.support.project import whole

SFT = {
    "point": np.full(4, 10.0),
    "greedy": np.full(4, 20.0),
    "sampled": np.full(4, 50.0),
    "malformed": np.full(4, 0.1),
}
BETTER = {name: 0.5 * values for name, values in SFT.items()}


def evaluated(aligned: dict[str, np.ndarray]) -> dict[str, Any]:
    return against_sft(SFT, aligned, {}, np.arange(4), bootstrap=200, seed=0)


def test_differences_are_aligned_minus_sft() -> None:
    result = evaluated(BETTER)
    assert result["sampled"] == {
        "sft": 50,
        "aligned": 25,
        "aligned_low": 25,
        "aligned_high": 25,
        "difference": {"mean": -25, "low": -25, "high": -25},
    }
    assert result["may_win"]


def test_the_aligned_mean_has_an_interval_of_its_own() -> None:
    result = evaluated(BETTER | {"sampled": np.array([10.0, 20.0, 30.0, 40.0])})["sampled"]
    assert 10 <= result["aligned_low"] < result["aligned"] == 25 < result["aligned_high"] <= 40


def test_the_verdict_counts_products_and_not_their_rows() -> None:
    gains = np.array([-3.0, -1.0, 2.0, -4.0, 1.0, -2.0, -5.0, 1.5])
    once = against_sft(
        {"point": np.full(8, 50.0), "greedy": np.full(8, 50.0)},
        {"point": 50 + gains, "greedy": 50 + gains},
        {},
        np.arange(8),
        bootstrap=400,
        seed=0,
    )
    often = against_sft(
        {"point": np.full(80, 50.0), "greedy": np.full(80, 50.0)},
        {"point": 50 + np.tile(gains, 10), "greedy": 50 + np.tile(gains, 10)},
        {},
        np.tile(np.arange(8), 10),
        bootstrap=400,
        seed=0,
    )
    assert often["point"]["difference"] == once["point"]["difference"]


def test_a_row_without_a_price_by_either_is_left_out_of_both_means() -> None:
    result = evaluated(BETTER | {"greedy": np.array([np.nan, 8.0, 10.0, 12.0])})
    assert result["greedy"]["aligned"] == 10
    assert not result["may_win"]  # SFT could answer it


def test_where_neither_has_an_answer_nothing_is_compared_and_nothing_is_worse() -> None:
    unreadable = {"greedy": np.full(4, np.nan)}
    result = against_sft(SFT | unreadable, BETTER | unreadable, {}, np.arange(4), bootstrap=200, seed=0)
    assert set(result["greedy"].values()) == {None}
    assert result["may_win"]


@pytest.mark.parametrize("way", ["point", "greedy"])
def test_what_is_worse_without_sampling_may_not_win_however_well_it_samples(way: str) -> None:
    assert not evaluated(BETTER | {way: SFT[way] + 0.01})["may_win"]


GRID = whole(399)
PRICES = np.random.default_rng(2).integers(150, 250, 60)


def spread(centres: np.ndarray, width: float) -> Answers:
    """Answers of a model with these centres in dollars, likelier the nearer, in one case of ten no price."""
    masses = np.exp(-np.abs(GRID.values - centres[:, None]) / width)
    masses *= 0.9 / masses.sum(axis=1, keepdims=True)
    likeliest = [str(price) for price in masses.argmax(axis=1)]
    return Answers(masses.astype(np.float32), likeliest, likeliest)


def verdict(sft: Answers, aligned: Answers, continued: Answers, under_cost: float = 1.0) -> dict[str, Any]:
    prices, options = PRICES.astype(float), {"bootstrap": 300, "seed": 0}
    return outcome(sft, aligned, continued, prices, np.arange(60), GRID, under_cost=under_cost, **options)


OFF = np.random.default_rng(3).normal(0, 12, 60)
KNOWN = spread(PRICES + OFF, 9.0)
"""SFT; what is centred nearer to the prices knows more."""


def test_a_policy_that_merely_sharpens_does_not_help_though_its_samples_err_less() -> None:
    sharper = KNOWN._replace(masses=tempered(KNOWN.masses, 0.6))
    result = verdict(KNOWN, sharper, KNOWN)
    assert result["sampled"]["difference"]["high"] < -0.5
    assert result["may_win"]
    for control in result["controls"].values():
        assert control["temperature"] == pytest.approx(0.6, rel=1e-4)
        assert control["entropy"] == pytest.approx(result["entropy"])
        assert control["sampled"]["difference"]["mean"] == pytest.approx(0, abs=1e-3)
    assert not result["helps"]


def test_a_policy_helps_where_it_knows_more_than_both_controls() -> None:
    result = verdict(KNOWN, spread(PRICES + 0.3 * OFF, 5.0), spread(PRICES + 0.8 * OFF, 9.0))
    assert set(result["controls"]) == {"sft_tempered", "sft_continued"}
    assert result["helps"]
    result = verdict(KNOWN, spread(PRICES + 0.3 * OFF, 5.0), spread(PRICES + 0.1 * OFF, 9.0))
    assert result["controls"]["sft_tempered"]["sampled"]["difference"]["high"] < 0
    assert not result["helps"], "SFT continued learned as much of the same data"


def test_where_selling_too_cheap_is_worse_the_table_says_what_it_costs() -> None:
    low, high = (spread(PRICES + shift, 9.0) for shift in (-10.0, 10.0))
    plain, dear = (verdict(low, high, low, under_cost) for under_cost in (1.0, 3.0))
    for way, figures in (("point", (10.0, 10.0)), ("greedy", (10.0, 10.0))):
        assert (plain[way]["sft"], plain[way]["aligned"]) == figures
        assert (dear[way]["sft"], dear[way]["aligned"]) == (30.0, 10.0)
    assert not plain["helps"]
    assert dear["helps"]


def test_a_control_that_is_surer_than_the_policy_is_not_flattened() -> None:
    result = verdict(KNOWN, spread(PRICES + OFF, 14.0), KNOWN)
    assert result["controls"]["sft_tempered"]["temperature"] == 1
    assert result["controls"]["sft_tempered"]["sampled"] == {
        "sft_tempered": result["sampled"]["sft"],
        **{name: value for name, value in result["sampled"].items() if name != "sft"},
    }


@pytest.mark.parametrize(
    ("worse", "helps"),
    [({}, True), ({"point": 31.0}, False), ({"sampled": 41.0}, False), ({"sampled": np.nan}, False)],
)
def test_what_helps_beats_every_control_when_sampled_and_is_behind_none_by_its_point(
    worse: dict[str, float], helps: bool
) -> None:
    sft = {"point": np.full(4, 40.0), "greedy": np.full(4, 40.0), "sampled": np.full(4, 50.0)}
    aligned = sft | {"point": np.full(4, 30.0), "sampled": np.full(4, 40.0)}
    control = {"point": np.full(4, 30.0), "sampled": np.full(4, 41.0)}
    own = aligned | {way: np.full(4, value) for way, value in worse.items()}
    controls = {"sft_tempered": sft, "sft_continued": control}
    assert against_sft(sft, own, controls, np.arange(4), bootstrap=100, seed=0)["helps"] is helps


def test_policy_and_reference_measure_the_same_before_training(cheap_task: Any) -> None:
    prompts, prices = list(cheap_task.prompts["prompt"][:3]), np.full(3, 100.0)
    options: dict[str, Any] = {"spelled": whole(999).spelled, "batch_size": 2, "seed": 0}
    both = [
        errors(
            answers(cheap_task.model, cheap_task.tokenizer, adapter, prompts, **options),
            prices,
            whole(999),
            1.0,
        )
        for adapter in ("reference", "default")
    ]
    for way in SFT:
        np.testing.assert_array_equal(both[0][way], both[1][way])
        assert both[0][way].shape == (3,)


def test_labels_are_compared_by_how_often_they_are_wrong() -> None:
    labels = Labels(("a", "b", "c"))
    masses = np.array([[0.5, 0.3, 0.0], [0.1, 0.2, 0.6], [0.2, 0.4, 0.3]], dtype=np.float32)
    own = Answers(masses, [" a", " b", "?"], [" a", " c", " b"])
    result = errors(own, np.array([0.0, 0.0, 1.0]), labels, under_cost=3.0)
    np.testing.assert_array_equal(result["point"], [0, 1, 0])
    np.testing.assert_array_equal(result["greedy"], [0, 1, np.nan])
    np.testing.assert_allclose(result["sampled"], [0.3 / 0.8, 0.8 / 0.9, 0.5 / 0.9], rtol=1e-6)
    np.testing.assert_allclose(result["malformed"], [0.2, 0.1, 0.1], atol=1e-6)
