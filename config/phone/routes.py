"""The page at /phone and its files. It holds no secret: the account is in the fragment of the link."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from ..page import Page, confined
from ..request import request_host
from ..settings import ApiSettings

PERMISSIONS: Final = "microphone=(self), camera=(), geolocation=(), display-capture=()"
FOLDER: Final = Path(__file__).parent
PAGE: Final = Page(
    FOLDER / "page",
    FOLDER / "built",
    confined("ws: wss:", PERMISSIONS),
)


def phone_routes(settings: ApiSettings, version: str, built: Path = PAGE.built) -> APIRouter:
    """Return the routes of the page; its script is in the folder `built`."""
    routes = APIRouter(include_in_schema=False)
    shown = replace(PAGE, built=built)

    @routes.get("/phone")
    @routes.get("/phone/")
    def page(request: Request) -> Response:
        server = page_server(settings, request)
        return shown.html({"version": version, "domain": settings.domain, "server": server})

    shown.add_files(routes, "/phone")
    return routes


def page_server(settings: ApiSettings, request: Request) -> str:
    """Return the URL for the phone in the browser, or "" if no secure WebSocket listens."""
    host = settings.public_host or request_host(request)
    return f"wss://{host}:{settings.wss_port}" if host and settings.wss_port else ""
