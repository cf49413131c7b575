"""The pictures of reward model and alignment."""

from __future__ import annotations

import numpy as np

from components.alignment import reward_quality
from components.reporting import alignment_figures


def test_the_pictures_show_the_calibration_error_and_every_completion_with_an_error() -> None:
    figure = alignment_figures.reliability(reward_quality.calibration(np.array([1.0, -1, 3])))
    assert "0.17" in figure.axes[0].get_title(loc="left")
    by_error, by_length = alignment_figures.rewards_by_error(
        np.arange(3.0), np.array([1.0, 4, 2]), np.ones(3)
    ).axes
    assert by_error.collections[0].get_offsets().tolist() == [[1, 0], [4, 1], [2, 2]]
    assert by_length.collections[0].get_offsets().tolist() == [[1, 0], [1, 1], [1, 2]]


def test_the_comparison_shows_each_method_by_its_interval_and_not_sft() -> None:
    gap = {"difference": {"mean": -3.0, "low": -5.0, "high": -1.0}}
    table = {
        name: dict.fromkeys(("median", "greedy", "sampled", "malformed"), gap) for name in ("sft", "dpo")
    }
    figure = alignment_figures.against_sft(table)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["dpo"]
    assert len(figure.axes) == 4
    assert list(figure.axes[2].lines[1].get_xdata()) == [-5, -1]
