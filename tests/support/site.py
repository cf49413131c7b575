"""A web site on loopback whose every answer is written by hand, for the tests of the crawler."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes] | Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Site:
    """Answers by path, which may change while it runs, and the requests so far."""

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    fallback: Callable[[str], Answer] = lambda path: (404, {}, b"<h1>404</h1>")
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and headers of each request, in order."""

    @property
    def base(self) -> str:
        return f"http://localhost:{self.port}"

    def times(self, path: str) -> int:
        """How often a path was requested."""
        return sum(requested == path for requested, _ in self.requests)


def page(body: str, status: int = 200, lang: str = "en-US", **headers: str) -> Answer:
    """A page of HTML with these headers, `_` in their names for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    text = f'<!doctype html><html lang="{lang}"><head><title>T</title></head><body>{body}</body></html>'
    return status, {"Content-Type": "text/html; charset=utf-8", **named}, text.encode()


def product(name: str, price: str = "$24.50") -> str:
    """The body of a product page."""
    return f"<main><h1>{name}</h1><p class='price'>{price}</p><p>Made to last, of oak.</p></main>"


@contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Serve a site on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.requests.append((self.path, dict(self.headers)))
            answer = site.answers.get(self.path) or site.fallback(self.path)
            try:
                if callable(answer):
                    answer(self)
                else:
                    send(self, *answer)
            except OSError:  # the crawler has hung up
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
    """Send an answer with its length, or 304 where the request's validator matches."""
    for validator, condition in (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")):
        if validator in headers and handler.headers.get(condition) == headers[validator]:
            status, body = 304, b""
    handler.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        if name != "Content-Length" or "Content-Length" not in headers:
            handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
