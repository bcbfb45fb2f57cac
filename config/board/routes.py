"""The board at / and its files. Its script uses the API as any client does, with the token of a login."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response

from ..access import DOMAINS, RULES, AccessLevel, Scope
from ..page import Page, confined

FOLDER: Final = Path(__file__).parent
PAGE: Final = Page(
    FOLDER / "page",
    FOLDER / "built",
    confined("'self'", "microphone=(), camera=(), geolocation=(), display-capture=()"),
)


def board_routes(version: str, built: Path = PAGE.built) -> APIRouter:
    """Return the routes of the board; its script is in the folder `built`."""
    routes = APIRouter(include_in_schema=False)
    shown = replace(PAGE, built=built)
    values = {"version": version, "levels": " ".join(AccessLevel.__members__), "rules": _rules()}

    @routes.get("/")
    def page() -> Response:
        return shown.html(values)

    shown.add_files(routes, "/board")
    return routes


def _rules() -> str:
    """Return as JSON the level that each route of the JSON dialect needs: no button leads to a refusal."""
    return json.dumps(
        {
            f"{method} {path}": rule.level.name
            for (method, path), rule in RULES.items()
            if rule.scope is not Scope.PUBLIC and not path.startswith(DOMAINS)
        }
    )
