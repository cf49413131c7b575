"""The service: the champion's answers on loopback, and those of the next champion once there is one.

    python -m flows.serve --port 5001 [--version 3] [--plain]

--plain has `mlflow models serve` answer instead, with one version until it is stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, closing

from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.promotion.environment import without_keys
from components.serving import model_process
from flows import listen, process
from flows.admission import HOST

IMPORTS = ("torch", "transformers.modeling_utils", "peft")
"""Libraries that a language model needs; its process imports them while the model is being looked for."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN, TOKEN_MIN = "PRICEWRIGHT_SERVE_TOKEN", 16
"""Variable with the token that a request has to bear, and its fewest characters."""


def serve(port: int, number: str | None = None) -> None:
    """Serve the champion and whichever version comes after it, or the version `number`, until it is stopped.

    Raises PricewrightError where the port is taken, there is no champion or no such version, or it does not
    become ready.
    """
    params = load_params()
    token = _token(params.serve.host)
    listen.free("serve", port, params.serve.host)
    name = params.register.model_name
    with closing(Starter()) as start:
        from components.serving import server  # mlflow takes seconds to import, as a model's libraries do
        from flows import followed

        find = followed.found(name, number)
        rival, trained_on = followed.Challenger(name), followed.trained_on
        asyncio.run(server.serve(find, rival, params.serve, start, port, token, trained_on))


class Starter:
    """Starts processes for versions, the first of them at once."""

    def __init__(self) -> None:
        self._first: subprocess.Popen[bytes] | None = model_process.start(_variables(), imports=IMPORTS)

    def __call__(self, nice: int) -> subprocess.Popen[bytes]:
        """A process that waits for its model, with that niceness."""
        first, self._first = self._first, None
        return first or model_process.start(_variables(), nice)

    def close(self) -> None:
        """End the first process, where nobody took it."""
        if self._first:
            with self._first as child:
                child.kill()


def plain(port: int, number: str | None = None) -> int:
    """Have `mlflow models serve` answer with a version, from a copy of its files; its exit code.

    The files are known to be those it was registered with before any of its code runs, and that code finds no
    key in its environment. Raises PricewrightError as `serve` does, and where its files are not whole.
    """
    listen.free("serve", port)
    from components.core import registry
    from flows import followed

    version = followed.found(load_params().register.model_name, number)()
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
