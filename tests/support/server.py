"""A server of the project in a process of its own, on a port that is free."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.project import ROOT


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[tuple[str, Path]]:
    """The address of a server that is being started, and the file that holds what it has printed."""
    port, printed = free_port(), Path("printed.log")
    with printed.open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--port", str(port)],
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield f"http://127.0.0.1:{port}", printed
    except OSError as error:
        raise AssertionError(printed.read_text()) from error
    finally:
        if server.poll() is None:
            os.killpg(server.pid, 15)
        server.wait(timeout=30)


def wait(address: str, body: bytes | None = None, seconds: float = 120.0) -> bytes:
    """The first answer of a server that is being started. Raises OSError where none comes in time."""
    until = time.monotonic() + seconds
    request = urllib.request.Request(address, data=body, headers={"Content-Type": "application/json"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.3)


def post(address: str, body: Any) -> Any:
    """The JSON that a server answers to a JSON body."""
    return json.loads(wait(address, json.dumps(body).encode(), seconds=0.0))


@contextmanager
def served(
    path: str, module: str, *arguments: str, body: bytes | None = None
) -> Iterator[tuple[bytes, Path]]:
    """What a real server answers at `path`, once it does, and the file that holds what it has printed."""
    with serving(module, *arguments) as (address, printed):
        yield wait(f"{address}{path}", body), printed
