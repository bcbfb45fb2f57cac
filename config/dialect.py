"""The dialect of a path, which decides how an answer reports a fault."""

from typing import Final

from starlette.responses import Response

from .errors import Refused
from .pbx import envelope
from .v2 import wording

ROWS: Final = "/config/"
"""Paths below this one use the row dialect, all others the JSON dialect."""


def refusal(path: str, refused: Refused) -> Response:
    """Return the response to a refused request for `path`."""
    return wording.refusal(refused) if speaks_rows(path) else envelope.refusal(refused)


def speaks_rows(path: str) -> bool:
    """Return whether `path` belongs to the row dialect."""
    return path.lower().startswith(ROWS)
