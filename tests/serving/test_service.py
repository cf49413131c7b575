"""The service over real HTTP, with versions of a real registry: answers, the alias, batches."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from components.core import registry, tracking
from components.core.errors import PricewrightError
from tests.support.echo_version import register_echo
from tests.support.service import NAME, own_registry, predicted, running, section, workers

FIRST, SECOND, BROKEN, CHANGED = "1", "2", "3", "4"
"""Versions: two that answer, one that does not load, one that answers its example otherwise."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Path]:
    """A registry with four versions."""
    folder = tmp_path_factory.mktemp("registry")
    with own_registry(folder, empty_store):
        assert register_echo(NAME, 1.0) == FIRST
        assert register_echo(NAME, 2.0) == SECOND
        register_echo(NAME, 3.0, start="raise OSError('no such layer')")
        register_echo(NAME, 4.0, high=7.0)
        yield folder


@pytest.fixture(autouse=True)
def champion(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first version is champion of that registry."""
    monkeypatch.chdir(made)
    tracking.connect()
    move(FIRST)


def move(number: str) -> None:
    registry.set_alias(NAME, "champion", number)


async def until(number: str, client: httpx.AsyncClient) -> None:
    """Wait until a version has taken over."""
    async with asyncio.timeout(60):
        while (await client.get("/version")).json()["version"] != number:
            await asyncio.sleep(0.05)


# --- answers -----------------------------------------------------------------------------------------


def test_a_record_or_a_list_is_answered_by_the_version_that_is_named() -> None:
    async def talk() -> None:
        async with running(section()) as (client, _):
            answer = await client.post("/predict", json={"description": "a desk"})
            row = {"value": 1.0, "low": 1.0, "high": 6.0}
            assert answer.json() == {"model": NAME, "version": FIRST, "answers": [row]}
            two = await client.post("/predict", json=[{"description": "a"}, {"description": "bb"}])
            assert [answer["high"] for answer in two.json()["answers"]] == [1.0, 2.0]
            version = (await client.get("/version")).json()
            assert (version["version"], version["inputs"][0]["name"]) == (FIRST, "description")
            assert [column["name"] for column in version["outputs"]] == ["value", "low", "high"]
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            assert (await client.get("/readyz")).status_code == 200
            described = (await client.get("/openapi.json")).json()["paths"]
            page = (await client.get("/docs")).text
            assert {"/invocations", "/predict", "/version", "/healthz", "/readyz"} <= set(described)
            assert all(path in page for path in described)
            assert "http" not in page.replace("/openapi.json", "")

    asyncio.run(talk())


def test_a_request_of_many_rows_goes_through_the_model_in_parts() -> None:
    async def talk() -> None:
        async with running(section(batch_max=4)) as (client, _):
            texts = ["x" * size for size in range(1, 11)]
            bodies = {
                "dataframe_split": {"columns": ["description"], "data": [[text] for text in texts]},
                "dataframe_records": [{"description": text} for text in texts],
                "instances": [{"description": text} for text in texts],
                "inputs": {"description": texts},
            }
            for layout, rows in bodies.items():
                answer = await client.post("/invocations", json={layout: rows})
                predictions = answer.json()["predictions"]
                assert [row["high"] for row in predictions] == list(map(len, texts)), layout
                assert [row["low"] for row in predictions] == [4.0] * 8 + [2.0] * 2
            bad = [{"description": text} for text in [*texts, ""]]
            answer = await client.post("/invocations", json={"dataframe_records": bad})
            assert answer.status_code == 400
            assert answer.json()["message"] == "row 10 has no description: there is nothing to price"

    asyncio.run(talk())


def test_a_row_that_is_refused_or_fails_is_its_own_request_alone() -> None:
    async def talk() -> None:
        values = section(batch_milliseconds=200.0)
        async with running(values) as (client, _):
            bodies = [{"description": text} for text in ("good", "", "fail", "fine")]
            answers = await asyncio.gather(*(client.post("/predict", json=body) for body in bodies))
            assert [answer.status_code for answer in answers] == [200, 400, 500, 200]
            assert answers[1].json()["message"].startswith("row 0 has no description")
            assert answers[2].json()["message"] == "the version could not answer this"
            assert [answers[place].json()["answers"][0]["high"] for place in (0, 3)] == [4.0, 4.0]

    asyncio.run(talk())


# --- the alias ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (BROKEN, "pricer version 3 is not served: it does not load: OSError: no such layer"),
        (CHANGED, "it answers row 0 of its registered example with high 6.0, and was registered with 7.0"),
    ],
)
def test_a_version_that_fails_stays_out_and_the_log_says_why_in_one_line(
    number: str, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async def talk() -> None:
        async with running(section()) as (client, follower):
            move(number)
            async with asyncio.timeout(60):
                while not follower.refused:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            assert (await predicted(client, "a desk"))["version"] == FIRST
            move(SECOND)
            await until(SECOND, client)

    asyncio.run(talk())
    lines = [line for line in capfd.readouterr().err.splitlines() if why in line]
    assert len(lines) == 1
    assert lines[0].endswith("; version 1 goes on")
    assert workers() == []


def test_a_service_does_not_start_with_a_version_that_fails() -> None:
    async def talk() -> None:
        move(BROKEN)
        with pytest.raises(PricewrightError, match="version 3 is not served: it does not load: OSError"):
            async with running(section()):
                pass

    asyncio.run(talk())
    assert workers() == []


def test_a_process_that_ends_is_started_anew() -> None:
    async def talk() -> None:
        async with running(section()) as (client, _):
            answer = await client.post("/predict", json={"description": "die"})
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            assert (await client.get("/readyz")).status_code == 503
            async with asyncio.timeout(60):
                while (await client.get("/readyz")).status_code != 200:
                    await asyncio.sleep(0.05)
            assert (await predicted(client, "a desk"))["version"] == FIRST

    asyncio.run(talk())


# --- batches -----------------------------------------------------------------------------------------


def test_requests_that_arrive_together_go_through_the_model_together() -> None:
    async def talk() -> None:
        async with running(section(batch_milliseconds=300.0, batch_max=8)) as (client, _):
            answers = await asyncio.gather(*(predicted(client, "x" * size) for size in range(1, 11)))
            rows = [answer["answers"][0] for answer in answers]
            assert [row["high"] for row in rows] == list(range(1, 11))
            assert Counter(row["low"] for row in rows) == {8.0: 8, 2.0: 2}

    asyncio.run(talk())


def test_a_full_queue_refuses_with_the_time_to_come_back() -> None:
    async def talk() -> None:
        async with running(section(batch_max=1, queue_max=2)) as (client, _):
            blocking = asyncio.create_task(predicted(client, "sleep 2"))
            await asyncio.sleep(0.5)
            answers = await asyncio.gather(
                *(client.post("/predict", json={"description": "a desk"}) for _ in range(5))
            )
            assert Counter(answer.status_code for answer in answers) == {200: 2, 429: 3}
            refused = [answer for answer in answers if answer.status_code == 429]
            assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
            assert refused[0].json()["message"] == "2 rows wait already: try again"
            await blocking
            big = await client.post("/predict", json=[{"description": "x"}] * 3)
            assert big.status_code == 413
            assert big.json()["message"] == "3 rows: at most 2 in one request"

    asyncio.run(talk())


def test_an_answer_that_does_not_come_in_time_is_refused_and_the_process_started_anew() -> None:
    async def talk() -> None:
        async with running(section(timeout_seconds=1.5)) as (client, _):
            late = await client.post("/predict", json={"description": "sleep 600"})
            assert late.status_code == 504
            assert late.json()["message"] == "no answer within 1.5 s: try again"
            async with asyncio.timeout(60):
                while (await client.get("/readyz")).status_code != 503:
                    await asyncio.sleep(0.01)
                while (await client.get("/readyz")).status_code != 200:
                    await asyncio.sleep(0.05)

    asyncio.run(talk())


def test_nobody_works_for_a_client_that_has_hung_up() -> None:
    async def talk() -> None:
        async with running(section(batch_max=1)) as (client, follower):
            blocking = asyncio.create_task(predicted(client, "sleep 1"))
            await asyncio.sleep(0.3)
            for _ in range(3):
                with pytest.raises(httpx.ReadTimeout):
                    await client.post("/predict", json={"description": "sleep 60"}, timeout=0.1)
            await blocking
            assert follower.current is not None
            began = time.monotonic()
            await predicted(client, "a desk")
            assert time.monotonic() - began < 10
            assert follower.current.batcher.rows_waiting == 0

    asyncio.run(talk())
