"""The routes below /pbx/sipphonemodels: the capabilities of each phone model."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import select

from ..database import reading
from ..deps import ActorDep, CallerDep, DocumentDep, Parts, PartsDep
from ..errors import not_found, unsupported
from ..models import FUNCTIONS
from ..operations import models
from ..operations.audit import Actor, Work
from ..operations.listing import Sorts, read_page
from ..operations.products import find_model
from ..pictures import MAX_OCTETS, PNG, SIDE
from ..preconditions import tagged, tagged_by_content, with_etag
from ..properties import fields_of
from ..request import media_type
from ..tables import SipPhoneModel
from ..tables.models import RANGES
from . import paging
from .pictures import OCTETS
from .resource import DELETE, target_of, written
from .schema import (
    AN_ID,
    TAGGED,
    WRITE,
    Schema,
    an_id,
    answer,
    array,
    changes,
    form,
    of,
    operation,
    or_null,
    page,
    query,
    some_id,
    sure,
)
from .schema import paging as paged
from .shown import Json, Shown, json_of, schema_of, shown

MAX_LIMIT: Final = 500
SEARCHED: Final = (SipPhoneModel.brand_name, SipPhoneModel.model, SipPhoneModel.description)
SORTS: Final[Sorts] = {"age": (SipPhoneModel.id,)}
BINARY: Final = "application/octet-stream"

_RANGE: Final = answer("Range", {"min": sure("integer", example=0), "max": sure("integer", example=15)})
_ABOUT: Final = {"ranges.ringerTone": "Indexes of the built-in tones; null: there are none"}


def _range(path: str, column: str) -> Shown[SipPhoneModel]:
    """Return the range of a setting, null if the model does not have it."""

    def value(model: SipPhoneModel) -> Json | None:
        low, high = getattr(model, f"{column}_min", 0), getattr(model, f"{column}_max")
        return None if low is None or high is None else {"min": low, "max": high}

    return Shown(path, or_null(_RANGE, _ABOUT.get(path, "null: cannot be set")), value)


FLAG: Final = sure("boolean")
_CAPABILITIES: Final = array(
    sure("string", enum=list(FUNCTIONS)), "The functions of keys that its writer can write"
)
_PICTURE: Final = some_id("Id of a picture")
LINES: Final[Sequence[Shown[SipPhoneModel]]] = (
    shown("_id", an_id(), "oid"),
    shown("brand", sure("string", example="GENERIC")),
    shown("brandName", sure("string", example="Generic"), "brand_name"),
    shown("model", sure("string", example="SIP device")),
    shown("extensions", sure("integer", "How many phones may share one MAC address", example=1)),
    shown("softkeys", sure("integer", "How many keys the phone itself has", example=128)),
    shown("softkeyLabels", FLAG, "softkey_labels"),
    shown("softkeyCapabilities", _CAPABILITIES, "softkey_capabilities"),
    shown("picture", _PICTURE, "picture_oid"),
    shown("description", of("string")),
    shown("configurationTemplate", of("string"), "configuration_template"),
    shown("capabilities.provision", FLAG, "provision"),
    shown("capabilities.macRedirect", FLAG, "mac_redirect"),
    shown("capabilities.customRingtones", FLAG, "custom_ringtones"),
    shown("capabilities.multipleHandsets", FLAG, "multiple_handsets"),
    shown("capabilities.sipConfigReload", FLAG, "sip_config_reload"),
    Shown("capabilities.sidePanels", FLAG, lambda model: model.max_side_panels > 0),
    *(_range(path, column) for path, column in RANGES.items()),
    shown("maxSidePanels", sure("integer", example=3), "max_side_panels"),
    shown("panelSoftkeys", sure("integer", "How many keys each side panel has", example=0), "panel_softkeys"),
    shown("requiresSerial", FLAG, "requires_serial"),
    shown("writer", of("string", "How its configuration files are written"), "writer"),
    shown("experimental", sure("boolean", "Its files are made here, but no public source confirms them")),
    shown("legacyTls", sure("boolean", "It needs TLS 1.0 or 1.1"), "legacy_tls"),
    shown("redirectService", of("string", "The vendor's service for new phones"), "redirect_service"),
)
_MODEL: Final = schema_of("SIP phone model", LINES)
_EXAMPLE: Final = {
    "brand": "SNOM",
    "brandName": "Snom",
    "model": "D785 XL",
    "softkeys": 24,
    "softkeyCapabilities": ["SPEEDDIAL", "BLF", "LINE"],
    "ranges": {"ringerVolume": {"min": 1, "max": 15}},
    "writer": "snom",
}
_FIELDS: Final = fields_of(SipPhoneModel)
_BODY: Final[dict[str, Schema]] = {
    **{field.path: written(field) for field in _FIELDS},
    "softkeyCapabilities": _CAPABILITIES,
    "picture": _PICTURE,
    **{path: or_null(_RANGE, _ABOUT.get(path, "null: cannot be set")) for path in RANGES},
}
_REQUIRED: Final = [field.path for field in _FIELDS if field.required]
_SHOW: Final = operation(_MODEL, TAGGED)
_CREATE: Final = operation(_MODEL, WRITE, form("New SIP phone model", _BODY, _REQUIRED, example=_EXAMPLE))
_CHANGE: Final = operation(
    _MODEL, WRITE, changes(form("SIP phone model change", _BODY, example={"softkeys": 24, "picture": AN_ID}))
)
_FILE: Final[Schema] = {
    "description": f"The file; the media type {PNG} is accepted, too",
    "required": True,
    "content": {BINARY: OCTETS},
}
_UPLOAD: Final = operation(_MODEL, WRITE, requestBody=_FILE)
_LIST: Final = operation(
    page("SIP phone models", "sipPhoneModels", _MODEL),
    TAGGED,
    parameters=[
        *paged(paging.DEFAULT_LIMIT, MAX_LIMIT),
        query("filter", "string", "Text in brandName, model or description"),
    ],
)

ModelId = Annotated[str, Path(description="Id of the model, 24 hex digits")]

routes = APIRouter(prefix="/pbx/sipphonemodels", tags=["SIP phone models"])


@routes.get("", summary="List models", openapi_extra=_LIST)
async def list_route(request: Request, _caller: CallerDep, parts: PartsDep) -> Response:
    """List all models; those that every installation has come first."""
    page = paging.read_page(request.query_params, paging.DEFAULT_LIMIT, MAX_LIMIT, SORTS)
    async with reading(parts.read_engine) as session:
        total, rows = await read_page(session, select(SipPhoneModel), page, SEARCHED, SORTS, SipPhoneModel.id)
    found = [json_of(model, LINES) for (model,) in rows]
    body = {"offset": page.offset, "limit": page.limit, "total": total, "sipPhoneModels": found}
    return tagged_by_content(request, JSONResponse(body))


@routes.post("", summary="Create a model", openapi_extra=_CREATE)
async def create_route(actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Create a model for all customers."""
    return await _changed(None, actor, parts, lambda work: models.create_model(work, document))


@routes.get("/{id}", summary="Show a model", openapi_extra=_SHOW)
async def show_route(id: ModelId, request: Request, _caller: CallerDep, parts: PartsDep) -> Response:
    """Return one model."""
    async with reading(parts.read_engine) as session:
        model = await find_model(session, id)
    if model is None:
        raise not_found(models.WHAT)
    return tagged(request, JSONResponse(json_of(model, LINES)), (model.revision,))


@routes.post("/{id}", summary="Change a model", openapi_extra=_CHANGE)
@routes.put("/{id}", summary="Change a model", openapi_extra=_CHANGE)
@routes.patch("/{id}", summary="Change a model", openapi_extra=_CHANGE)
async def update_route(id: ModelId, actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Change the properties that are sent. An upgrade then leaves the model as it is."""
    return await _changed(id, actor, parts, lambda work: models.update_model(work, id, document))


@routes.delete("/{id}", summary="Delete a model", openapi_extra=DELETE)
async def delete_route(id: ModelId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
    """Delete a model that no phone has. An upgrade does not bring it back."""
    target = target_of(SipPhoneModel.revision, id)
    await parts.change(actor, target, lambda work: models.delete_model(work, id))
    return JSONResponse({"success": True})


@routes.put("/{id}/picture", summary="Set the picture of a model", openapi_extra=_UPLOAD)
async def picture_route(id: ModelId, request: Request, actor: ActorDep, parts: PartsDep) -> Response:
    """Give a model another picture: a PNG of 200 x 200 pixels, at most 256 KiB."""
    if media_type(request) not in ("", PNG, BINARY):
        message = f"The body must be {PNG}, {SIDE} x {SIDE} pixels, at most {MAX_OCTETS} bytes"
        raise unsupported(message)
    content = await request.body()
    return await _changed(id, actor, parts, lambda work: models.set_picture(work, id, content))


async def _changed(
    id: str | None, actor: Actor, parts: Parts, do: Callable[[Work], Awaitable[SipPhoneModel]]
) -> Response:
    """Make a change of the model with this id, if it has one yet, and return its new state."""
    target = target_of(SipPhoneModel.revision, id) if id else None
    oid = (await parts.change(actor, target, do)).oid
    async with reading(parts.read_engine) as session:
        model = await find_model(session, oid)
    if model is None:
        raise not_found(models.WHAT)
    return with_etag(JSONResponse(json_of(model, LINES)), (model.revision,))
