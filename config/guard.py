"""Who may see the metrics, the documentation and the details of the health: not everybody who finds us.

Allowed are this machine, the listener REGISTRAR_MANAGEMENT, and a token. A request that a proxy has passed on
is not from this machine, also if the proxy is, and not a trusted one.
"""

import logging
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from registrar.model import IpNetwork
from registrar.store.keyring import Keyring

from .access import AccessLevel
from .auth import Login, read_header, wrong_login
from .database import STORE_ERRORS
from .errors import Problem, Refused, level_too_low, refusal, unavailable
from .operations.people import identify
from .request import source_address
from .web import Middleware

LEVELS: Final = {
    "/metrics": AccessLevel.ADMIN,
    "/docs": AccessLevel.PERSONAL,
    "/docs/oauth2-redirect": AccessLevel.PERSONAL,
    "/openapi.json": AccessLevel.PERSONAL,
}
"""Path -> the least level of a token with which it is shown to other machines."""
MANAGED: Final = "registrar.management"
"""Key of a scope whose request came by the management listener."""
PASSED_ON: Final = ("x-forwarded-for", "forwarded", "via", "x-real-ip")
PAGES: Final = ("/metrics", "/docs", "/openapi.json", "/health", "/static-offline-docs")
"""All that the management listener serves."""


log = logging.getLogger(__name__)


class Guard:
    """Decides about requests for pages that tell about the whole installation."""

    def __init__(self, reader: AsyncEngine, keys: Keyring, proxies: Sequence[IpNetwork]) -> None:
        """`keys` are those of JWTs, `proxies` the trusted ones."""
        self._reader = reader
        self._keys = keys
        self._proxies = proxies

    def is_near(self, request: Request) -> bool:
        """Return whether a request is from this machine, or came by the management listener."""
        if request.scope.get(MANAGED):
            return True
        peer = request.client.host if request.client else ""
        return _is_loopback(peer) and not any(name in request.headers for name in PASSED_ON)

    async def admit(self, request: Request, level: AccessLevel) -> None:
        """Return if the request may see a page for `level`. Raise Refused (401, 403)."""
        if self.is_near(request):
            return
        credentials = read_header(request.headers.get("authorization"), self._keys, rows=False)
        if isinstance(credentials, Login):
            raise wrong_login()
        async with self._reader.connect() as connection:
            caller = await identify(connection, credentials, source_address(request, self._proxies))
        if caller.level < level:
            raise level_too_low(level.name)

    async def admits(self, request: Request, level: AccessLevel) -> bool:
        """Return whether the request may see a page for `level`; without a token nothing is looked up."""
        if self.is_near(request):
            return True
        if "authorization" not in request.headers:
            return False
        try:
            await self.admit(request, level)
        except (Refused, *STORE_ERRORS):  # the page tells what is down, so it must not fail with it
            return False
        return True


class Guarded(Middleware):
    """Lets only those see the metrics and the documentation who may."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        super().__init__(app)
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        level = LEVELS.get(scope["path"])
        if level is not None:
            try:
                await self._guard.admit(Request(scope), level)
            except Refused as refused:
                await refusal(scope["path"], refused)(scope, receive, send)
                return
            except STORE_ERRORS as error:
                log.error("a store did not answer: %s: %s", scope["path"], error)
                await refusal(scope["path"], unavailable())(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Managed:
    """The application as the management listener serves it: nothing but the pages of monitoring."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if not any(path == page or path.startswith(page + "/") for page in PAGES):
            problem = Problem(404, "not_found", "Unknown route: this listener is for monitoring")
            await refusal(path, Refused(problem))(scope, receive, send)
            return
        await self._app({**scope, MANAGED: True}, receive, send)


def _is_loopback(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:  # a unix socket, or a test without a network: no other machine is there
        return True
