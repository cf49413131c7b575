"""The service over HTTP: what it answers at which address, and in which words it refuses."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from components.core.params.serve import Serve
from components.serving import api_page, invocation
from components.serving.answering import Answering
from components.serving.doors import Doors, refusal
from components.serving.invocation import Invocation, RefusedError, error_body
from components.serving.loaded import LoadedVersion

T = TypeVar("T")
KEY, KEY_MAX = "X-Request-Key", 200
"""Header with the name by which a request is found again, and its most characters."""
CLOSED = 499
"""The status, which nobody reads, of a request whose client has hung up."""
RECORDS = "One record, or a list of records: objects with the columns that the version reads (GET /version)."
INVOCATION = (
    "MLflow's format: exactly one of dataframe_split, dataframe_records, instances, inputs; and params."
)


class Service:
    """The answers at each address. What depends on the version is read anew for each request."""

    def __init__(self, answering: Answering, section: Serve) -> None:
        self.answering, self.section = answering, section

    async def invocations(self, request: Request) -> Response:
        """The answer of `mlflow models serve` to the same body."""
        _, predictions, headers = await self._answer(request, lambda value, _: invocation.invocation(value))
        return _json({"predictions": predictions}, headers)

    async def predict(self, request: Request) -> Response:
        """The version, and its answer to each record; params of the version go into the query."""

        def read(value: Any, loaded: LoadedVersion) -> Invocation:
            params = invocation.params(dict(request.query_params), loaded.signature["params"])
            return invocation.records(value, params, loaded.signature["inputs"])

        loaded, predictions, headers = await self._answer(request, read)
        return _json(named(loaded) | {"answers": predictions}, headers)

    async def version(self) -> dict[str, Any]:
        """The version that answers, the columns that go in and come out, and the params."""
        loaded = self.answering.current()
        return named(loaded) | loaded.signature

    async def healthz(self) -> dict[str, str]:
        """Whether the service runs."""
        return {"status": "ok"}

    async def readyz(self) -> dict[str, str]:
        """Whether a version answers; 503 where none does."""
        return {"status": "ready"} | named(self.answering.current())

    async def metrics(self) -> Response:
        """Counters for Prometheus."""
        return Response(self.answering.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def _answer(
        self, request: Request, read: Callable[[Any, LoadedVersion], Invocation]
    ) -> tuple[LoadedVersion, Any, dict[str, str]]:
        """(the version that answered, its predictions, the header with the request's key).

        Raises RefusedError, 504 where it took too long.
        """
        seconds, key = self.section.timeout_seconds, _key(request)
        try:
            async with asyncio.timeout(seconds):
                value = invocation.parse(await _json_body(request))
                answer = self.answering.answer(key, lambda loaded: read(value, loaded))
                loaded, predictions = await _unless_gone(request, answer)
                return loaded, predictions, {KEY: key}
        except TimeoutError as error:
            raise RefusedError(504, f"no answer within {seconds:g} s: try again") from error


def _key(request: Request) -> str:
    """What the request calls itself, or a name of ours. Raises RefusedError where it is not fit for one."""
    key = request.headers.get(KEY, "") or uuid.uuid4().hex
    if len(key) > KEY_MAX or not key.isprintable():
        raise RefusedError(400, f"{KEY} is to have at most {KEY_MAX} printable characters")
    return key


def _json(value: Any, headers: dict[str, str]) -> Response:
    """JSON with the bytes that `mlflow models serve` writes."""
    return Response(json.dumps(value), headers=headers, media_type="application/json")


def app(answering: Answering, section: Serve, token: str | None) -> Doors:
    """The application that answers with the versions of `answering`, to who bears `token` if there is
    one.
    """
    api, service = FastAPI(title="Pricewright", docs_url=None, redoc_url=None), Service(answering, section)
    api.add_api_route("/invocations", service.invocations, methods=["POST"], openapi_extra=_body(INVOCATION))
    api.add_api_route("/predict", service.predict, methods=["POST"], openapi_extra=_body(RECORDS))
    for answer in (service.version, service.healthz, service.readyz, service.metrics):
        api.add_api_route(f"/{answer.__name__}", answer, methods=["GET"])

    @api.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(api_page.page(api.openapi()), media_type="text/html; charset=utf-8")

    api.add_exception_handler(RefusedError, _refused)
    api.add_exception_handler(HTTPException, _http_refused)
    api.add_exception_handler(Exception, _failed)
    known = {getattr(route, "path", "") for route in api.routes}

    def count(path: str, status: int, seconds: float) -> None:
        answering.metrics.requested(path if path in known else "other", status, seconds)

    return Doors(
        api,
        host=section.host,
        token=token,
        body_bytes_max=section.body_bytes_max,
        requests_per_minute=section.requests_per_minute,
        count=count,
    )


def named(loaded: LoadedVersion) -> dict[str, str]:
    """The registered model and the number of its version."""
    return {"model": loaded.version.model, "version": loaded.version.number}


async def _json_body(request: Request) -> bytes:
    kind, _, charset = request.headers.get("Content-Type", "").partition(";")
    if kind.strip().lower() != "application/json" or "utf-8" not in (charset.lower() or "utf-8"):
        raise RefusedError(415, "the body is to be JSON in UTF-8, with Content-Type: application/json")
    return await request.body()


async def _unless_gone(request: Request, answer: Awaitable[T]) -> T:
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


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return refusal(error)


async def _http_refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {
        404: "there is nothing at this address: see /docs",
        405: "this address has another method: see /docs",
    }
    message = words.get(error.status_code, error.detail)
    return JSONResponse(error_body(error.status_code, message), error.status_code, error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    return JSONResponse(error_body(500, "the service failed; its log says more"), 500)


def _body(description: str) -> dict[str, Any]:
    schema = {"schema": {"description": description}}
    return {"requestBody": {"required": True, "content": {"application/json": schema}}}
