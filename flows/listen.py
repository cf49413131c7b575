"""The servers that a person starts, each on loopback and on a port that is free.

    python -m flows.listen (mlflow | prefect | serve) --port 5000 [--version 3]

mlflow shows runs and registry, prefect the flow runs, serve answers with the champion's prices, or with those
of the version that is named.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from components.core.errors import PricewrightError
from components.core.params.file import load_params
from flows import admission
from flows.admission import HOST

HIGHEST = 65535
NOTICE = "answers on your own word. The gate decides on it with `make promote`; nothing here moves an alias"


def command(name: str, port: int, version: str | None = None) -> list[str]:
    """What to run for a server; `version` is the number of the one that `serve` answers with, by default the
    champion. Raises PricewrightError where its port is taken, there is no champion, or no such version.
    """
    free(name, port)
    where = ["--host", HOST, "--port", str(port)]
    if name == "prefect":
        return admission.command(port)
    if name == "mlflow":
        return ["mlflow", "ui", "--backend-store-uri", _store(), "--workers", "1", *where]
    return [
        "mlflow",
        "models",
        "serve",
        "-m",
        f"models:/{_served(version)}",
        "--env-manager",
        "local",
        *where,
    ]


def free(name: str, port: int) -> None:
    """Raises PricewrightError, naming a port that is free, where `port` cannot be listened on."""
    if (reason := _refused(port)) is None:
        return
    other = next((candidate for candidate in range(port + 1, HIGHEST) if _refused(candidate) is None), None)
    instead = f"`make {name} PORT={other}`" if other else "another one (PORT=...)"
    raise PricewrightError(
        f"port {port} of {HOST} cannot be listened on ({reason}): stop what holds it, or take {instead}"
    )


def _refused(port: int) -> str | None:
    """Why a port cannot be listened on; None where it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just left is free
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def _served(number: str | None) -> str:
    """The address in the registry of the version that answers; a notice where it is not the champion."""
    from components.core import registry  # mlflow takes seconds to import; the other servers need none of it
    from components.core.registry import CHAMPION
    from components.promotion import aliases

    name = load_params().register.model_name
    with registry.connected():
        if number is None and (faults := [line for line in aliases.faults(name) if CHAMPION in line]):
            raise PricewrightError(faults[0])
        champion = registry.aliases(name).get(CHAMPION)
        if number is None and champion is None:
            raise PricewrightError(
                f"{name} has no {CHAMPION} yet: `make promote` decides on the challenger, `make serve "
                "VERSION=n` serves a version that the gate has not passed"
            )
        if number not in (None, champion):
            version = registry.open_version(name, str(number))
            stands = f"version {champion} is" if champion else "there is none"
            print(f"NOT THE CHAMPION ({stands}): {version} {NOTICE}\n", file=sys.stderr, flush=True)
    return f"{name}/{number}" if number else f"{name}@{CHAMPION}"


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
    """Become the server; exit code 1 with one line where it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m flows.listen")
    parser.add_argument("name", choices=["mlflow", "prefect", "serve"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", help="serve: version number; by default the alias champion")
    arguments = parser.parse_args()
    try:
        module, *rest = command(arguments.name, arguments.port, arguments.version or None)
        extra = _prefect(arguments.port) if arguments.name == "prefect" else {}
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None
    folder = str(Path(sys.executable).parent)
    variables = {
        "PATH": os.pathsep.join([folder, os.environ.get("PATH", os.defpath)]),
        "MLFLOW_TRACKING_URI": _store(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **extra,
    }
    os.execve(sys.executable, [sys.executable, "-m", module, *rest], os.environ | variables)  # noqa: S606


if __name__ == "__main__":
    main()
