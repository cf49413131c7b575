"""What a version's own code finds in the environment: what a program needs to run, and nothing else.

A version brings the code it was registered with, and whoever may register may write it. A list of names that
may pass needs no knowledge of the names under which keys are kept.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

PASSED = (
    *("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME"),
    *("LANG", "LANGUAGE", "LC_*", "TZ", "TERM"),
    *("OMP_*", "GOMP_*", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TOKENIZERS_PARALLELISM"),
    *("CUDA_*", "NVIDIA_VISIBLE_DEVICES", "PYTORCH_CUDA_ALLOC_CONF", "HF_HUB_OFFLINE"),
    *("DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "MLFLOW_DISABLE_TELEMETRY"),
    "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT",
)
"""Names of variables, `*` for any ending; none of them holds a key, a password or an address with one."""


def without_keys() -> dict[str, str]:
    """The variables of this process that a version's code may see."""
    return {
        name: value
        for name, value in os.environ.items()
        if any(fnmatchcase(name, pattern) for pattern in PASSED)
    }
