"""The tiny language model as `quantize` writes it."""

from __future__ import annotations

from pathlib import Path

from components import quantize
from components.evaluation.calibration import Calibration
from components.evaluation.label_sets import SetCalibration
from components.serving import pyfunc
from tests.support.project import asked, named

NAMES = ("Audio", "Desk lamps", "Rings")
LABELS = named(*NAMES)
"""What `write_labelled` answers."""


def write_served(base: Path, adapter: Path, folder: Path, *, batch_size: int) -> Path:
    """Merge the adapter and write the model in NF4 with its settings; returns where it is, in `folder`."""
    section, calibration = asked(tokens=64, maximum=999).section, Calibration.uncalibrated(0.8)
    return _written(base, adapter, folder, pyfunc.Settings(section, batch_size, calibration))


def write_labelled(base: Path, adapter: Path, folder: Path, *, batch_size: int) -> Path:
    """The same model, which answers with one of LABELS; its sets hold what it gives a quarter or more."""
    calibration = SetCalibration(0.8, 0.25)
    return _written(base, adapter, folder, pyfunc.Settings(LABELS.section, batch_size, calibration))


def _written(base: Path, adapter: Path, folder: Path, settings: pyfunc.Settings) -> Path:
    served = folder / "served"
    quantize.merge(base, adapter, folder / "merged")
    quantize.write_format(folder / "merged", served, "nf4")
    settings.write(served)
    return served
