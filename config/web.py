"""What surrounds every request: one spelling of paths, a limit of bodies, headers, and a last resort."""

import logging
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import Problem, Refused, internal_error
from .pbx.envelope import error_response

MAX_BODY: Final = 64 * 1024
"""The largest phone, with all its keys and its piece of configuration, needs about half of this."""
PRIVATE: Final = "/pbx"
"""Below this path answers hold credentials, and no cache may keep them."""

log = logging.getLogger(__name__)


def too_large() -> Refused:
    """The body is longer than any that we know."""
    problem = Problem(413, "too_large", f"The body is longer than {MAX_BODY} bytes")
    return Refused(problem, headers={"Connection": "close"})


class OnePath:
    """Folds case and one trailing slash of the dialect's paths; ids are hexadecimal, so nothing is lost."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"].lower()
            if path == PRIVATE or path.startswith(f"{PRIVATE}/"):
                scope = {**scope, "path": path.removesuffix("/")}
        await self._app(scope, receive, send)


class BodyLimit:
    """Refuses a body that is too long, be its length announced or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdigit() or int(announced[:12]) > MAX_BODY:
            refused = too_large()
            await error_response(refused.problems, refused.headers)(scope, receive, send)
            return
        await self._app(scope, _counted(receive), send)


def _counted(receive: Receive) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY:
            raise too_large()
        return message

    return counted


class Outermost:
    """Adds the headers of every answer, and turns what nobody caught into a 500 without details."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def headed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(MutableHeaders(scope=message), scope["path"])
            await send(message)

        try:
            await self._app(scope, receive, headed)
        except ClientDisconnect:
            log.debug("the client went away: %s", scope["path"])
        except Exception:  # the last net: 500 without details, one line in the log
            log.exception("unexpected error: %s %s", scope["method"], scope["path"])
            if not started:
                await error_response([internal_error()])(scope, receive, headed)


def _add_headers(headers: MutableHeaders, path: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    if path.lower().startswith(PRIVATE):
        headers["Cache-Control"] = "no-store"
