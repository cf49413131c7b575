"""What decisions on the same rows spend of one error rate, and how often chains of them promote wrongly."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from components.evaluation.resampling import Floats
from components.promotion.gate import interval
from components.promotion.spending import TAIL, FreshRowsNeeded, Part, part, sample_of

SHARED, ROWS, CHAINS = 0.025, 300, 300
ROW_IDS = {rows: [f"{rows}{number}" for number in range(500)] for rows in "abc"}
ON_A = sample_of(ROW_IDS["a"])
OPTIONS: dict[str, Any] = {"error_rate": SHARED, "decisions_max": 50}


def record(version: str, champion: str | None, rows: str = "a") -> dict[str, Any]:
    return {
        "version": version,
        "champion": champion,
        "gate_sha256": rows,
        "rows_sample": sample_of(ROW_IDS[rows]),
    }


# --- simulations -------------------------------------------------------------------------------------


def low(gains: Floats, spent: Part) -> float:
    """The lower end by the gate itself, where the mean is near it at all: for gains as even as these it is
    never above the mean less nine tenths of what the normal approximation takes off. At most 10,000
    resamples, for the sake of time: fewer than the gate takes, which only makes promotions likelier.
    """
    off = NormalDist().inv_cdf(1 - spent.error_rate) * gains.std() / np.sqrt(len(gains))
    if gains.mean() < 0.9 * off:
        return float(gains.mean() - 0.9 * off)
    resamples = min(spent.resamples(400), 10_000)
    return interval(gains, np.arange(len(gains)), spent.error_rate, bootstrap=resamples, seed=1)[0]


def promotes_wrongly(errors: Floats, *, shared: bool) -> bool:
    """Whether any of a chain of challengers, all as good as the first champion, is promoted; `errors` are
    (models, rows) dollars. Without `shared` every decision has the whole error rate.
    """
    champion = errors[0]
    for position, challenger in enumerate(errors[1:], start=1):
        spent = Part(position, 50, SHARED) if shared else Part(1, 1, 2 * SHARED)
        if low(champion - challenger, spent) > 0:
            return True
    return False


def chain(seed: int, models: int) -> Floats:
    return np.abs(np.random.default_rng(seed).normal(0, 30, (models, ROWS)))


def test_a_chain_of_fifty_challengers_on_the_same_rows_stays_at_the_stated_rate() -> None:
    wrong = sum(promotes_wrongly(chain(seed, 51), shared=True) for seed in range(CHAINS))
    assert binomtest(wrong, CHAINS, SHARED, alternative="greater").pvalue > 0.05
    alone = sum(promotes_wrongly(chain(seed, 51), shared=False) for seed in range(60))
    assert alone / 60 > 4 * SHARED, "what it would be if each decision had the whole rate"


def test_a_challenger_picked_by_its_test_figure_needs_rows_that_nobody_has_looked_at() -> None:
    """Of ten equal models the one with the lowest error on the printed rows is proposed. Judged on these rows
    again it is promoted several times too often; on rows of the gate's own, at the stated rate.
    """
    spent, wrong = Part(1, 1, 2 * SHARED), {"the same rows": 0, "rows of its own": 0}
    for seed in range(CHAINS):
        printed, own = chain(seed, 11), chain(10_000 + seed, 11)
        best = 1 + int(printed[1:].mean(axis=1).argmin())
        wrong["the same rows"] += low(printed[0] - printed[best], spent) > 0
        wrong["rows of its own"] += low(own[0] - own[best], spent) > 0
    assert wrong["the same rows"] / CHAINS > 3 * SHARED
    assert binomtest(wrong["rows of its own"], CHAINS, SHARED, alternative="greater").pvalue > 0.05


# --- parts -------------------------------------------------------------------------------------------


def test_the_parts_of_all_decisions_on_some_rows_add_up_to_no_more_than_the_stated_rate() -> None:
    parts = [Part(position, 1000, SHARED).error_rate for position in range(1, 1001)]
    assert parts[:3] == pytest.approx([SHARED / 2, SHARED / 6, SHARED / 12])
    assert 0.99 * SHARED < sum(parts) < SHARED


def test_an_interval_of_a_small_error_rate_has_resamples_beyond_its_ends() -> None:
    for position in (1, 5, 20):
        spent = Part(position, 20, SHARED)
        assert spent.resamples(5000) >= 5000
        assert spent.resamples(1) * spent.error_rate >= TAIL


def test_each_comparison_on_the_same_rows_spends_the_next_part_and_none_on_other_rows() -> None:
    decisions = [record("1", None), record("2", "1"), record("9", "1", rows="b"), {"version": "1"}]
    assert part(decisions, "a", ON_A, "3", "1", **OPTIONS).position == 3
    assert part(decisions, "c", sample_of(ROW_IDS["c"]), "3", "1", **OPTIONS).position == 1


def test_the_same_comparison_again_spends_nothing_new() -> None:
    decisions = [record("1", None), record("2", "1"), record("3", "1"), record("2", "1")]
    assert part(decisions, "a", ON_A, "2", "1", **OPTIONS).position == 2
    assert part(decisions, "a", ON_A, "2", "3", **OPTIONS).position == 4


def test_a_row_more_or_less_does_not_make_a_new_error_rate_and_other_rows_do() -> None:
    decisions = [record("2", "1"), record("3", "1")]
    more = sample_of([*ROW_IDS["a"], "a new one"])
    assert part(decisions, "more", more, "4", "1", **OPTIONS).position == 3
    assert part(decisions, "more", more, "3", "1", **OPTIONS).position == 3, "another look is another chance"
    grown = sample_of([*ROW_IDS["a"][:100], *ROW_IDS["b"]])
    assert part(decisions, "grown", grown, "4", "1", **OPTIONS).position == 3
    assert part(decisions, "b", sample_of(ROW_IDS["b"]), "4", "1", **OPTIONS).position == 1


def test_where_the_rate_is_spent_fresh_rows_are_needed() -> None:
    decisions = [record(str(version), "0") for version in range(50)]
    with pytest.raises(
        FreshRowsNeeded, match=r"^fresh rows needed: 50 comparisons .* `make fresh-test` draws them"
    ):
        part(decisions, "a", ON_A, "99", "0", **OPTIONS)
    assert part(decisions, "a", ON_A, "7", "0", **OPTIONS).position == 8
