"""Which dialect a path speaks, and so how an answer says what is wrong."""

from typing import Final

from starlette.responses import Response

from .errors import Refused
from .pbx import envelope
from .v2 import wording

ROWS: Final = "/config/"
"""Below this path it is the row dialect; everywhere else the JSON dialect."""


def refusal(path: str, refused: Refused) -> Response:
    """The answer to a refused request for `path`."""
    return wording.refusal(refused) if speaks_rows(path) else envelope.refusal(refused)


def speaks_rows(path: str) -> bool:
    """Whether `path` belongs to the row dialect."""
    return path.lower().startswith(ROWS)
