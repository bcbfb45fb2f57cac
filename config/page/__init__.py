"""A page for browsers: its files, the headers that confine it, and the answer while it is not built."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse

SCRIPT: Final = "page.js"
LICENCES: Final = "licences.txt"
STYLE: Final = "style.css"
BASE: Final = "/base.css"
"""The path of the style that all pages share."""
TYPES: Final = {SCRIPT: "text/javascript", LICENCES: "text/plain", STYLE: "text/css"}
"""The files of a page beside its HTML, and their media types."""
BASE_FILE: Final = Path(__file__).parent / "base.css"
NOT_BUILT: Final = "The page is not built: run `make page` in the source tree, it needs the network once."


def base_routes() -> APIRouter:
    """Return the route of the style that all pages share."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(BASE)
    def base() -> Response:
        return FileResponse(BASE_FILE, media_type=TYPES[STYLE], headers={"Cache-Control": "no-cache"})

    return routes


def confined(connect: str, permissions: str) -> Mapping[str, str]:
    """Return the headers of a page that loads nothing from elsewhere and connects to `connect` alone."""
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src {connect}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Permissions-Policy": permissions,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


@dataclass(frozen=True)
class Page:
    """One page. `source` has its HTML and style; `built` is where deploy/page.sh puts its script.

    The wheel and the image have `built`, the repository does not.
    """

    source: Path
    built: Path
    headers: Mapping[str, str]

    @property
    def is_built(self) -> bool:
        """Return True if the page can be shown."""
        return (self.built / SCRIPT).is_file()

    def html(self, values: Mapping[str, str], name: str = "page.html") -> Response:
        """Return the page with `values` in it, or a 503 that says how to build it."""
        if not self.is_built:
            return self._not_built()
        text = Template((self.source / name).read_text())
        filled = text.substitute({name: escape(value) for name, value in values.items()})
        return HTMLResponse(filled, headers=self.headers)

    def add_files(self, routes: APIRouter, prefix: str) -> None:
        """Add a route for each file of the page, below `prefix`."""
        for name in TYPES:
            routes.add_api_route(f"{prefix}/{name}", partial(self.file, name), response_model=None)

    def file(self, name: str) -> Response:
        """Return one file of the page, or a 503 that says how to build it."""
        if not self.is_built:
            return self._not_built()
        folder = self.source if name == STYLE else self.built
        return FileResponse(folder / name, media_type=TYPES.get(name, TYPES[SCRIPT]), headers=self.headers)

    def _not_built(self) -> Response:
        return PlainTextResponse(f"{NOT_BUILT}\n", status_code=503, headers=self.headers)
