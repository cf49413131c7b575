"""The grid of answers: how numbers are written, which is nearest, and what a distribution over them says."""

from __future__ import annotations

import numpy as np
import pytest

from components.model.grid import Grid
from tests.support.project import whole

DEGREES = Grid(-2.0, 1.0, 0.5, logarithmic=False)


def test_numbers_are_written_with_as_many_decimals_as_the_step_has_and_zero_without_a_sign() -> None:
    assert DEGREES.spelled == ("-2.0", "-1.5", "-1.0", "-0.5", "0.0", "0.5", "1.0")
    assert whole(3).spelled == ("0", "1", "2", "3")
    assert Grid(0.0, 0.3, 0.1, logarithmic=False).spelled == ("0.0", "0.1", "0.2", "0.3")


@pytest.mark.parametrize(
    ("grid", "number", "spelled"),
    [
        (whole(999), 2.5, "3"),
        (whole(999), 998.99, "999"),
        (whole(999), 5000.0, "999"),
        (DEGREES, -1.75, "-1.5"),
        (DEGREES, -1.76, "-2.0"),
        (DEGREES, -0.1, "0.0"),
        (DEGREES, -9.0, "-2.0"),
        (Grid(0.0, 1.0, 0.1, logarithmic=False), 0.3, "0.3"),
    ],
)
def test_the_nearest_number_is_written_halves_up_and_none_beyond_an_end(
    grid: Grid, number: float, spelled: str
) -> None:
    assert grid.spell(number) == spelled


def test_a_missing_number_has_no_place() -> None:
    with pytest.raises(ValueError, match="a number is missing"):
        DEGREES.places([1.0, np.nan])


def test_quantile_mean_and_mode_are_numbers_of_the_grid_and_nan_where_there_is_no_answer() -> None:
    masses = np.array([[0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.3], [np.nan] * 7])
    np.testing.assert_array_equal(DEGREES.median(masses), [0.0, np.nan])
    np.testing.assert_array_equal(DEGREES.quantile(masses, np.array([0.05, 0.5])), [-2.0, np.nan])
    np.testing.assert_array_equal(DEGREES.mode(masses), [1.0, np.nan])
    assert DEGREES.mean(masses)[0] == pytest.approx(masses[0] @ DEGREES.values)


@pytest.mark.parametrize("grid", [whole(999), DEGREES, Grid(-30.0, 25.0, 0.5, logarithmic=False)])
def test_a_number_of_the_grid_comes_back_from_the_scale(grid: Grid) -> None:
    kept = grid.values[grid.values >= grid.step] if grid.logarithmic else grid.values
    np.testing.assert_allclose(grid.unscaled(grid.scaled(kept)), kept)
    assert grid.unscaled([1e9])[0] == grid.high
    assert (np.diff(grid.edges) > 0).all()
    assert len(grid.edges) == len(grid.bounds) == len(grid.values) + 1
