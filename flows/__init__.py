"""Prefect flows: when and where the graph runs. What the graph is stands in dvc.yaml.

Prefect's settings for this project stand here, because Prefect reads them once, as it is imported; whatever
the environment already says wins.
"""

import os
from pathlib import Path

import components as components  # switches telemetry off before prefect is imported
from flows.admission import new_login

_SETTINGS = {
    "PREFECT_HOME": str(Path.cwd() / ".prefect"),
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # 20 is too short for a busy small machine
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "INFO",  # what goes to the run's page
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "INFO",
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)
if (
    "PREFECT_API_URL" not in os.environ
):  # a flow starts a server of its own, for itself and its children alone
    os.environ["PREFECT_SERVER_API_AUTH_STRING"] = os.environ.setdefault(
        "PREFECT_API_AUTH_STRING", new_login()
    )
