"""Is it alive, is it ready, and what does it count: the pages that machines ask for."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the program can do its work, part by part."""

    ready: bool
    parts: Mapping[str, str]
    """Part -> `up`, or `down: why`."""
    degraded: tuple[str, ...] = field(default=())
    """What is missing without stopping the work, a country file for example."""


def health_routes(
    readiness: Callable[[], Awaitable[Readiness]], exposition: Callable[[], bytes]
) -> APIRouter:
    """The routes that need no token."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health/live", summary="The process answers")
    async def live() -> dict[str, str]:
        return {"status": "up"}

    @routes.get("/health/ready", summary="Listeners, Redis and SQL work; 503 when one does not")
    async def ready() -> JSONResponse:
        state = await readiness()
        body = {"ready": state.ready, "parts": dict(state.parts), "degraded": list(state.degraded)}
        return JSONResponse(body, status_code=200 if state.ready else 503)

    @routes.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(exposition(), media_type=CONTENT_TYPE_LATEST)

    return routes
