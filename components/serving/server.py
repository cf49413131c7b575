"""The service's process: versions loaded, alias followed, HTTP answered, until it is stopped."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import uvicorn

from components.core.params.serve import Serve
from components.core.registry import Version
from components.serving import connections
from components.serving.answering import Answering
from components.serving.app import app
from components.serving.follower import Follower
from components.serving.loaded import LoadedVersion, load
from components.serving.log import log
from components.serving.metrics import Metrics
from components.serving.nearest import Nearest, TrainedOn
from components.serving.request_store import RequestStore

Find = Callable[[], Version | None]
Start = Callable[[int], subprocess.Popen[bytes]]
"""Starts a process for a version, with its niceness."""
SHADOW_NICE = 10
"""Niceness of a version that nobody waits for."""


@asynccontextmanager
async def answering(
    champion: Find, challenger: Find, section: Serve, start: Start
) -> AsyncIterator[Answering]:
    """The versions that `champion` and `challenger` name, now and later; no process is left after the block.

    A challenger is loaded where it shadows or gets a share, and never keeps the champion from answering;
    `start` starts the process of a version. Raises PricewrightError where the first champion does not become
    ready.
    """
    async with AsyncExitStack() as stack:
        nice = 0 if section.canary else SHADOW_NICE
        first = await stack.enter_async_context(_following(champion, section, start, 0))
        second: Follower | None = None
        await first.open()
        if section.shadow or section.canary:
            second = await stack.enter_async_context(_following(challenger, section, start, nice))
        for follower in filter(None, (first, second)):
            stack.push_async_callback(_cancelled, asyncio.create_task(follower.follow()))
        metrics = Metrics(first, section.bands)
        store = RequestStore(section.store, section.keep_days, metrics.lost) if section.store else None
        answering = Answering(first, second, section, metrics, store)
        stack.push_async_callback(answering.close)
        yield answering


@asynccontextmanager
async def _following(find: Find, section: Serve, start: Start, nice: int) -> AsyncIterator[Follower]:
    async def opened(version: Version) -> LoadedVersion:
        return await load(version, section, start(nice))

    follower = Follower(find, opened, section.poll_seconds)
    try:
        yield follower
    finally:
        await follower.close()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def serve(
    champion: Find,
    challenger: Find,
    section: Serve,
    start: Start,
    port: int,
    token: str | None,
    trained_on: TrainedOn,
) -> None:
    """Answer who bears `token`, if there is one, until the process is told to stop.

    `trained_on` gives the page the training listings of a version. Raises PricewrightError as `answering`
    does.
    """
    connections.allow_many()
    async with answering(champion, challenger, section, start) as answers:
        log(f"{answers.current().version} answers on http://{section.host}:{port} (addresses: /docs)")
        await server(answers, section, port, token, trained_on).serve()


def server(
    answers: Answering, section: Serve, port: int, token: str | None, trained_on: TrainedOn
) -> uvicorn.Server:
    """The HTTP server, not yet serving."""
    return uvicorn.Server(
        uvicorn.Config(
            app(answers, section, token, Nearest(trained_on)),
            host=section.host,
            port=port,
            http=connections.impatient(section.timeout_seconds),
            log_level="warning",
            access_log=False,
            server_header=False,
        )
    )
