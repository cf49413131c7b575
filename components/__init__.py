"""The stages of the pipeline, each a file here, and what they are made of, a package for each thing known.

Importing this package switches every library's telemetry off (core/telemetry.env), and lets idle OpenMP
threads sleep: on a shared machine threads that spin while they wait made a training step six times slower.
"""

import logging
import os
from pathlib import Path

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns on import where there is no GPU

_lines = (Path(__file__).parent / "core" / "telemetry.env").read_text(encoding="utf-8").splitlines()
_settings = dict(line.split("=", 1) for line in _lines if line and not line.startswith("#"))
_settings |= {"GOMP_SPINCOUNT": "0", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
for _name, _value in _settings.items():
    os.environ.setdefault(_name, _value)
