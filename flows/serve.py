"""The service: the champion's answers on loopback, and those of the next champion once there is one.

    python -m flows.serve --port 5001 [--version 3] [--plain]

--plain has `mlflow models serve` answer instead, with one version until it is stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack

from components.core import registry
from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.core.registry import CHALLENGER, CHAMPION, Version
from components.promotion import aliases
from components.promotion.environment import without_keys
from components.serving import server
from components.serving.doors import LOOPBACK
from flows import listen, process
from flows.admission import HOST

TOKEN, TOKEN_MIN = "PRICEWRIGHT_SERVE_TOKEN", 16
"""Variable with the token that a request has to bear, and its fewest characters."""
NOTICE = "answers on your own word. The gate decides on it with `make promote`; nothing here moves an alias"


def serve(port: int, number: str | None = None) -> None:
    """Serve the champion and whichever version comes after it, or the version `number`, until it is stopped.

    Raises PricewrightError where the port is taken, there is no champion or no such version, or it does not
    become ready.
    """
    params = load_params()
    token = _token(params.serve.host)
    listen.free("serve", port, params.serve.host)
    name = params.register.model_name
    find = _found(name, number)
    asyncio.run(server.serve(find, Challenger(name), params.serve, _variables(), port, token))


def plain(port: int, number: str | None = None) -> int:
    """Have `mlflow models serve` answer with a version, from a copy of its files; its exit code.

    The files are known to be those it was registered with before any of its code runs, and that code finds no
    key in its environment. Raises PricewrightError as `serve` does, and where its files are not whole.
    """
    listen.free("serve", port)
    version = _found(load_params().register.model_name, number)()
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(registry.fetched(version))
        except PricewrightError as error:
            raise PricewrightError(f"{version} is not served: {error}") from error
        model = ["-m", str(folder), "--env-manager", "local"]
        command = ["mlflow", "models", "serve", *model, "--host", HOST, "--port", str(port)]
        return process.run([sys.executable, "-m", *command], _variables(), None, threading.Event(), _show)


def _token(host: str) -> str | None:
    """What a request has to bear, None for nothing. Raises PricewrightError where it is missing."""
    token = os.environ.get(TOKEN) or None
    if host not in LOOPBACK and (token is None or len(token) < TOKEN_MIN):
        raise PricewrightError(
            f"serve.host is {host}, which others can reach: set {TOKEN} to a token of at least {TOKEN_MIN} "
            "characters (`openssl rand -hex 16`), or serve.host to 127.0.0.1"
        )
    return token


class Champion:
    """The version that the decisions have made champion, looked up at every call."""

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name
        self._last: Version | None = None

    def __call__(self) -> Version:
        """Raises PricewrightError where there is none, or the alias stands where no decision has put it."""
        with registry.reachable():
            number = registry.aliases(self.model_name).get(CHAMPION)
            if self._last is None or self._last.number != number:
                self._last = self._decided(number)
            return self._last

    def _decided(self, number: str | None) -> Version:
        if faults := [line for line in aliases.faults(self.model_name) if CHAMPION in line]:
            raise PricewrightError(faults[0])
        if number is None:
            raise PricewrightError(
                f"{self.model_name} has no {CHAMPION} yet: `make promote` decides on the challenger, "
                "`make serve VERSION=n` serves a version that the gate has not passed"
            )
        return registry.open_version(self.model_name, number)


class Challenger:
    """The version that is to be compared with the champion, looked up at every call."""

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def __call__(self) -> Version | None:
        """None where there is none, or it is champion already."""
        with registry.reachable():
            standing = registry.aliases(self.model_name)
            number = standing.get(CHALLENGER)
            if number is None or number == standing.get(CHAMPION):
                return None
            return registry.open_version(self.model_name, number)


def _found(model_name: str, number: str | None) -> Callable[[], Version]:
    """What gives the version to serve: the champion, or that of the number, with a notice if it is not."""
    with registry.connected():
        if number is None:
            return Champion(model_name)
        version, champion = (
            registry.open_version(model_name, number),
            registry.aliases(model_name).get(CHAMPION),
        )
    if number != champion:
        stands = f"version {champion} is" if champion else "there is none"
        print(f"NOT THE CHAMPION ({stands}): {version} {NOTICE}\n", file=sys.stderr, flush=True)
    return lambda: version


def _variables() -> dict[str, str]:
    return without_keys() | {"PATH": listen.path()}


def _show(line: str, finished: bool) -> None:
    if finished:
        print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Serve; exit code 1 with one line where it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m flows.serve")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", help="version number; by default whichever is champion")
    parser.add_argument("--plain", action="store_true", help="have `mlflow models serve` answer")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if arguments.plain:
            raise SystemExit(plain(arguments.port, arguments.version or None))
        serve(arguments.port, arguments.version or None)
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
