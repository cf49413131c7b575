"""Prefect's own server, for a flow that runs here: deaf to Ctrl-C while the flow lives, gone when it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import psutil
from httpx import HTTPStatusError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import get_current_settings

from components.core.errors import PricewrightError
from flows import admission, process

GUARDS: list[subprocess.Popen[bytes]] = []
"""Kept, since what a guard waits for is the end of its pipe."""


class OwnServer(SubprocessASGIServer):
    """The server that Prefect starts where none is named, behind `admission`.

    Prefect has one for a process, whoever needs it first: made here, before any flow runs, it is this one.
    """

    def _run_uvicorn_command(self) -> subprocess.Popen[Any]:
        assert self.port is not None
        settings = get_current_settings().to_environment_variables(exclude_unset=True)
        alone = {"PREFECT_SERVER_UI_ENABLED": "false", "PREFECT__SERVER_EPHEMERAL": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", *admission.command(self.port)],
            env=os.environ | settings | alone | admission.variables(self.port),
        )


OwnServer()


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
            _admitted(client)
        GUARDS.extend(process.guard(child.pid) for child in psutil.Process().children())
    except RuntimeError as error:
        raise PricewrightError(f"Prefect's own server did not start: {error}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _admitted(client: SyncPrefectClient) -> None:
    """Raises PricewrightError where the server refuses this clone's login."""
    try:
        client.api_version()
    except HTTPStatusError as error:
        if error.response.status_code != 401:
            raise
        raise PricewrightError(
            f"the Prefect server at {client.api_url} refuses the login: set PREFECT_API_AUTH_STRING to its "
            "own (that of `make prefect` is in .prefect/auth)"
        ) from error
