"""The pages for monitoring: whether the process is alive, whether it is ready, and its metrics."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from .access import AccessLevel
from .guard import Guard
from .pbx.schema import answer, array, content, of, sure

DETAILS: Final = AccessLevel.ADMIN
"""The least level of a token with which other machines see what is down."""
READINESS = answer(
    "Readiness",
    {
        "ready": sure("boolean", example=True),
        "parts": of(
            "object",
            "Part: `up`, or `down: why`; other machines need a token of level ADMIN to see it",
            additionalProperties={"type": "string"},
            example={"redis": "up", "sql": "up"},
        ),
        "degraded": array(sure("string"), "What is missing without stopping the work", example=[]),
    },
)
LIVE: dict[str, object] = {
    "responses": {
        "200": {"description": "Up"} | content(answer("Alive", {"status": sure("string", example="up")}))
    }
}
READY: dict[str, object] = {
    "responses": {
        "200": {"description": "Ready"} | content(READINESS),
        "503": {"description": "Not ready"} | content(READINESS),
    }
}
METRICS: dict[str, object] = {
    "responses": {
        "200": {
            "description": "Text of Prometheus",
            "content": {
                "text/plain": {"schema": {"type": "string"}, "example": "registrar_calls_open 12.0\n"}
            },
        }
    }
}


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the program can work, and the state of each part."""

    ready: bool
    parts: Mapping[str, str]
    """Part -> `up`, or `down: why`."""
    degraded: tuple[str, ...] = ()
    """Missing things that do not stop the work, for example a country file."""


def shown(state: Readiness, *, whole: bool) -> JSONResponse:
    """Return the page of a readiness, 503 if the program cannot work; the `whole` one or only a word."""
    body: dict[str, object] = {"ready": state.ready}
    if whole:
        body |= {"parts": dict(state.parts), "degraded": list(state.degraded)}
    return JSONResponse(body, status_code=200 if state.ready else 503)


def health_routes(
    readiness: Callable[[], Awaitable[Readiness]], exposition: Callable[[], Awaitable[bytes]], guard: Guard
) -> APIRouter:
    """Return the routes; `guard` says who may see more than a word."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health/live", summary="The process answers", openapi_extra=LIVE)
    async def live() -> dict[str, str]:
        return {"status": "up"}

    @routes.get(
        "/health/ready", summary="Listeners, Redis and SQL work; 503 when one does not", openapi_extra=READY
    )
    async def ready(request: Request) -> JSONResponse:
        return shown(await readiness(), whole=await guard.admits(request, DETAILS))

    @routes.get("/metrics", summary="Counters for Prometheus", response_class=Response, openapi_extra=METRICS)
    async def metrics() -> Response:
        return Response(await exposition(), media_type=CONTENT_TYPE_LATEST)

    return routes
