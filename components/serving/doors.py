"""What every request passes before it is read: whose it is, how much, how often; and the headers of answers.

The service has no cookie, so that no page of another site can act in a person's name; a page that points a
name of its own at loopback is refused by its Host.
"""

from __future__ import annotations

import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.serving.invocation import RefusedError, error_body

LOOPBACK = ("127.0.0.1", "localhost", "::1")
WATCHED = ("/healthz", "/readyz")
"""Addresses that a watchman asks for without a token, as often as it likes."""
OPEN = (*WATCHED, "/", "/page.js", "/page.css")
"""Addresses that tell nothing of a version, and need no token."""
CLIENTS_MAX = 10_000
"""Most clients whose requests are counted; the one that was longest away is forgotten."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Doors:
    """ASGI middleware before the application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        token: str | None,
        body_bytes_max: int,
        requests_per_minute: int,
        count: Callable[[str, int, float], None],
    ) -> None:
        """`host` is what the service listens on, `token` what a request has to bear, None for nothing.

        `count` is told the address, status and seconds of each request that is over.
        """
        self.app, self.host, self.token = app, host, token
        self.body_bytes_max, self.count = body_bytes_max, count
        self.rate = Rate(requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            self._require(scope)
            await self.app(scope, self._limited(receive), counted)
        except RefusedError as error:
            await refusal(error)(scope, receive, counted)
        finally:
            self.count(scope["path"], status, time.perf_counter() - began)

    def _require(self, scope: Scope) -> None:
        """Raises RefusedError for a request that is not let in."""
        headers = Headers(scope=scope)
        own = headers.get("Host", "")
        if self.host in LOOPBACK and _name(own) not in LOOPBACK:
            raise RefusedError(403, "this service answers to 127.0.0.1 and localhost alone")
        origin = headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != own:
            raise RefusedError(403, "this service answers to no page of another origin")
        if scope["path"] in WATCHED:
            return
        if self.token is not None and scope["path"] not in OPEN:
            kind, _, given = headers.get("Authorization", "").partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(given.encode(), self.token.encode()):
                raise RefusedError(401, "a token is needed: Authorization: Bearer ...")
        if (seconds := self.rate.wait((scope.get("client") or ("", 0))[0])) > 0:
            raise RefusedError(429, "more requests than serve.requests_per_minute", math.ceil(seconds))
        length = headers.get("Content-Length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > self.body_bytes_max:
            raise self._too_large()

    def _limited(self, receive: Receive) -> Receive:
        """The same, where a body without a length is cut off too."""
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.body_bytes_max:
                raise self._too_large()
            return message

        return limited

    def _too_large(self) -> RefusedError:
        return RefusedError(413, f"the body has more than {self.body_bytes_max} bytes")


class Rate:
    """How often each client may ask: a bucket that holds a minute's requests and fills up evenly."""

    def __init__(self, requests_per_minute: int) -> None:
        self.size, self.per_second = float(requests_per_minute), requests_per_minute / 60
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Count a request of a client; the seconds until it may come again, 0 where it may now."""
        now = time.monotonic()
        left, before = self._clients.pop(client, (self.size, now))
        left = min(self.size, left + (now - before) * self.per_second)
        seconds = 0.0 if left >= 1 else (1 - left) / self.per_second
        self._clients[client] = (left if seconds else left - 1, now)
        if len(self._clients) > CLIENTS_MAX:
            self._clients.popitem(last=False)
        return seconds


def refusal(error: RefusedError) -> JSONResponse:
    """The answer to a request that is refused: one line, as MLflow writes errors."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(error_body(error.status, error.message), error.status, headers)


def _name(host: str) -> str:
    """The name in a Host header, without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host
