"""JSON by orjson: five times as quick as the standard library's, which a page of 1,000 phones notices."""

from collections.abc import Mapping

import orjson
from fastapi.responses import Response

OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
"""Moments as the API writes them: `2026-01-31T12:00:00Z`."""


def json_answer(body: object, headers: Mapping[str, str] | None = None) -> Response:
    """A 200 with this body; moments in it may be datetimes in UTC."""
    return Response(orjson.dumps(body, option=OPTIONS), headers=headers, media_type="application/json")
