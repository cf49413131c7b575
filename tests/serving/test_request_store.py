"""What is kept of a request, that no answer waits for it, the shadow, and the challenger's share."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from components.core import registry, tracking
from components.core.errors import PricewrightError
from components.serving.answering import place
from components.serving.request_store import Kept, RequestStore, digest, now
from tests.support.echo_version import register_echo
from tests.support.service import NAME, counted, own_registry, predicted, running, section


def kept(key: str, days: float = 0.0) -> Kept:
    """A row of so many days ago."""
    when = now() - timedelta(days=days)
    return Kept(when, key, 0, "0" * 64, "{}", '{"value": 1.0}', "1", 0.01, None, None)


def rows(path: Path) -> list[dict[str, Any]]:
    """What a SQLite file holds."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM requests ORDER BY id")]


def begun(path: Path) -> bool:
    """Whether a SQLite file holds a row; for a moment it has no table yet."""
    try:
        return path.exists() and bool(rows(path))
    except sqlite3.OperationalError:
        return False


def until(met: Any) -> None:
    """Wait until something is met."""
    end = time.monotonic() + 30
    while not met():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def lost() -> list[int]:
    return []


def test_rows_are_appended_in_order_and_the_old_ones_forgotten(tmp_path: Path, lost: list[int]) -> None:
    path = tmp_path / "requests.db"
    first = RequestStore(f"sqlite:///{path}", 30.0, lost.append)
    first.add([kept("b"), kept("a")])
    first.close()
    second = RequestStore(f"sqlite:///{path}", 30.0, lost.append)
    second.add([kept("old", days=31.0), kept("young", days=29.0)])
    second.close()
    assert [row["key"] for row in rows(path)] == ["b", "a", "young"]
    assert lost == []


def test_what_a_locked_store_does_not_take_is_counted_and_later_rows_are_kept(
    tmp_path: Path, lost: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "requests.db"
    store = RequestStore(f"sqlite:///{path}", 30.0, lost.append)
    store.add([kept("before")])
    until(lambda: begun(path))
    with closing(sqlite3.connect(path)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        store.add([kept("during"), kept("during too")])
        assert time.monotonic() - began < 1
        until(lambda: sum(lost) == 2)
    store.add([kept("after")])
    store.close()
    assert [row["key"] for row in rows(path)] == ["before", "after"]
    assert "requests are not kept: OperationalError of sqlite" in capfd.readouterr().err


def test_what_a_full_disk_does_not_take_is_counted(tmp_path: Path, lost: list[int]) -> None:
    path = tmp_path / "requests.db"
    RequestStore(f"sqlite:///{path}", 30.0, lost.append).close()
    store = RequestStore(f"sqlite:///{path}", 30.0, lost.append)

    pages = 8

    @event.listens_for(store.engine, "connect")
    def _full(connection: sqlite3.Connection, _: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")  # of which SQLite says: the disk is full

    store.add([kept(f"{number:0200}") for number in range(200)])
    until(lambda: sum(lost) == 200)
    pages = 1000
    store.engine.dispose()  # the next connection has the space
    store.add([kept("after")])
    store.close()
    assert [row["key"] for row in rows(path)] == ["after"]


def test_an_address_of_no_database_is_refused(lost: list[int]) -> None:
    for address in ("requests.db", "nosuch://here"):
        with pytest.raises(PricewrightError, match="^serve.store is no address of a database"):
            RequestStore(address, 30.0, lost.append)


# --- behind a service --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Path]:
    """A registry with a champion and a challenger."""
    folder = tmp_path_factory.mktemp("registry")
    with own_registry(folder, empty_store):
        for alias, price in (("champion", 1.0), ("challenger", 2.0)):
            registry.set_alias(NAME, alias, register_echo(NAME, price))
        yield folder


@pytest.fixture(autouse=True)
def inside(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    tracking.connect()


def test_a_request_is_found_by_its_key_with_its_input_answer_and_version(tmp_path: Path) -> None:
    async def talk(keep_input: bool) -> list[dict[str, Any]]:
        path = tmp_path / f"{keep_input}.db"
        async with running(section(store=f"sqlite:///{path}", keep_input=keep_input)) as (client, _):
            body = [{"description": "a desk"}, {"description": "a lamp!"}]
            answer = await client.post("/predict", json=body, headers={"X-Request-Key": "order 7"})
            assert answer.headers["X-Request-Key"] == "order 7"
            other = await client.post("/invocations", json={"inputs": {"description": ["a"]}})
            assert len(other.headers["X-Request-Key"]) == 32
            long = await client.post("/predict", json=body, headers={"X-Request-Key": "x" * 201})
            assert long.status_code == 400
        return rows(path)

    first, second, third = asyncio.run(talk(keep_input=True))
    assert (first["key"], first["row"], second["row"], third["row"]) == ("order 7", 0, 1, 0)
    assert json.loads(second["input"]) == {"description": "a lamp!"}
    assert json.loads(second["answer"]) == {"value": 1.0, "low": 2.0, "high": 7.0}
    assert (second["version"], second["shadow_version"]) == ("1", None)
    assert second["input_sha256"] == digest({"description": "a lamp!"})
    assert 0 < second["seconds"] < 60
    hidden = asyncio.run(talk(keep_input=False))
    assert [row["input"] for row in hidden] == [None] * 3
    assert hidden[1]["input_sha256"] == second["input_sha256"]


def test_a_shadow_answers_the_same_requests_unheard_and_never_keeps_an_answer_waiting(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"

    async def talk() -> dict[str, float]:
        serve = section(store=f"sqlite:///{path}", shadow="challenger")
        async with running(serve) as (client, _):
            await both_are_there(client)
            await predicted(client, "a desk")
            async with asyncio.timeout(30):
                while not any(row["input"] == '{"description": "a desk"}' for row in rows(path)):
                    await asyncio.sleep(0.1)
            return await counted(client)

    read = asyncio.run(talk())
    desk = next(row for row in rows(path) if row["input"] == '{"description": "a desk"}')
    assert json.loads(desk["answer"])["value"] == 1.0
    assert (desk["version"], desk["shadow_version"]) == ("1", "2")
    assert json.loads(desk["shadow_answer"]) == {"value": 2.0, "low": 1.0, "high": 6.0}
    assert read['pricewright_shadow_rows_total{answered="yes"}'] >= 1


async def both_are_there(client: Any) -> None:
    """Wait until the challenger is loaded too: a request of each kind has been shadowed."""
    async with asyncio.timeout(60):
        while "shadow_rows_total{" not in (await client.get("/metrics")).text:
            await predicted(client, "is it there?")
            await asyncio.sleep(0.1)


def test_a_canary_answers_its_share_by_the_key_and_the_same_key_always_the_same_way() -> None:
    async def talk() -> None:
        async with running(section(canary=0.3)) as (client, _):
            keys = [f"order {number}" for number in range(60)]
            async with asyncio.timeout(60):
                while (await ask(client, next(key for key in keys if place(key) < 0.3))) != 2.0:
                    await asyncio.sleep(0.1)
            prices = {key: await ask(client, key) for key in keys}
            assert prices == {key: 2.0 if place(key) < 0.3 else 1.0 for key in keys}
            assert 8 <= Counter(prices.values())[2.0] <= 30
            assert prices == {key: await ask(client, key) for key in keys}

    asyncio.run(talk())


async def ask(client: Any, key: str) -> float:
    answer = await client.post("/predict", json={"description": "a"}, headers={"X-Request-Key": key})
    return float(answer.json()["answers"][0]["value"])


def test_a_locked_store_stops_no_answer_and_what_is_lost_stands_in_the_metrics(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"

    async def talk() -> None:
        async with running(section(store=f"sqlite:///{path}")) as (client, _):
            await predicted(client, "first")
            async with asyncio.timeout(30):
                while not begun(path):
                    await asyncio.sleep(0.1)
            with closing(sqlite3.connect(path)) as holder:
                holder.execute("BEGIN EXCLUSIVE")
                for _ in range(3):
                    await predicted(client, "a desk")
                async with asyncio.timeout(30):
                    while (await counted(client))["pricewright_store_lost_rows_total"] < 3:
                        await asyncio.sleep(0.1)
            await predicted(client, "last")

    asyncio.run(talk())
    assert [json.loads(row["input"])["description"] for row in rows(path)] == ["first", "last"]
