"""The pages of MLflow and Prefect, each on loopback and on a port that is free.

    python -m flows.listen (mlflow | prefect) --port 5000

mlflow shows runs and registry, prefect the flow runs.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from components.core.errors import PricewrightError
from flows import admission
from flows.admission import HOST

HIGHEST = 65535


def command(name: str, port: int) -> list[str]:
    """What to run for the server `mlflow` or `prefect`. Raises PricewrightError where its port is taken."""
    free(name, port)
    if name == "prefect":
        return admission.command(port)
    where = ["--host", HOST, "--port", str(port)]
    return ["mlflow", "ui", "--backend-store-uri", _store(), "--workers", "1", *where]


def free(name: str, port: int, host: str = HOST) -> None:
    """Raises PricewrightError, naming a port that is free, where `port` of `host` cannot be listened on."""
    if (reason := _refused(port, host)) is None:
        return
    other = next(
        (candidate for candidate in range(port + 1, HIGHEST) if _refused(candidate, host) is None), None
    )
    instead = f"`make {name} PORT={other}`" if other else "another one (PORT=...)"
    raise PricewrightError(
        f"port {port} of {host} cannot be listened on ({reason}): stop what holds it, or take {instead}"
    )


def _refused(port: int, host: str) -> str | None:
    """Why a port cannot be listened on; None where it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just left is free
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def path() -> str:
    """The PATH with this interpreter's tools first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _prefect(port: int) -> dict[str, str]:
    """The environment of Prefect's server, with its login; says where it is, and where the login."""
    file = Path(os.environ["PREFECT_HOME"], "auth")
    login = admission.login(file)
    print(f"the flow's page: http://{HOST}:{port} (it asks for the line in {file})", flush=True)
    names = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")
    return admission.variables(port) | dict.fromkeys(names, login)


def _store() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / 'mlflow.db'}"


def main() -> None:
    """Become or run the server; exit code 1 with one line where it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m flows.listen")
    parser.add_argument("name", choices=["mlflow", "prefect"])
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    try:
        module, *rest = command(arguments.name, arguments.port)
        extra = _prefect(arguments.port) if arguments.name == "prefect" else {}
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None
    variables = {
        "PATH": path(),
        "MLFLOW_TRACKING_URI": _store(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **extra,
    }
    os.execve(sys.executable, [sys.executable, "-m", module, *rest], os.environ | variables)  # noqa: S606


if __name__ == "__main__":
    main()
