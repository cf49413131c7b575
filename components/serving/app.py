"""The service over HTTP: what it answers at which address, and in which words it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from components.core.params.serve import Serve
from components.serving import api_page, invocation
from components.serving.doors import Doors, refusal
from components.serving.follower import Follower
from components.serving.invocation import Invocation, RefusedError, error_body
from components.serving.loaded import LoadedVersion
from components.serving.metrics import Metrics

T = TypeVar("T")
CLOSED = 499
"""The status, which nobody reads, of a request whose client has hung up."""
RECORDS = "One record, or a list of records: objects with the columns that the version reads (GET /version)."
INVOCATION = (
    "MLflow's format: exactly one of dataframe_split, dataframe_records, instances, inputs; and params."
)


class Service:
    """The answers at each address. What depends on the version is read anew for each request."""

    def __init__(self, follower: Follower, section: Serve) -> None:
        self.follower, self.section = follower, section
        self.counters = Metrics(follower, section.bands)

    async def invocations(self, request: Request) -> Response:
        """The answer of `mlflow models serve` to the same body."""
        _, predictions = await self._answer(request, lambda value, _: invocation.invocation(value))
        return Response(json.dumps({"predictions": predictions}), media_type="application/json")

    async def predict(self, request: Request) -> Response:
        """The version, and its answer to each record; params of the version go into the query."""

        def read(value: Any, loaded: LoadedVersion) -> Invocation:
            params = invocation.params(dict(request.query_params), loaded.signature["params"])
            return invocation.records(value, params, loaded.signature["inputs"])

        loaded, predictions = await self._answer(request, read)
        body = named(loaded) | {"answers": predictions}
        return Response(json.dumps(body), media_type="application/json")

    async def version(self) -> dict[str, Any]:
        """The version that answers, the columns that go in and come out, and the params."""
        loaded = self._current()
        return named(loaded) | loaded.signature

    async def healthz(self) -> dict[str, str]:
        """Whether the service runs."""
        return {"status": "ok"}

    async def readyz(self) -> dict[str, str]:
        """Whether a version answers; 503 where none does."""
        return {"status": "ready"} | named(self._current())

    async def metrics(self) -> Response:
        """Counters for Prometheus."""
        return Response(self.counters.text(), media_type=CONTENT_TYPE_LATEST)

    async def _answer(
        self, request: Request, read: Callable[[Any, LoadedVersion], Invocation]
    ) -> tuple[LoadedVersion, Any]:
        """(the version that answered, its predictions). Raises RefusedError, 504 where it took too long."""
        seconds = self.section.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                value = invocation.parse(await _json_body(request))
                loaded = self._current()
                with loaded.in_use():
                    rows = read(value, loaded)
                    invocation.require_values(rows, loaded.signature["inputs"])
                    predictions = await _unless_gone(request, loaded.answer(rows))
                self.counters.answered(loaded.version.number, loaded.signature["outputs"], predictions)
                return loaded, predictions
        except TimeoutError as error:
            raise RefusedError(504, f"no answer within {seconds:g} s: try again") from error

    def _current(self) -> LoadedVersion:
        loaded = self.follower.current
        if loaded is None or not loaded.process.alive:
            raise RefusedError(503, "no version is ready: try again", 1)
        return loaded


def app(follower: Follower, section: Serve, token: str | None) -> Doors:
    """The application that answers with the current version of `follower`, to who bears `token` if there is
    one.
    """
    api, service = FastAPI(title="Pricewright", docs_url=None, redoc_url=None), Service(follower, section)
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
        service.counters.requested(path if path in known else "other", status, seconds)

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
