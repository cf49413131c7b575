"""What the tests of rewards share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from components.alignment.rewards import Standing

GOOD = Standing(slope=0.0, under_cost=1.0, pairs=99, accuracy=0.9, accuracy_low=0.8, accuracy_high=1.0)
"""That of a reward model which knows all by its own head."""
COIN = GOOD._replace(pairs=71, accuracy=0.42, accuracy_low=0.31, accuracy_high=0.54)


def no_start(pairs: pd.DataFrame) -> dict[str, np.ndarray]:
    """Of both sides nothing is known before."""
    return {side: np.zeros(len(pairs)) for side in ("chosen", "rejected")}
