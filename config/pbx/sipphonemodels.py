"""The routes below /pbx/sipphonemodels: the capabilities of each phone model."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import select

from ..database import reading
from ..deps import CallerDep, PartsDep
from ..errors import not_found
from ..models import FUNCTIONS, SPEAKING_PARTS
from ..operations.listing import Sorts, read_page
from ..operations.models import find_model
from ..preconditions import tagged, tagged_by_content
from ..tables import SipPhoneModel
from . import paging
from .resource import Json
from .schema import TAGGED, Schema, an_id, answer, array, of, operation, or_null, page, query, some_id, sure
from .schema import paging as paged

MAX_LIMIT: Final = 500
SEARCHED: Final = (SipPhoneModel.brand_name, SipPhoneModel.model, SipPhoneModel.description)
SORTS: Final[Sorts] = {"age": (SipPhoneModel.id,)}
CAPABILITIES: Final = {
    "provision": "provision",
    "macRedirect": "mac_redirect",
    "customRingtones": "custom_ringtones",
    "multipleHandsets": "multiple_handsets",
    "sipConfigReload": "sip_config_reload",
}
"""Property of `capabilities` -> column."""


def _bounds(about: str) -> Schema:
    bounds = answer("Range", {"min": sure("integer", example=0), "max": sure("integer", example=15)})
    return or_null(bounds, about)


_MODEL: Final = answer(
    "SIP phone model",
    {
        "_id": an_id(),
        "brand": sure("string", example="GENERIC"),
        "brandName": sure("string", example="Generic"),
        "model": sure("string", example="SIP device"),
        "extensions": sure("integer", "How many phones may share one MAC address", example=1),
        "softkeys": sure("integer", "How many keys it has", example=128),
        "softkeyLabels": sure("boolean"),
        "softkeyCapabilities": array(sure("string", enum=list(FUNCTIONS))),
        "picture": some_id("Id of a picture"),
        "description": of("string"),
        "configurationTemplate": of("string"),
        "capabilities.provision": sure("boolean"),
        "capabilities.macRedirect": sure("boolean"),
        "capabilities.customRingtones": sure("boolean"),
        "capabilities.multipleHandsets": sure("boolean"),
        "capabilities.sipConfigReload": sure("boolean"),
        "capabilities.sidePanels": sure("boolean"),
        "ranges.ringerVolume": _bounds("null: cannot be set"),
        "ranges.ringerTone": _bounds("Indexes of the built-in tones; null: there are none"),
        **{
            f"ranges.volume.{part}.{way}": _bounds("null: cannot be set")
            for part in SPEAKING_PARTS
            for way in ("mic", "speaker")
        },
        "maxSidePanels": sure("integer", example=3),
        "requiresSerial": sure("boolean"),
    },
)
_SHOW: Final = operation(_MODEL, TAGGED)
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
    models = [model_json(model) for (model,) in rows]
    body = {"offset": page.offset, "limit": page.limit, "total": total, "sipPhoneModels": models}
    return tagged_by_content(request, JSONResponse(body))


@routes.get("/{id}", summary="Show a model", openapi_extra=_SHOW)
async def show_route(id: ModelId, request: Request, _caller: CallerDep, parts: PartsDep) -> Response:
    """Return one model."""
    async with reading(parts.read_engine) as session:
        model = await find_model(session, id)
    if model is None:
        raise not_found("SIP phone model")
    return tagged(request, JSONResponse(model_json(model)), (model.revision,))


def model_json(model: SipPhoneModel) -> Json:
    """Return a model as JSON; a range is null if the model does not have it."""
    capabilities: Json = {name: getattr(model, column) for name, column in CAPABILITIES.items()}
    return {
        "_id": model.oid,
        "brand": model.brand,
        "brandName": model.brand_name,
        "model": model.model,
        "extensions": model.extensions,
        "softkeys": model.softkeys,
        "softkeyLabels": model.softkey_labels,
        "softkeyCapabilities": model.softkey_capabilities,
        "picture": model.picture_oid,
        "description": model.description,
        "configurationTemplate": model.configuration_template,
        "capabilities": capabilities | {"sidePanels": model.max_side_panels > 0},
        "ranges": _ranges(model),
        "maxSidePanels": model.max_side_panels,
        "requiresSerial": model.requires_serial,
    }


def _ranges(model: SipPhoneModel) -> Json:
    volume = {
        part: {way: _range(model, f"{part}_{way}") for way in ("mic", "speaker")} for part in SPEAKING_PARTS
    }
    tone = model.ringer_tone_max
    return {
        "ringerVolume": _range(model, "ringer_volume"),
        "ringerTone": None if tone is None else {"min": 0, "max": tone},
        "volume": volume,
    }


def _range(model: SipPhoneModel, column: str) -> Json | None:
    low, high = getattr(model, f"{column}_min"), getattr(model, f"{column}_max")
    return None if low is None or high is None else {"min": low, "max": high}
