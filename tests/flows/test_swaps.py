"""The service under load while versions are promoted and rolled back: no request is lost."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from prefect.testing.utilities import prefect_test_harness

from components.core import registry, tracking
from components.promotion import promote as promotion
from components.serving.follower import Follower
from flows import promote as flows
from flows.followed import Champion
from tests.support.echo_version import register_echo
from tests.support.project import ROOT
from tests.support.registry import NAME, crown
from tests.support.service import running, section, workers

CLIENTS = 4
PAUSE = 0.05
"""Seconds between two requests of a client: of two cores, the versions that load need one."""
Answers = Counter[tuple[int, str, float]]
"""By status, version and price."""


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@asynccontextmanager
async def under_load() -> AsyncIterator[tuple[Answers, Follower]]:
    """A service that follows the decisions, and what its clients are answered, one request after another."""
    answers: Answers = Counter()
    stopped = asyncio.Event()

    async def ask(client: httpx.AsyncClient) -> None:
        while not stopped.is_set():
            answer = await client.post("/predict", json={"description": "a desk"})
            body = answer.json()
            row = body["answers"][0] if answer.status_code == 200 else {"value": -1.0}
            answers[answer.status_code, body.get("version", ""), row["value"]] += 1
            await asyncio.sleep(PAUSE)

    async with running(section(), Champion(NAME)) as (client, follower):
        asking = [asyncio.create_task(ask(client)) for _ in range(CLIENTS)]
        yield answers, follower
        stopped.set()
        await asyncio.gather(*asking)


async def until(number: str, answers: Answers, follower: Follower) -> None:
    """Wait until a version has taken over and has answered everybody once."""
    async with asyncio.timeout(120):
        while not follower.current or follower.current.version.number != number:
            await asyncio.sleep(0.05)
        before = answers.total()
        while answers.total() < before + 2 * CLIENTS:
            await asyncio.sleep(0.01)


@pytest.mark.slow
def test_no_request_is_lost_over_ten_rollbacks_and_one_model_is_left_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRICEWRIGHT_BY", "tester")
    shutil.copy(empty_store, "mlflow.db")
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    monkeypatch.setattr(promotion, "run_trial", lambda *_: None)  # test_promote.py has real ones
    tracking.connect()
    crown(register_echo(NAME, 1.0), register_echo(NAME, 2.0))

    async def talk() -> Answers:
        async with under_load() as (answers, follower):
            for turn in range(10):
                await asyncio.to_thread(flows.rollback)
                await until("2" if turn % 2 else "1", answers, follower)
            assert follower.swaps == 10
            async with asyncio.timeout(60):
                while len(workers()) > 1:
                    await asyncio.sleep(0.05)
        assert workers() == []
        return answers

    answers = asyncio.run(talk())
    assert set(answers) == {(200, "1", 1.0), (200, "2", 2.0)}
    assert answers.total() > 500
    assert registry.aliases(NAME) == {"champion": "2", "previous": "1"}


@pytest.mark.usefixtures("better")
def test_a_language_model_takes_over_from_another_and_back_without_a_request_lost() -> None:
    async def talk() -> Answers:
        async with under_load() as (answers, follower):
            for flow, number in ((flows.promote, "2"), (flows.rollback, "1")):
                await asyncio.to_thread(flow)
                await until(number, answers, follower)
            assert follower.swaps == 2
        return answers

    answers = asyncio.run(talk())
    assert {(status, version) for status, version, _ in answers} == {(200, "1"), (200, "2")}
    assert len({(version, price) for _, version, price in answers}) == 2
