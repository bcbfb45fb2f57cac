"""Middleware that counts requests by the template of their route, and measures how long each takes."""

from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registrar.metrics import Metrics
from registrar.model import Mono

from . import clock
from .web import Middleware

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "other"
"""The label of a method that is served nowhere, and of a path that has no route."""
ROUTE: Final = "registrar.route"
"""The key in a scope of the list that `Routed` puts the template of the route into."""


class Routed(Middleware):
    """The innermost layer: notes which route served a request, because other layers copy the scope."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            scope.get(ROUTE, []).append(getattr(scope.get("route"), "path", OTHER))


class Measured(Middleware):
    """The outermost layer: counts each response, and the seconds until its headers.

    The body is not measured: a stream of events lasts as long as its reader wants it.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, now: Callable[[], Mono] = clock.mono_now) -> None:
        super().__init__(app)
        self._metrics = metrics
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun, route = self._now(), list[str]()
        answered: list[tuple[int, float]] = []

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered.append((message["status"], self._now() - begun))
            await send(message)

        self._metrics.http_open.inc()
        try:
            await self._app({**scope, ROUTE: route}, receive, watched)
        finally:
            self._metrics.http_open.dec()
            for status, seconds in answered:
                self._count(scope["method"], route[0] if route else OTHER, status, seconds)

    def _count(self, method: str, route: str, status: int, seconds: float) -> None:
        method = method if method in METHODS else OTHER
        self._metrics.http_requests(method, route, f"{status // 100}xx")
        self._metrics.http_seconds.of(method, route).add(seconds)
