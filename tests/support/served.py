"""The tiny language model as `quantize` writes it."""

from __future__ import annotations

from pathlib import Path

from components import quantize
from components.evaluation.calibration import Calibration
from components.serving import pyfunc
from tests.support.project import asked


def write_served(base: Path, adapter: Path, folder: Path, *, batch_size: int) -> Path:
    """Merge the adapter and write the model in NF4 with its settings; returns where it is, in `folder`."""
    served = folder / "served"
    quantize.merge(base, adapter, folder / "merged")
    quantize.write_format(folder / "merged", served, "nf4")
    pyfunc.Settings(
        task=asked(tokens=64, maximum=999).section,
        batch_size=batch_size,
        calibration=Calibration.uncalibrated(0.8),
    ).write(served)
    return served
