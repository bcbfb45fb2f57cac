"""The routes below /product and /pbx/sipphonemodels: products, and the capabilities of each phone model."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..access import AccessLevel
from ..auth import Caller
from ..database import reading
from ..deps import CallerDep, PartsDep
from ..errors import not_found, not_your_property
from ..models import FUNCTIONS, SPEAKING_PARTS
from ..operations import products
from ..operations.audit import Work, parse_oid
from ..operations.customers import find_reseller, require_customer
from ..operations.draft import NOT_SENT, Document, Draft
from ..operations.listing import Sorts, read_page
from ..operations.products import find_model
from ..preconditions import tagged, tagged_by_content
from ..tables import Customer, Product, SipPhoneModel
from . import paging
from .resource import Resource, nobody, routes_of
from .schema import TAGGED, an_id, answer, array, of, operation, or_null, page, query, some_id, sure
from .schema import paging as paged
from .shown import Json, Shown, json_of, schema_of, shown

MAX_LIMIT: Final = 500
SEARCHED: Final = (SipPhoneModel.brand_name, SipPhoneModel.model, SipPhoneModel.description)
SORTS: Final[Sorts] = {"age": (SipPhoneModel.id,)}


async def _product_scope(session: AsyncSession, caller: Caller, wanted: str | None) -> ColumnElement[bool]:
    """Return the condition for the products that the caller may see, or that one customer may use."""
    sight = products.visible_products(caller)
    if wanted is None:
        return sight
    customer = await require_customer(session, caller, wanted)
    return and_(sight, products.usable(Customer.id == customer.id))


async def _lock_product(work: Work, oid: str, _document: Document) -> tuple[Product, None]:
    return await products.lock_product(work.session, work.caller, oid), None


async def _read_product(work: Work, draft: Draft[Product], _owner: None) -> None:
    """Read the product's reseller: a reseller's products are its own, RESELLER_ADMIN and above may choose."""
    session, caller = work.session, work.caller
    sent = draft.sent("reseller") or None
    if caller.level < AccessLevel.RESELLER_ADMIN:
        own = await find_reseller(session, caller, caller.customer)
        if own is None or (sent is not NOT_SENT and parse_oid(sent) != own.oid):
            raise not_your_property("reseller", "Your products belong to your own customer, a reseller")
        draft.values["reseller_id"] = own.id
        return
    if sent is None or (sent is NOT_SENT and draft.stored is None):
        draft.values["reseller_id"] = None
        return

    async def find(sent: object) -> int | None:
        reseller = await find_reseller(session, caller, sent)
        return reseller.id if reseller else None

    await draft.read_reference("reseller", "reseller_id", find, "Reseller")


product_routes = routes_of(
    Resource(
        path="/product",
        one="product",
        table=Product,
        version=Product.revision,
        joined=select(Product, Customer.oid).outerjoin(Customer, Customer.id == Product.reseller_id),
        references={"reseller": "Id of the reseller whose product it is; null: everybody's"},
        examples={"type": "PBX_SIP_PHONE", "productCode": "T46U", "name": "Yealink T46U", "price": 99.5},
        sorts={
            "name": (Product.name,),
            "type": (Product.type, Product.name),
            "code": (Product.product_code,),
        },
        searched=(Product.name, Product.product_code, Product.type),
        searched_names="name, productCode or type",
        owner=nobody,
        lock=_lock_product,
        create=products.create_product,
        update=products.update_product,
        delete=products.delete_product,
        read=_read_product,
        scope=_product_scope,
        sight=products.visible_products,
        customer="Id of a customer: only what it may use; by default all that one sees",
        default_limit=100,
    )
)


# Models


def _range(path: str, about: str, column: str) -> Shown[SipPhoneModel]:
    """Return the range of a setting, null if the model does not have it."""

    def value(model: SipPhoneModel) -> Json | None:
        low, high = getattr(model, f"{column}_min", 0), getattr(model, f"{column}_max")
        return None if low is None or high is None else {"min": low, "max": high}

    bounds = answer("Range", {"min": sure("integer", example=0), "max": sure("integer", example=15)})
    return Shown(path, or_null(bounds, about), value)


FLAG: Final = sure("boolean")
LINES: Final[Sequence[Shown[SipPhoneModel]]] = (
    shown("_id", an_id(), "oid"),
    shown("brand", sure("string", example="GENERIC")),
    shown("brandName", sure("string", example="Generic"), "brand_name"),
    shown("model", sure("string", example="SIP device")),
    shown("extensions", sure("integer", "How many phones may share one MAC address", example=1)),
    shown("softkeys", sure("integer", "How many keys it has", example=128)),
    shown("softkeyLabels", FLAG, "softkey_labels"),
    shown("softkeyCapabilities", array(sure("string", enum=list(FUNCTIONS))), "softkey_capabilities"),
    shown("picture", some_id("Id of a picture"), "picture_oid"),
    shown("description", of("string")),
    shown("configurationTemplate", of("string"), "configuration_template"),
    shown("capabilities.provision", FLAG, "provision"),
    shown("capabilities.macRedirect", FLAG, "mac_redirect"),
    shown("capabilities.customRingtones", FLAG, "custom_ringtones"),
    shown("capabilities.multipleHandsets", FLAG, "multiple_handsets"),
    shown("capabilities.sipConfigReload", FLAG, "sip_config_reload"),
    Shown("capabilities.sidePanels", FLAG, lambda model: model.max_side_panels > 0),
    _range("ranges.ringerVolume", "null: cannot be set", "ringer_volume"),
    _range("ranges.ringerTone", "Indexes of the built-in tones; null: there are none", "ringer_tone"),
    *(
        _range(f"ranges.volume.{part}.{way}", "null: cannot be set", f"{part}_{way}")
        for part in SPEAKING_PARTS
        for way in ("mic", "speaker")
    ),
    shown("maxSidePanels", sure("integer", example=3), "max_side_panels"),
    shown("requiresSerial", FLAG, "requires_serial"),
)
_MODEL: Final = schema_of("SIP phone model", LINES)
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

model_routes = APIRouter(prefix="/pbx/sipphonemodels", tags=["SIP phone models"])


@model_routes.get("", summary="List models", openapi_extra=_LIST)
async def list_route(request: Request, _caller: CallerDep, parts: PartsDep) -> Response:
    """List all models; those that every installation has come first."""
    page = paging.read_page(request.query_params, paging.DEFAULT_LIMIT, MAX_LIMIT, SORTS)
    async with reading(parts.read_engine) as session:
        total, rows = await read_page(session, select(SipPhoneModel), page, SEARCHED, SORTS, SipPhoneModel.id)
    models = [json_of(model, LINES) for (model,) in rows]
    body = {"offset": page.offset, "limit": page.limit, "total": total, "sipPhoneModels": models}
    return tagged_by_content(request, JSONResponse(body))


@model_routes.get("/{id}", summary="Show a model", openapi_extra=_SHOW)
async def show_route(id: ModelId, request: Request, _caller: CallerDep, parts: PartsDep) -> Response:
    """Return one model."""
    async with reading(parts.read_engine) as session:
        model = await find_model(session, id)
    if model is None:
        raise not_found("SIP phone model")
    return tagged(request, JSONResponse(json_of(model, LINES)), (model.revision,))
