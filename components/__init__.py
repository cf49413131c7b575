"""The stages and the few things they share.

Importing this package switches every library's telemetry off, and lets idle OpenMP threads sleep: on a
shared machine threads that spin while they wait made a training step six times slower.
"""

import logging
import os

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns on import where there is no GPU

for _switch, _value in {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GOMP_SPINCOUNT": "0",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "TOKENIZERS_PARALLELISM": "false",
}.items():
    os.environ.setdefault(_switch, _value)
