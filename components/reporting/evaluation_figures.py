"""The figures of the page that evaluate writes, by file name."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from components.model.labels import Labels
from components.reporting import evaluation_page, figures
from components.reporting.loss import Loss
from components.tasks import AnyTask


def draw(
    rows: pd.DataFrame,
    result: dict[str, Any],
    curves: tuple[list[dict[str, float]], dict[str, Any]],
    task: AnyTask,
) -> dict[str, Figure]:
    """The figures of the page, by file name; `curves` are those of `learning_curves`."""
    shown, winner, baseline = Loss.of(result), result["winner"], result["best_baseline"]
    test = rows[rows["split"] == "test"]
    panels = {name: test[test["candidate"] == name] for name in (winner, baseline)}
    if isinstance(task.answers, Labels):
        answered = figures.confusion(result["confusion"], result["labels"], f"Answers of {winner} on test")
        by_target = {"confusion.png": answered}
    else:
        by_target = {
            "predicted_true.png": figures.predicted_true(
                panels, "test", task.unit, logarithmic=task.answers.logarithmic
            ),
            "error_by_band.png": figures.errors_by_group(
                result["error_by_band"], "band", f"Error of {winner} on test by what is true", shown
            ),
        }
    return {
        "candidates.png": figures.candidates(result, "test"),
        **by_target,
        "error_by_category.png": figures.errors_by_group(
            result["error_by_category"], "category", f"Error of {winner} on test by category", shown
        ),
        "calibration.png": figures.calibration(
            result["calibration"]["levels"],
            f"{'Sets' if task.kind == 'label' else 'Intervals'} of {winner} on test",
            "lower right"
            if task.kind == "label"
            else "upper left",  # sets hold too much rather than too little
        ),
        evaluation_page.LEARNING: figures.learning(*curves, shown),
    }
