"""The middleware around every request: one spelling of paths, a limit of bodies, headers, and a catch-all."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registrar.model import IpNetwork

from . import pictures
from .errors import Problem, Refused, refusal, too_many_connections
from .request import place_of, source_address

MAX_BODY: Final = 64 * 1024
"""The largest phone, with all its keys and its custom configuration, needs about half of this."""
LARGER: Final = {re.compile(r"/pbx/sipphonemodels/[0-9a-f]+/picture"): pictures.MAX_OCTETS}
"""Path -> the largest body there, if that differs."""
PRIVATE: Final = ("/pbx", "/auth", "/customer", "/employee", "/product", "/config", "/events", "/webhook")
"""The paths of both dialects. Responses below them contain credentials, so no cache may store them."""
POLICY: Final = "Content-Security-Policy"
NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
"""The policy of a response that is no page: a browser that shows it loads and runs nothing."""
A_YEAR: Final = "max-age=31536000"
"""Over HTTPS only; a browser ignores it if it does not trust the certificate (RFC 6797 section 8.1)."""
SPELLINGS: Final = {
    "validatetoken": "validateToken",
    "sipphonemodel": "sipphonemodels",
    "trustednetwork": "trustedNetworks",
    "trustednetworks": "trustedNetworks",
}
"""A part of a path in lower case -> its spelling in the routes, if that differs."""

log = logging.getLogger(__name__)


def too_large(limit: int = MAX_BODY) -> Refused:
    """Return the 413 for a body that is longer than any valid one."""
    problem = Problem(413, "too_large", f"The body is longer than {limit} bytes")
    return Refused(problem, headers={"Connection": "close"})


class Middleware:
    """A layer around the application. It gets HTTP alone: the server has no WebSockets and no lifespan."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app


class OnePath(Middleware):
    """Normalises case, other spellings and one trailing slash in the paths of the dialects.

    Ids are numbers or hexadecimal, so that they survive the change of case.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_private(scope["path"]):
            words = scope["path"].lower().removesuffix("/").split("/")
            scope = {**scope, "path": "/".join(SPELLINGS.get(word, word) for word in words)}
        await self._app(scope, receive, send)


def is_private(path: str) -> bool:
    """Return whether the path belongs to one of the dialects."""
    head = path[1:].partition("/")[0].lower()
    return f"/{head}" in PRIVATE


class KnownSource(Middleware):
    """Refuses a request on any path if its source cannot be determined or has too many connections."""

    def __init__(self, app: ASGIApp, trusted: Sequence[IpNetwork]) -> None:
        """`trusted` are the proxies whose X-Forwarded-For is used."""
        super().__init__(app)
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._counted(HTTPConnection(scope), receive, send)
        except Refused as refused:
            await refusal(scope["path"], refused)(scope, receive, send)

    async def _counted(self, connection: HTTPConnection, receive: Receive, send: Send) -> None:
        source, place = source_address(connection, self._trusted), place_of(connection)
        if place is None:
            await self._app(connection.scope, receive, send)
            return
        try:
            claims = "authorization" in connection.headers or "token" in connection.query_params
            if not place.asks(source, claims=claims):
                raise too_many_connections()
            await self._app(connection.scope, receive, send)
        finally:
            place.answered()


class BodyLimit(Middleware):
    """Refuses a body that is too long, whether its length was announced or not."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = next((most for path, most in LARGER.items() if path.fullmatch(scope["path"])), MAX_BODY)
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdigit() or int(announced[:12]) > limit:
            await refusal(scope["path"], too_large(limit))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise too_large(limit)
            return message

        await self._app(scope, counted, send)


class Outermost(Middleware):
    """Adds the headers of every response, and turns an uncaught error into a 500 without details."""

    def __init__(self, app: ASGIApp, policies: Mapping[str, str] | None = None) -> None:
        """`policies` are content security policies by path; other responses may load nothing."""
        super().__init__(app)
        self._policies = policies or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def headed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers, asked = MutableHeaders(scope=message), Headers(scope=scope)
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault(POLICY, self._policies.get(scope["path"], NOTHING))
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = A_YEAR
                if is_private(scope["path"]):
                    headers.setdefault("Cache-Control", "no-store")
                if "content-length" in asked and "transfer-encoding" in asked:
                    headers["Connection"] = "close"  # a proxy may have seen another end (RFC 9112 6.1)
            await send(message)

        try:
            await self._app(scope, receive, headed)
        except ClientDisconnect:
            log.debug("the client went away: %s", scope["path"])
        except Exception:  # last resort: a 500 without details, and one entry in the log
            log.exception("unexpected error: %s %s", scope["method"], scope["path"])
            if not started:
                await refusal(scope["path"], Refused(Problem(500, "internal_error", "Internal error")))(
                    scope, receive, headed
                )
