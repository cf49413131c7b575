"""The service on a free port of loopback, in this process; its versions are in processes of their own."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest

from components.core import registry, tracking
from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.core.params.serve import Serve
from components.core.registry import Version
from components.serving import model_process, server
from components.serving.follower import Follower
from components.serving.nearest import TrainedOn
from tests.support.project import ROOT, environment_kept

NAME = "pricer"


def trained_on(version: Version) -> pd.DataFrame:
    """Two listings, which the first version alone was trained on."""
    if version.number != "1":
        raise PricewrightError("train.parquet is kept nowhere")
    rows = [("A gold ring", "A gold ring, 4 g", 90.0), ("A lamp", "A lamp of brass and gold", 20.5)]
    return pd.DataFrame(rows, columns=["title", "text", "value"])


def section(**changed: Any) -> Serve:
    """The section `serve` of params.yaml with quick looks at the alias, and these changes."""
    serve = load_params(ROOT / "params.yaml").serve
    return serve.model_copy(update={"poll_seconds": 0.1, "timeout_seconds": 30.0, "store": None, **changed})


def at(alias: str = "champion") -> Callable[[], Version | None]:
    """Whatever the alias names, whoever has set it."""

    def find() -> Version | None:
        with registry.reachable():
            number = registry.aliases(NAME).get(alias)
            return registry.open_version(NAME, number) if number else None

    return find


@contextmanager
def own_registry(folder: Path, empty_store: Path) -> Iterator[None]:
    """Inside the block the work is in `folder`, with a registry there that has no version yet."""
    with environment_kept(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy(empty_store, "mlflow.db")
        tracking.connect()
        yield


@asynccontextmanager
async def running(
    values: Serve,
    find: Callable[[], Version | None] | None = None,
    token: str | None = None,
    trained_on: TrainedOn = trained_on,
) -> AsyncIterator[tuple[httpx.AsyncClient, Follower]]:
    """A client of the service, and the follower of its champion."""

    def start(nice: int) -> subprocess.Popen[bytes]:
        return model_process.start(dict(os.environ), nice)

    async with server.answering(find or at(), at("challenger"), values, start) as answers:
        http = server.server(answers, values, 0, token, trained_on)
        task = asyncio.create_task(http.serve())
        while not http.started:
            assert not task.done()
            await asyncio.sleep(0.01)
        port = http.servers[0].sockets[0].getsockname()[1]
        limits = httpx.Limits(max_connections=None)
        try:
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", timeout=60, limits=limits, trust_env=False
            ) as client:
                yield client, answers.champion
        finally:
            http.should_exit = True
            await task


async def predicted(client: httpx.AsyncClient, text: str) -> dict[str, Any]:
    """The body of the answer to a text."""
    answer = await client.post("/predict", json={"description": text})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def workers() -> list[psutil.Process]:
    """The processes of versions that run."""
    running = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in running if any("serving/worker" in part for part in child.cmdline())]


def samples(text: str) -> dict[str, float]:
    """What a text of Prometheus holds: the name of each sample with its labels, and its value."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def counted(client: httpx.AsyncClient) -> dict[str, float]:
    """The samples of /metrics."""
    return samples((await client.get("/metrics")).text)
