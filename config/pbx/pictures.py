"""The route of pictures: what a phone looks like, for pages that list phones."""

from typing import Annotated, Final

from fastapi import APIRouter, Path
from fastapi.responses import Response

from ..database import reading
from ..deps import CallerDep, PartsDep
from ..operations.models import find_picture
from ..pictures import PNG
from .schema import READ, Schema, refusals

FOR_GOOD: Final = "private, max-age=31536000, immutable"
"""A picture never changes: another one has another id. Only those who are logged in may have it."""
OCTETS: Final[Schema] = {"schema": {"type": "string", "format": "binary"}, "example": "(200 x 200 pixels)"}
_SHOW: Final[Schema] = {
    "responses": {"200": {"description": "Done", "content": {PNG: OCTETS}}} | refusals(READ)
}

routes = APIRouter(prefix="/pbx/picture", tags=["SIP phone models"])


@routes.get("/{id}", summary="Show a picture", openapi_extra=_SHOW, response_class=Response)
async def picture_route(
    id: Annotated[str, Path(description="Id of the picture, 24 hex digits")],
    _caller: CallerDep,
    parts: PartsDep,
) -> Response:
    """Return a PNG of 200 x 200 pixels. It never changes: a model with another picture names another id."""
    async with reading(parts.read_engine) as session:
        content = await find_picture(session, id)
    return Response(content, headers={"Cache-Control": FOR_GOOD}, media_type=PNG)
