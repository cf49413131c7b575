"""The servers that a person starts, each on loopback and on a port that is free.

    python -m flows.listen (mlflow | prefect | serve) --port 5000 [--version 3]

mlflow shows runs and registry, prefect the flow runs, serve answers with the champion's prices, or with those
of the version that is named.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.promotion.environment import without_keys
from flows import admission, process
from flows.admission import HOST

HIGHEST = 65535
NOTICE = "answers on your own word. The gate decides on it with `make promote`; nothing here moves an alias"


def command(name: str, port: int) -> list[str]:
    """What to run for the server `mlflow` or `prefect`. Raises PricewrightError where its port is taken."""
    free(name, port)
    if name == "prefect":
        return admission.command(port)
    where = ["--host", HOST, "--port", str(port)]
    return ["mlflow", "ui", "--backend-store-uri", _store(), "--workers", "1", *where]


def serve(port: int, number: str | None = None) -> int:
    """Serve a version, by default the champion, from a copy of its files until it is stopped; its exit code.

    The files are known to be those it was registered with before any of its code runs, and that code finds no
    key in its environment. Raises PricewrightError where the port is taken, there is no champion or no such
    version, or its files are not whole.
    """
    free("serve", port)
    with ExitStack() as stack:
        model = ["-m", str(_fetched(number, stack)), "--env-manager", "local"]
        command = ["mlflow", "models", "serve", *model, "--host", HOST, "--port", str(port)]
        variables = without_keys() | {"PATH": _path()}
        return process.run([sys.executable, "-m", *command], variables, None, threading.Event(), _show)


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


def _fetched(number: str | None, stack: ExitStack) -> Path:
    """The files of the version that answers, until `stack` ends; a notice where it is not the champion."""
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
        version = registry.open_version(name, str(number or champion))
        if number not in (None, champion):
            stands = f"version {champion} is" if champion else "there is none"
            print(f"NOT THE CHAMPION ({stands}): {version} {NOTICE}\n", file=sys.stderr, flush=True)
        try:
            return stack.enter_context(registry.fetched(version))
        except PricewrightError as error:
            raise PricewrightError(f"{version} is not served: {error}") from error


def _show(line: str, finished: bool) -> None:
    if finished:
        print(line, file=sys.stderr, flush=True)


def _path() -> str:
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
    parser.add_argument("name", choices=["mlflow", "prefect", "serve"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", help="serve: version number; by default the alias champion")
    arguments = parser.parse_args()
    try:
        if arguments.name == "serve":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
            raise SystemExit(serve(arguments.port, arguments.version or None))
        module, *rest = command(arguments.name, arguments.port)
        extra = _prefect(arguments.port) if arguments.name == "prefect" else {}
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    variables = {
        "PATH": _path(),
        "MLFLOW_TRACKING_URI": _store(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **extra,
    }
    os.execve(sys.executable, [sys.executable, "-m", module, *rest], os.environ | variables)  # noqa: S606


if __name__ == "__main__":
    main()
