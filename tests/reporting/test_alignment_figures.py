"""The pictures of reward model and alignment."""

from __future__ import annotations

from typing import Any

import numpy as np

from components.alignment import reward_quality
from components.reporting import alignment_figures


def test_the_pictures_show_the_calibration_error_and_every_completion_with_an_error() -> None:
    figure = alignment_figures.reliability(reward_quality.calibration(np.array([1.0, -1, 3])))
    assert "0.17" in figure.axes[0].get_title(loc="left")
    by_error, by_length = alignment_figures.rewards_by_error(
        np.arange(3.0), np.array([1.0, 4, 2]), np.ones(3), "crowns"
    ).axes
    assert by_error.collections[0].get_offsets().tolist() == [[1, 0], [4, 1], [2, 2]]
    assert by_length.collections[0].get_offsets().tolist() == [[1, 0], [1, 1], [1, 2]]


def test_the_comparison_shows_each_method_by_its_intervals_and_not_sft() -> None:
    ways = ("point", "greedy", "sampled", "malformed")
    plain, tempered, continued = (
        {way: {"difference": {"mean": mean, "low": mean - 2, "high": mean + 2}} for way in ways}
        for mean in (-3.0, 0.5, 1.0)
    )
    controls: dict[str, dict[str, Any]] = {"sft_tempered": tempered, "sft_continued": continued}
    controls["sft_tempered"] = tempered | {"greedy": {"difference": None}}
    row = {**plain, "controls": controls}
    table = {"sft": row | {"helps": ""}, "dpo": row | {"helps": False}, "rloo": row | {"helps": True}}
    figure = alignment_figures.against_sft(table, "crowns")
    labels = figure.axes[0].get_yticklabels()
    assert {label.get_text(): label.get_fontweight() for label in labels} == {"rloo": "bold", "dpo": "normal"}
    assert len(figure.axes) == 4
    intervals = [list(line.get_xdata()) for line in figure.axes[2].lines[1::2]]
    assert intervals == [[-5, -1], [-1.5, 2.5], [-1, 3]] * 2
    assert len(figure.axes[1].lines) == 1 + 2 * 2 * 2, "a difference that is none is left out"
    legend = figure.axes[3].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["sft", "sft_tempered", "sft_continued"]
