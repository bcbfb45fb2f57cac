"""The page at /selftest: it finds out why a phone in this browser cannot connect, and says what to do.

What the server adds, an outsider can see too by connecting: decision 94.
"""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from registrar.model import Mono
from registrar.rules.proxies import one_source

from .. import clock
from ..page import confined
from ..request import source_address
from ..settings import ApiSettings
from .listener import Listener
from .routes import PAGE, PERMISSIONS, page_server

SCRIPT: Final = "selftest.js"
TEST_PAGE: Final = replace(PAGE, headers=confined("'self' ws: wss:", PERMISSIONS))
"""As for /phone; this page also asks its own server."""
WINDOW_SECONDS: Final = 60.0
ASKED_AT_MOST: Final = 30
"""Questions of one source within the window: someone who presses the button again and again needs fewer."""
MAX_SOURCES: Final = 10_000


class Turnstile:
    """How often each source has asked within the present window."""

    def __init__(self, now: Callable[[], Mono] = clock.mono_now) -> None:
        self._now = now
        self._since = now()
        self._asked: dict[str, int] = {}

    def lets(self, source: str) -> bool:
        """Count a question, and return whether it is answered. If there are too many sources, none is."""
        if self._now() - self._since > WINDOW_SECONDS:
            self._since, self._asked = self._now(), {}
        if len(self._asked) >= MAX_SOURCES and source not in self._asked:
            return False
        self._asked[source] = self._asked.get(source, 0) + 1
        return self._asked[source] <= ASKED_AT_MOST

    def left(self) -> int:
        """Return the seconds until the next window."""
        return max(1, round(WINDOW_SECONDS - (self._now() - self._since)))


def selftest_routes(settings: ApiSettings, version: str, built: Path = PAGE.built) -> APIRouter:
    """Return the routes of the page; its script is in the folder `built`."""
    routes = APIRouter(prefix="/selftest", include_in_schema=False)
    shown = replace(TEST_PAGE, built=built)
    listener = Listener(settings.wss_listener, clock.mono_now) if settings.wss_listener else None
    turnstile = Turnstile()

    @routes.get("")
    @routes.get("/")
    def page(request: Request) -> Response:
        values = {"version": version, "server": page_server(settings, request)}
        return shown.html(values, "selftest.html")

    @routes.get("/page.js")
    def script() -> Response:
        return shown.file(SCRIPT)

    @routes.get("/server")
    async def server(request: Request, origin: str = "") -> Response:
        source = source_address(request, settings.trusted_proxies)
        if not turnstile.lets(one_source(source)):
            wait = {"Retry-After": str(turnstile.left()), "Cache-Control": "no-store"}
            return JSONResponse({"error": "too many questions"}, status_code=429, headers=wait)
        told = await _told(settings, listener, request, origin)
        if not _is_seen(settings, source):
            told["certificate"] = None
        return JSONResponse(told, headers={"Cache-Control": "no-store"})

    return routes


async def _told(
    settings: ApiSettings, listener: Listener | None, request: Request, origin: str
) -> dict[str, object]:
    """Return what the server knows: its listener, its certificate, and whether it takes this page."""
    url = page_server(settings, request)
    host = url.removeprefix("wss://").rpartition(":")[0]
    seen = (await listener.look()).shown(host) if listener and url else {"listening": None}
    allowed = not settings.ws_origins or origin in settings.ws_origins
    return {"server": url, "origin": allowed, "now": clock.epoch_now(), **seen}


def _is_seen(settings: ApiSettings, source: str) -> bool:
    """Return whether a client at `source` connects to our listener itself, and so sees its certificate.

    Behind a proxy it sees that of the proxy. A listener at loopback is seen on this machine alone.
    """
    if settings.trusted_proxies or settings.wss_listener is None:
        return False
    return not _is_loopback(settings.wss_listener[0]) or _is_loopback(source)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:  # a request without an address, in a test
        return False
