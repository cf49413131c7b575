"""Which aliases a new version gets. The registry itself is tested end to end."""

from __future__ import annotations

from components.register import beats_constants


def evaluation(mean: float, median: float) -> dict[str, object]:
    return {"candidates": {"mean": {"validation": {"mae": mean}}, "median": {"validation": {"mae": median}}}}


def test_a_first_champion_must_beat_both_constants() -> None:
    served = {"validation": {"mae_served": 70.0}}
    assert beats_constants(evaluation(90.0, 80.0), served)
    assert not beats_constants(evaluation(90.0, 69.0), served)
    assert not beats_constants(evaluation(70.0, 80.0), served)
