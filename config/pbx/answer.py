"""JSON by orjson: five times as fast as the standard library, which matters for a page of 1,000 phones."""

from collections.abc import Mapping

import orjson
from fastapi.responses import Response

OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
"""Dates and times in the API's format: `2026-01-31T12:00:00Z`."""


def json_answer(body: object, headers: Mapping[str, str] | None = None) -> Response:
    """Return a 200 response with this body; it may contain datetimes in UTC."""
    return Response(orjson.dumps(body, option=OPTIONS), headers=headers, media_type="application/json")
