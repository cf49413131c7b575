"""A number is predicted: the loss of a row is the absolute error, in the unit of the number.

The median of a predicted distribution minimizes it in expectation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def loss(true: NDArray[np.float64], predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    """The loss of each row, (n,), in the unit of the number; NaN where `predicted` is NaN: no answer."""
    return np.abs(predicted - true)
