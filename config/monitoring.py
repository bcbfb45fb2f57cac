"""The pages that the SIP side has when it runs without the API: its health and its metrics."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import FastAPI, Request
from starlette.responses import Response

from registrar.metrics import Metrics
from registrar.model import IpNetwork

from .guard import Guard
from .health import DETAILS, Readiness, health_routes, shown
from .layers import surround


def monitoring_app(
    readiness: Callable[[], Awaitable[Readiness]],
    metrics: Metrics,
    exposition: Callable[[], Awaitable[bytes]],
    proxies: Sequence[IpNetwork],
    guard: Guard,
) -> FastAPI:
    """Return the application for REGISTRAR_SIP_HTTP. `/health` is short for `/health/ready`.

    `metrics` counts its requests, and `exposition` returns what is shown: under workers, it is that of all.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.include_router(health_routes(readiness, exposition, guard))

    @app.get("/health")
    async def health(request: Request) -> Response:
        return shown(await readiness(), whole=await guard.admits(request, DETAILS))

    surround(app, metrics, proxies, guard=guard)
    return app
