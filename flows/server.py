"""Prefect's own server, for a flow that runs here: deaf to Ctrl-C while the flow lives, gone when it is."""

from __future__ import annotations

import signal
import subprocess

import psutil
from prefect.client.orchestration import get_client

from components.core.errors import PricewrightError
from flows import process

GUARDS: list[subprocess.Popen[bytes]] = []
"""Kept, since what a guard waits for is the end of its pipe."""


def start() -> None:
    """Have Prefect start its own server, or look whether the one that it is told of answers.

    A terminal sends Ctrl-C to every process of a command. The server has to outlive the flow, which reports
    its end to it; a blocked signal stays blocked in a child. But a flow that is killed may leave none behind.
    Raises PricewrightError where no server answers.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with get_client(sync_client=True) as client:
            if silence := client.api_healthcheck():
                raise PricewrightError(
                    f"no Prefect server answers at {client.api_url} ({silence}): start it, or unset "
                    "PREFECT_API_URL to run without one"
                )
        GUARDS.extend(process.guard(child.pid) for child in psutil.Process().children())
    except RuntimeError as error:
        raise PricewrightError(f"Prefect's own server did not start: {error}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
