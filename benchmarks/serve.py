"""Requests per second of `make serve` against `mlflow models serve`, with the same version in the same run.

    python -m benchmarks.serve [--version 1] [--seconds 10]

One description a request, at 1, 4 and 16 requests at a time, each client on a connection that it keeps, both
servers on loopback. Needs a registered version and the rows of a finished `make run`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
import pandas as pd

from components.core import registry
from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.evaluation.resampling import Floats
from components.serving import server
from flows import followed, serve

CONCURRENCY = (1, 4, 16)
HOST = "127.0.0.1"


async def talk(port: int, bodies: Iterator[bytes], until: float) -> list[tuple[float, bytes, bytes]]:
    """(seconds, body, answer) of each request that one client makes one after another."""
    reader, writer = await asyncio.open_connection(HOST, port)
    answers = []
    while time.monotonic() < until:
        body = next(bodies)
        began = time.perf_counter()
        head = f"POST /invocations HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        answer = await reader.readexactly(length)
        if " 200 " not in f"{lines[0]} ":
            raise PricewrightError(f"{lines[0]}: {answer.decode()[:200]}")
        answers.append((time.perf_counter() - began, body, answer))
    writer.close()
    return answers


async def load(port: int, texts: list[str], clients: int, seconds: float) -> list[tuple[float, bytes, bytes]]:
    """What several clients at once are answered within so many seconds."""
    numbers = count()
    bodies = iter(lambda: _body(texts[next(numbers) % len(texts)]), b"")
    until = time.monotonic() + seconds
    talks = await asyncio.gather(*(talk(port, bodies, until) for _ in range(clients)))
    return [answer for answers in talks for answer in answers]


def _body(text: str) -> bytes:
    return json.dumps({"dataframe_records": [{"description": text}]}).encode()


@contextmanager
def serving(arguments: list[str], port: int) -> Iterator[float]:
    """A server in a process of its own; the seconds until it answered."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            if process.poll() is not None:
                raise PricewrightError(f"{' '.join(arguments)} ended with {process.returncode}")
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    break
            time.sleep(0.05)
        yield time.monotonic() - began
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def answer(number: str, port: int) -> None:
    """The service with one version and no limit to a client's rate."""
    start, params = serve.Starter(), load_params()
    with registry.connected():
        version = registry.open_version(params.register.model_name, number)
    section = params.serve.model_copy(update={"requests_per_minute": 10**9, "store": None})
    asyncio.run(server.serve(lambda: version, lambda: None, section, start, port, None, followed.trained_on))


def compare(number: str, seconds: float, most: float) -> None:
    """Print the figures of both servers, the one after the other.

    A format of 4 bits rounds a row otherwise among others than alone: where a median stands between two whole
    dollars it may move by one. Raises PricewrightError where an answer differs by more than `most` dollars.
    """
    texts = pd.read_parquet("artifacts/curate/test.parquet")["text"].tolist()
    servers = {
        "mlflow models serve": ["flows.serve", "--plain", "--version", number],
        "make serve": ["benchmarks.serve", "--answer", "--version", number],
    }
    rates: dict[tuple[str, int], float] = {}
    answers: dict[str, dict[bytes, Any]] = {name: {} for name in servers}
    for name, command in servers.items():
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        with serving([*command, "--port", str(port)], port) as ready:
            print(f"{name}: ready after {ready:.1f} s", flush=True)
            asyncio.run(load(port, texts, 1, 1.0))
            for clients in CONCURRENCY:
                began = time.monotonic()
                outcomes = asyncio.run(load(port, texts, clients, seconds))
                rate = len(outcomes) / (time.monotonic() - began)
                rates[name, clients] = rate
                middle, late = np.percentile([1000 * took for took, _, _ in outcomes], [50, 99])
                answers[name] |= {body: json.loads(text) for _, body, text in outcomes}
                times = f"p50 {middle:.0f} ms, p99 {late:.0f} ms"
                print(f"  {clients:2} at a time: {rate:6.1f} requests a second, {times}", flush=True)
    for clients in CONCURRENCY:
        ratio = rates["make serve", clients] / rates["mlflow models serve", clients]
        print(f"{clients:2} at a time: {ratio:.1f} times the requests a second")
    gaps = differences(*answers.values())
    print(
        f"{len(gaps)} descriptions answered by both, {np.count_nonzero(gaps)} differently, by {gaps.max():g}"
    )
    if gaps.max() > most:
        raise PricewrightError(f"an answer differs by more than {most:g}")


def differences(plain: dict[bytes, Any], ours: dict[bytes, Any]) -> Floats:
    """The largest difference between two servers' numbers, for each body that both have answered."""
    gaps = [
        max(abs(row[column] - other[column]) for column in row)
        for body in plain.keys() & ours.keys()
        for row, other in zip(plain[body]["predictions"], ours[body]["predictions"], strict=True)
    ]
    return np.array(gaps)


def main() -> None:
    """Compare, or serve for the comparison."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve")
    parser.add_argument("--version", default="1")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--most", type=float, default=2.0, help="dollars by which an answer may differ")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        if arguments.answer:
            answer(arguments.version, arguments.port)
        else:
            compare(arguments.version, arguments.seconds, arguments.most)
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
