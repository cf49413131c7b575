"""The service's process: versions loaded, alias followed, HTTP answered, until it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn

from components.core.params.serve import Serve
from components.core.registry import Version
from components.serving import connections
from components.serving.app import app
from components.serving.follower import Follower
from components.serving.loaded import LoadedVersion, load
from components.serving.log import log

Find = Callable[[], Version | None]


@asynccontextmanager
async def following(find: Find, section: Serve, environment: dict[str, str]) -> AsyncIterator[Follower]:
    """The version that `find` names, loaded, and whichever it names later; no process is left after.

    A version's code finds the variables `environment` alone. Raises PricewrightError where the first version
    does not become ready.
    """

    async def opened(version: Version) -> LoadedVersion:
        return await load(version, section, environment)

    follower = Follower(find, opened, section.poll_seconds)
    try:
        await follower.open()
        task = asyncio.create_task(follower.follow())
        try:
            yield follower
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    finally:
        await follower.close()


async def serve(
    find: Find, section: Serve, environment: dict[str, str], port: int, token: str | None
) -> None:
    """Answer who bears `token`, if there is one, until the process is told to stop.

    Raises PricewrightError as `following` does.
    """
    connections.allow_many()
    async with following(find, section, environment) as follower:
        assert follower.current is not None
        log(f"{follower.current.version} answers on http://{section.host}:{port} (addresses: /docs)")
        await server(follower, section, port, token).serve()


def server(follower: Follower, section: Serve, port: int, token: str | None) -> uvicorn.Server:
    """The HTTP server, not yet serving."""
    return uvicorn.Server(
        uvicorn.Config(
            app(follower, section, token),
            host=section.host,
            port=port,
            http=connections.impatient(section.timeout_seconds),
            log_level="warning",
            access_log=False,
            server_header=False,
        )
    )
