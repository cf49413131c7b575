"""A chat endpoint on loopback that answers listings by their number."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from components.core.params.evaluate import Endpoint
from components.model import chat


class Model(ThreadingHTTPServer):
    """Answers every listing with ten times its number, after the `troubles` at the head of the list."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.troubles: list[tuple[int, dict[str, str], str]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Model

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.asked.append(body)
            self.server.keys.append(self.headers["authorization"])
            trouble = self.server.troubles.pop(0) if self.server.troubles else None
        number = int(body["messages"][0]["content"].split("number ")[1].split()[0])
        message = {"choices": [{"message": {"content": f"${10 * number}"}}]}
        text = json.dumps(message | {"usage": {"prompt_tokens": 100, "completion_tokens": 2}})
        status, headers, text = trouble or (200, {}, text)
        self.send_response(status if self.path == "/v1/chat/completions" else 404)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Nothing on the screen."""


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    monkeypatch.setattr(chat, "BACKOFF", 0.0)
    monkeypatch.setenv("TEST_KEY", "secret-7")
    server = Model()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def endpoint(server: Model, **changed: Any) -> Endpoint:
    options = {
        "name": "frontier",
        "url": server.url,
        "model": "big-1",
        "key_variable": "TEST_KEY",
        "options": {"temperature": 0},
        "rows": 6,
        "requests_per_minute": 1e6,
        "concurrency": 3,
        "timeout_seconds": 5.0,
        "attempts": 3,
        "dollars_in": 2.5,
        "dollars_out": 10.0,
    }
    return Endpoint(**options | changed)
