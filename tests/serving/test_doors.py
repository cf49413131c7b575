"""What the service refuses, in which words, and that the others are served meanwhile."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.core import registry, tracking
from components.serving.doors import Rate
from tests.support.echo_version import register_echo
from tests.support.server import environment, free_port, wait
from tests.support.service import NAME, at, own_registry, predicted, running, samples, section

TOKEN = "a-token-of-the-team-1234"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Path]:
    """A registry with two versions."""
    folder = tmp_path_factory.mktemp("registry")
    with own_registry(folder, empty_store):
        register_echo(NAME, 1.0)
        register_echo(NAME, 2.0)
        yield folder


@pytest.fixture(autouse=True)
def champion(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first version is champion of that registry."""
    monkeypatch.chdir(made)
    tracking.connect()
    registry.set_alias(NAME, "champion", "1")


JSON = {"Content-Type": "application/json"}
GARBAGE: dict[str, tuple[str, bytes, int, str]] = {
    "nothing": ("/predict", b"", 400, "the body is not JSON in UTF-8: Expecting value"),
    "no JSON": ("/predict", b"{description: a}", 400, "the body is not JSON in UTF-8: Expecting property"),
    "bytes": ("/predict", b"\xff\xfe\x00\x01", 400, "the body is not JSON in UTF-8"),
    "half a pair": (
        "/predict",
        b'{"description": "\\ud83d"}',
        400,
        "the body holds half of a",
    ),
    "deep": ("/predict", b"[" * 100_000, 400, "the body is nested too deeply"),
    "a number": ("/predict", b"7", 400, "record 0 is to be an object, found a number"),
    "an empty list": ("/predict", b"[]", 400, "the list is empty: there is no record to answer"),
    "an empty record": ("/predict", b"{}", 400, "record 0 has no description"),
    "another column": (
        "/predict",
        b'{"description": "a", "color": "b"}',
        400,
        "record 0 has 'color', which is none of description",
    ),
    "a list in a list": ("/predict", b'[{"description": "a"}, []]', 400, "record 1 is to be an object"),
    "an empty text": ("/predict", b'{"description": ""}', 400, "row 0 has no description"),
    "null": ("/predict", b'{"description": null}', 400, "row 0 has no description"),
    "an object for text": ("/predict", b'{"description": {"a": 1}}', 400, "row 0 has an object in"),
    "a list for text": ("/predict", b'{"description": ["a"]}', 400, "row 0 has a list in"),
    "an unknown param": ("/predict?colour=red", b'{"description": "a"}', 400, "there is no param 'colour'"),
    "no format": ("/invocations", b'{"rows": []}', 400, "the body is to have exactly one of dataframe_split"),
    "two formats": ("/invocations", b'{"inputs": [1], "instances": [1]}', 400, "the body is to have exactly"),
    "a list": ("/invocations", b"[1]", 400, "the body is to be an object with one of"),
    "no rows": ("/invocations", b'{"dataframe_records": []}', 400, "dataframe_records is empty"),
    "no table": ("/invocations", b'{"dataframe_split": [1]}', 400, "dataframe_split is to be an object"),
    "a short row": (
        "/invocations",
        b'{"dataframe_split": {"columns": ["description"], "data": [[]]}}',
        400,
        "row 0 of dataframe_split is to be a list of 1 values",
    ),
    "a number for rows": ("/invocations", b'{"inputs": 3}', 400, "inputs is to be a list or an object"),
    "uneven columns": ("/invocations", b'{"inputs": {"description": ["a"], "b": []}}', 400, ""),
    "params": (
        "/invocations",
        b'{"inputs": ["a"], "params": 3}',
        400,
        "params is to be an object",
    ),
    "another address": ("/secret", b"{}", 404, "there is nothing at this address"),
    "another method": ("/version", b"{}", 405, "this address has another method"),
}


def test_garbage_is_refused_in_one_line_without_a_trace_or_a_path_and_the_next_is_served() -> None:
    async def talk() -> None:
        async with running(section()) as (client, _):
            for name, (path, body, status, words) in GARBAGE.items():
                answer = await client.post(path, content=body, headers=JSON)
                assert answer.status_code == status, (name, answer.text)
                message = answer.json()["message"]
                assert message.startswith(words), name
                assert message, name
                assert "\n" not in message, name
                assert len(message) < 400, name
                assert not any(hint in answer.text for hint in ("Traceback", ".py", "/tmp", "site-packages"))
            form = await client.post("/predict", data={"description": "a"})
            assert form.status_code == 415
            texts = ["桌子 🪑", "стол", "طاولة", "\u202edesk\x00", "x" * 100_000]
            answers = [await predicted(client, text) for text in texts]
            assert [answer["answers"][0]["high"] for answer in answers] == [len(text) for text in texts]

    asyncio.run(talk())


def test_a_body_that_is_too_large_is_refused_with_and_without_its_length() -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100_000

    async def talk() -> None:
        async with running(section(body_bytes_max=1000)) as (client, _):
            exact = json.dumps({"description": "x" * 981}).encode()
            assert len(exact) == 1000
            assert (await client.post("/predict", content=exact, headers=JSON)).status_code == 200
            answer = await client.post("/predict", content=exact + b" ", headers=JSON)
            assert (answer.status_code, answer.json()["message"]) == (
                413,
                "the body has more than 1000 bytes",
            )
            try:
                refused = await client.post("/predict", content=stream(), headers=JSON)
                assert refused.status_code == 413
            except httpx.WriteError:
                pass  # the connection was closed while the rest was still being sent
            await predicted(client, "a desk")

    asyncio.run(talk())


def test_only_the_own_host_and_origin_are_answered() -> None:
    async def talk() -> None:
        async with running(section()) as (client, _):
            own = str(client.base_url).rstrip("/")
            for headers, status in (
                ({"Host": "evil.example"}, 403),
                ({"Host": "localhost.evil.example:80"}, 403),
                ({"Origin": "http://evil.example"}, 403),
                ({"Origin": "null"}, 403),
                ({"Origin": own}, 200),
                ({"Host": "localhost:1"}, 200),
                ({}, 200),
            ):
                answer = await client.get("/version", headers=headers)
                assert answer.status_code == status, headers
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert "Set-Cookie" not in answer.headers

    asyncio.run(talk())


def test_where_there_is_a_token_nothing_is_told_without_it() -> None:
    async def talk() -> None:
        async with running(section(), token=TOKEN) as (client, _):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
                for path in ("/version", "/metrics", "/docs", "/openapi.json", "/card"):
                    answer = await client.get(path, headers=headers)
                    assert answer.status_code == 401, path
                    assert answer.headers["WWW-Authenticate"] == "Bearer"
            for path in ("/healthz", "/", "/page.js", "/page.css"):
                assert (await client.get(path)).status_code == 200
            answer = await client.get("/version", headers={"Authorization": f"Bearer {TOKEN}"})
            assert answer.status_code == 200

    asyncio.run(talk())


def test_a_client_that_comes_too_often_is_told_when_to_come_back() -> None:
    async def talk() -> None:
        async with running(section(requests_per_minute=3)) as (client, _):
            answers = [await client.get("/version") for _ in range(5)]
            assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
            assert 15 <= int(answers[-1].headers["Retry-After"]) <= 20
            assert (await client.get("/healthz")).status_code == 200

    asyncio.run(talk())


def test_each_client_has_a_rate_of_its_own_and_one_that_is_away_long_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("components.serving.doors.CLIENTS_MAX", 2)
    rate = Rate(1)
    assert rate.wait("a") == 0
    assert rate.wait("a") > 0
    assert rate.wait("b") == 0
    assert rate.wait("c") == 0
    assert rate.wait("a") == 0


def test_a_thousand_slow_connections_are_closed_in_time_and_the_others_served() -> None:
    async def talk() -> None:
        async with running(section(timeout_seconds=3.0)) as (client, _):
            port = client.base_url.port
            slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(1000)]
            for place, (_, writer) in enumerate(slow):
                if place % 2:
                    writer.write(b"POST /predict HTTP/1.1\r\nHost: localhost\r\n")
                else:
                    writer.write(
                        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    )
                    writer.write(b"Content-Length: 100\r\n\r\n{")
            for _ in range(5):
                await predicted(client, "a desk")
            heads = [reader for place, (reader, _) in enumerate(slow) if place % 2]
            async with asyncio.timeout(60):
                assert set(await asyncio.gather(*(reader.read() for reader in heads))) == {b""}
                bodies = [reader for place, (reader, _) in enumerate(slow) if not place % 2]
                for answer in await asyncio.gather(*(reader.read(12) for reader in bodies)):
                    assert answer == b"HTTP/1.1 504"
            for _, writer in slow:
                writer.close()
            await predicted(client, "a desk")

    asyncio.run(talk())


def test_the_log_holds_no_token_and_no_text(capfd: pytest.CaptureFixture[str]) -> None:
    async def talk() -> None:
        async with running(section(), token=TOKEN) as (client, _):
            client.headers["Authorization"] = f"Bearer {TOKEN}"
            for text in ("a secret lamp", "fail", ""):
                await client.post("/predict", json={"description": text})
            await client.post(f"/predict?token={TOKEN}", content=b"a secret lamp", headers=JSON)

    asyncio.run(talk())
    printed = "".join(capfd.readouterr())
    assert "could not answer a request: KeyError" in printed
    assert TOKEN not in printed
    assert "secret" not in printed


def test_while_the_registry_is_down_the_service_goes_on_with_what_it_has(
    made: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A registry behind a real server of MLflow, which is stopped and started again."""
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    store = f"sqlite:///{made / 'mlflow.db'}"

    def start() -> subprocess.Popen[bytes]:
        command = ["mlflow", "server", "--backend-store-uri", store, "--workers", "1", "--port", str(port)]
        server = subprocess.Popen([sys.executable, "-m", *command], env=environment(), start_new_session=True)
        wait(f"http://127.0.0.1:{port}/health")
        return server

    def stop(server: subprocess.Popen[bytes]) -> None:
        server.terminate()
        server.wait(timeout=30)

    async def talk() -> None:
        server = await asyncio.to_thread(start)
        try:
            tracking.connect()
            async with running(section(), at()) as (client, _):
                await asyncio.to_thread(stop, server)
                async with asyncio.timeout(60):
                    while "does not answer" not in (printed := capfd.readouterr().err):
                        await asyncio.sleep(0.2)
                assert "; version 1 goes on" in printed
                await predicted(client, "a desk")
                server = await asyncio.to_thread(start)
                await asyncio.to_thread(registry.set_alias, NAME, "champion", "2")
                async with asyncio.timeout(60):
                    while (await predicted(client, "a desk"))["version"] != "2":
                        await asyncio.sleep(0.1)
        finally:
            stop(server)

    asyncio.run(talk())


# --- /metrics ----------------------------------------------------------------------------------------


def test_metrics_count_requests_errors_seconds_rows_bands_and_name_the_version() -> None:
    async def talk() -> dict[str, float]:
        async with running(section(bands=[5.0, 50.0])) as (client, _):
            await client.post("/predict", json=[{"description": "abc"}, {"description": "x" * 40}])
            await client.post("/predict", json={"description": ""})
            await client.get("/no/such/address")
            text = (await client.get("/metrics")).text
        return samples(text)

    read = asyncio.run(talk())
    assert read['pricewright_requests_total{path="/predict",status="200"}'] == 1
    assert read['pricewright_requests_total{path="/predict",status="400"}'] == 1
    assert read['pricewright_requests_total{path="other",status="404"}'] == 1
    assert read['pricewright_request_seconds_count{path="/predict"}'] == 2
    assert read['pricewright_rows_total{version="1"}'] == 2
    assert read['pricewright_answer_bucket{column="high",le="5.0"}'] == 1
    assert read['pricewright_answer_bucket{column="high",le="50.0"}'] == 2
    assert read['pricewright_version{model="pricer",version="1"}'] == 1
    assert (read["pricewright_queue_rows"], read["pricewright_ready"]) == (0, 1)
    assert not any("outside" in name and "{" in name for name in read)


def test_rows_outside_training_are_counted_where_the_version_knows() -> None:
    from components.serving.follower import Follower
    from components.serving.metrics import Metrics

    async def find(_: Any) -> Any:
        raise AssertionError

    metrics = Metrics(Follower(lambda: None, find, 1.0), [1.0])
    outputs = [{"name": "label", "type": "string"}, {"name": "outside_training", "type": "boolean"}]
    metrics.answered("7", outputs, [{"label": "a", "outside_training": flag} for flag in (True, False, True)])
    read = samples(metrics.text().decode())
    assert read['pricewright_rows_outside_training_total{version="7"}'] == 2
    assert read['pricewright_rows_total{version="7"}'] == 3
