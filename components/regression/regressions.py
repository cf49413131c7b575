"""The regressions of a blend, kept in one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from components.core.params.baseline import Baseline
from components.evaluation.resampling import Floats
from components.model.grid import Grid
from components.regression.boosting import HiddenStatesBoosting, fit_boosting
from components.regression.hidden_states import HiddenStatesRidge, fit_hidden_states
from components.regression.neighbours import Neighbours, fit_neighbours
from components.regression.ridge import product_folds


@dataclass(frozen=True)
class Regressions:
    """Those that are blended with a language model where it predicts a number, in the order of NAMES."""

    NAMES: ClassVar = ("hidden_states_ridge", "hidden_states_boosting", "neighbours")

    ridge: HiddenStatesRidge
    boosting: HiddenStatesBoosting
    neighbours: Neighbours

    @property
    def depths(self) -> list[float]:
        """The layers whose hidden states they read, as shares of the base's depth."""
        return self.ridge.depths

    def distributions(self, texts: list[str], untuned: Floats, states: Floats, grid: Grid) -> list[Floats]:
        """Probabilities of the numbers of the grid by each, (n, numbers), for listing texts, the untuned
        base's distributions of them, (n, numbers), and its hidden states, (n, size).
        """
        readings = grid.scaled(grid.median(untuned))
        with_base = [part.distribution(texts, readings, states, grid) for part in (self.ridge, self.boosting)]
        return [*with_base, self.neighbours.distribution(texts, grid)]

    def save(self, folder: Path) -> None:
        """Write all of them to `folder`."""
        for part in (self.ridge, self.boosting, self.neighbours):
            part.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Regressions:
        """What `save` wrote. Raises PricewrightError where a part of it is missing."""
        return cls(HiddenStatesRidge.load(folder), HiddenStatesBoosting.load(folder), Neighbours.load(folder))


def fit_regressions(
    train: pd.DataFrame, targets: Floats, readings: Floats, states: Floats, section: Baseline
) -> Regressions:
    """Fit all of them on listings (columns of `Item`), their targets, (n,), the untuned base's predictions of
    these, (n,), NaN where it gave none, both on the scale of the grid, and its hidden states, (n, size), at
    `section.hidden_depths`.
    """
    texts, products = train["text"].tolist(), train["product"].to_numpy()
    inputs = texts, readings, states, targets
    common: dict[str, Any] = {"vocabulary": section.vocabulary, "seed": section.seed}
    split = product_folds(products, section.ridge_folds, section.seed)
    ridge = fit_hidden_states(
        *inputs,
        depths=section.hidden_depths,
        quantities=section.quantities,
        landmarks=section.landmarks,
        alphas=section.ridge_alphas,
        count_weights=section.count_weights,
        split=split,
        **common,
    )
    boosting = fit_boosting(
        *inputs,
        reduced=section.boosting_components,
        quantities=section.quantities,
        components=section.boosting_states,
        iterations=section.boosting_iterations,
        split=split,
        **common,
    )
    near: dict[str, Any] = {"number": section.neighbours, "temperature": section.neighbour_temperature}
    return Regressions(ridge, boosting, fit_neighbours(texts, targets, products, **near, **common))
