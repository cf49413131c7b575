"""The service over HTTP: what it answers at which address, and in which words it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from components.core.params.serve import Serve
from components.serving import api_page, invocation, page
from components.serving.answering import Answering
from components.serving.doors import Doors, refusal
from components.serving.http_request import KEY, as_json, in_time, json_body, key_of, unless_gone
from components.serving.invocation import Invocation, RefusedError, error_body
from components.serving.loaded import LoadedVersion
from components.serving.nearest import Nearest

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
        return as_json({"predictions": predictions}, headers)

    async def predict(self, request: Request) -> Response:
        """The version, and its answer to each record; params of the version go into the query."""

        def read(value: Any, loaded: LoadedVersion) -> Invocation:
            params = invocation.params(dict(request.query_params), loaded.signature["params"])
            return invocation.records(value, params, loaded.signature["inputs"])

        loaded, predictions, headers = await self._answer(request, read)
        return as_json(named(loaded) | {"answers": predictions}, headers)

    async def version(self) -> dict[str, Any]:
        """The version that answers, its question and unit, the columns that go in and come out, and the
        params.
        """
        loaded = self.answering.current()
        return named(loaded) | loaded.wording | loaded.signature

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
        key = key_of(request)

        async def answer() -> tuple[LoadedVersion, Any]:
            value = await json_body(request)
            answering = self.answering.answer(key, lambda loaded: read(value, loaded))
            return await unless_gone(request, answering)

        return *await in_time(answer(), self.section.timeout_seconds), {KEY: key}


def app(answering: Answering, section: Serve, token: str | None, nearest: Nearest) -> Doors:
    """The application that answers with the versions of `answering`, to who bears `token` if there is one,
    and shows the training listings that `nearest` finds.
    """
    api, service = FastAPI(title="Pricewright", docs_url=None, redoc_url=None), Service(answering, section)
    api.add_api_route("/invocations", service.invocations, methods=["POST"], openapi_extra=_body(INVOCATION))
    api.add_api_route("/predict", service.predict, methods=["POST"], openapi_extra=_body(RECORDS))
    for answer in (service.version, service.healthz, service.readyz, service.metrics):
        api.add_api_route(f"/{answer.__name__}", answer, methods=["GET"])

    @api.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(api_page.page(api.openapi()), media_type="text/html; charset=utf-8")

    page.add_routes(api, answering, section, nearest)
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
