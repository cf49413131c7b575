from __future__ import annotations

from pathlib import Path

import numpy as np

from components.curation.partitions import Candidates


def test_each_partition_yields_its_share_of_the_positions() -> None:
    paths = [Path("0"), Path("1"), Path("2")]
    candidates = Candidates(paths, np.array([0, 3, 3, 7]), Path("selected"))
    held = [(path.name, local.tolist()) for path, local in candidates.by_partition(np.array([1, 2, 3, 6]))]
    assert held == [("0", [1, 2]), ("2", [0, 3])]
