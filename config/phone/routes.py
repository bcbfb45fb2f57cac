"""The page at /phone and its files. It holds no secret: the account is in the fragment of the link."""

from html import escape
from pathlib import Path
from string import Template
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse

from ..request import request_host
from ..settings import ApiSettings

PAGE: Final = Path(__file__).parent / "page"
BUILT: Final = Path(__file__).parent / "built"
"""The output folder of deploy/page.sh; the wheel and the image have it, the repository does not."""
SCRIPT: Final = "page.js"
LICENCES: Final = "licences.txt"
NOT_BUILT: Final = "The page is not built: run `make page` in the source tree, it needs the network once."
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src ws: wss:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), display-capture=()",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def is_built(built: Path = BUILT, script: str = SCRIPT) -> bool:
    """Return True if the page of this script can be shown."""
    return (built / script).is_file()


def phone_routes(settings: ApiSettings, version: str, built: Path = BUILT) -> APIRouter:
    """Return the routes of the page; its script is in the folder `built`."""
    routes = APIRouter(prefix="/phone", include_in_schema=False)

    @routes.get("")
    @routes.get("/")
    def page(request: Request) -> Response:
        if not is_built(built):
            return not_built()
        text = Template((PAGE / "page.html").read_text())
        values = {"version": version, "domain": settings.domain, "server": page_server(settings, request)}
        filled = text.substitute({name: escape(value) for name, value in values.items()})
        return HTMLResponse(filled, headers=HEADERS)

    @routes.get("/style.css")
    def style() -> Response:
        return page_file(PAGE / "style.css", "text/css", built)

    @routes.get(f"/{SCRIPT}")
    def script() -> Response:
        return page_file(built / SCRIPT, "text/javascript", built)

    @routes.get(f"/{LICENCES}")
    def licences() -> Response:
        return page_file(built / LICENCES, "text/plain", built)

    return routes


def page_file(path: Path, media_type: str, built: Path) -> Response:
    """Return a file of the pages, or the answer that they are not built."""
    if not path.is_file() or not is_built(built):
        return not_built()
    return FileResponse(path, media_type=media_type, headers=HEADERS)


def not_built() -> Response:
    """Return the answer that the pages are not built, and how to build them."""
    return PlainTextResponse(f"{NOT_BUILT}\n", status_code=503, headers=HEADERS)


def page_server(settings: ApiSettings, request: Request) -> str:
    """Return the URL for the phone in the browser, or "" if no secure WebSocket listens."""
    host = settings.public_host or request_host(request)
    return f"wss://{host}:{settings.wss_port}" if host and settings.wss_port else ""
