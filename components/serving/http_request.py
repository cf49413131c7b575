"""A request's body, key and end, and the answer as JSON."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable
from typing import Any, TypeVar

from fastapi import Request, Response

from components.serving import invocation
from components.serving.invocation import RefusedError

T = TypeVar("T")
KEY, KEY_MAX = "X-Request-Key", 200
"""Header with the name by which a request is found again, and its most characters."""
CLOSED = 499
"""The status, which nobody reads, of a request whose client has hung up."""


async def json_body(request: Request) -> Any:
    """The JSON of a request. Raises RefusedError where it is none."""
    kind, _, charset = request.headers.get("Content-Type", "").partition(";")
    if kind.strip().lower() != "application/json" or "utf-8" not in (charset.lower() or "utf-8"):
        raise RefusedError(415, "the body is to be JSON in UTF-8, with Content-Type: application/json")
    return invocation.parse(await request.body())


async def unless_gone(request: Request, answer: Awaitable[T]) -> T:
    """The answer, which nobody works on any more once its client has hung up."""
    answering = asyncio.ensure_future(answer)
    leaving = asyncio.create_task(_hung_up(request))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise RefusedError(CLOSED, "the client has hung up")
        return answering.result()
    finally:
        leaving.cancel()
        answering.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def key_of(request: Request) -> str:
    """What the request calls itself, or a name of ours. Raises RefusedError where it is not fit for one."""
    key = request.headers.get(KEY, "") or uuid.uuid4().hex
    if len(key) > KEY_MAX or not key.isprintable():
        raise RefusedError(400, f"{KEY} is to have at most {KEY_MAX} printable characters")
    return key


def as_json(value: Any, headers: dict[str, str]) -> Response:
    """JSON with the bytes that `mlflow models serve` writes."""
    return Response(json.dumps(value), headers=headers, media_type="application/json")


async def in_time(answer: Awaitable[T], seconds: float) -> T:
    """The answer. Raises RefusedError 504 where it does not come within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError as error:
        raise RefusedError(504, f"no answer within {seconds:g} s: try again") from error
