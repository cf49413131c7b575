"""An OpenAI-compatible chat endpoint on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from components.core.params.evaluate import Endpoint


class ChatServer(ThreadingHTTPServer):
    """Replies to a question by `answer`, after the `troubles` at the head of the list."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.requests: list[dict[str, Any]] = []
        """The bodies of all requests so far."""
        self.keys: list[str | None] = []
        """Their headers `Authorization`."""
        self.troubles: list[tuple[int, dict[str, str], str]] = []
        """(status, headers, body) of the next replies."""
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def questions(self) -> list[str]:
        """The text of each request."""
        return [request["messages"][0]["content"] for request in self.requests]


class Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.requests.append(body)
            self.server.keys.append(self.headers["authorization"])
            trouble = self.server.troubles.pop(0) if self.server.troubles else None
        message = {"role": "assistant", "content": self.server.answer(body["messages"][0]["content"])}
        usage = {"prompt_tokens": 100, "completion_tokens": 2}
        reply = json.dumps({"choices": [{"index": 0, "message": message}], "usage": usage})
        status, headers, text = trouble or (200, {}, reply)
        self.send_response(status if self.path == "/v1/chat/completions" else 404)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def serving(answer: Callable[[str], str]) -> Iterator[ChatServer]:
    """A server that answers inside the block."""
    with ChatServer(answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ten_times_its_number(question: str) -> str:
    """$30 for a question about "Oak desk number 3"."""
    return f"${10 * int(question.split('number ')[1].split()[0])}"


def endpoint(server: ChatServer, **changes: Any) -> Endpoint:
    """The section of `evaluate.endpoints` that names this server."""
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
        "cost_in": 2.5,
        "cost_out": 10.0,
    }
    return Endpoint(**options | changes)
