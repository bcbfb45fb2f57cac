"""The routes below /config/v2/sip/domains/{domain}/devices."""

from typing import Final

from fastapi import APIRouter, Request, Response
from sqlalchemy import ColumnElement, func, join
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAIN
from ..database import reading
from ..deps import ActorDep, CallerDep, PartsDep
from ..operations import devices
from ..operations.fields import Field
from ..operations.phones.write import delete_phone
from ..tables import Extension, SipPhone, SipPhoneModel
from . import openapi
from .answers import created, nothing, row_answer
from .asking import read_one
from .fields import text as text_field
from .lists import list_answer
from .params import ParamsDep
from .places import DeviceId, DomainId, find_below, find_domain, number
from .rows import Shape, mac, moment, read_row, text, whole
from .work import Done, carry_out, read_columns

NAME: Final = func.coalesce(
    SipPhone.device_name, SipPhoneModel.brand_name.concat(" ").concat(SipPhoneModel.model)
)
"""A phone that was created in the other dialect has the name of its model."""
SOURCE: Final = join(SipPhone, SipPhoneModel, SipPhoneModel.id == SipPhone.model_id).outerjoin(
    Extension, Extension.id == SipPhone.extension_id
)
SHAPE: Final = Shape(
    "PBX device",
    (
        whole("pbxDeviceId", SipPhone.id, "Number of the device"),
        text("pbxDeviceName", NAME, "Name of the device", "My PBX Device 1"),
        whole("domainId", SipPhone.customer_id, "Number of the SIP domain"),
        mac("deviceMacAddress", SipPhone.mac, "MAC address; null: it has none"),
        moment("createDatetime", SipPhone.created_at, "When it was made"),
        moment("updateDatetime", SipPhone.updated_at, "When it was changed"),
        whole("userId", SipPhone.extension_id, "Number of the user whose device it is", "11"),
        text("user", Extension.sip_user, "SIP user name of that user", "test.user"),
    ),
    SOURCE,
    (SipPhone.id,),
    (SipPhone.version, Extension.version),
)
NAME_FIELD: Final = text_field("pbxDeviceName", "device_name", "Name of the device", required=True)
FIELDS: Final = (
    NAME_FIELD,
    Field(
        "deviceMacAddress",
        "mac",
        "string",
        devices.mac_check("deviceMacAddress must be a MAC address such as 10:20:30:1A:2B:3C"),
        "MAC address; no other device has it",
        required=True,
    ),
)
EXAMPLE: Final = {"pbxDeviceName": "My PBX Device 1", "deviceMacAddress": "10:20:30:1A:2B:3C"}
NEW_NAME: Final = {"pbxDeviceName": "Reception"}

routes = APIRouter(prefix=f"{DOMAIN}/devices", tags=["PBX devices"])


@routes.get("", summary="List devices", openapi_extra=openapi.rows(SHAPE))
async def list_devices(
    domain: DomainId, request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """List all devices of the domain, whether they are online or not."""

    async def scoped(session: AsyncSession) -> list[ColumnElement[bool]]:
        customer = await find_domain(session, caller, domain)
        return [SipPhone.customer_id == customer.id]

    return await list_answer(request, parts, params, SHAPE, scoped)


@routes.get("/{device}", summary="Show a device", openapi_extra=openapi.row(SHAPE))
async def show_device(
    domain: DomainId,
    device: DeviceId,
    request: Request,
    caller: CallerDep,
    params: ParamsDep,
    parts: PartsDep,
) -> Response:
    """Return one device."""
    async with reading(parts.read_engine) as session:
        customer = await find_domain(session, caller, domain)
        row = await find_below(session, SipPhone, customer, device)
        asked = read_one(params, SHAPE)
        shown, edition = await read_row(session, SHAPE, asked.part, SipPhone.id == row.id)
    return row_answer(request, asked, shown, edition)


@routes.post("", summary="Create a device", openapi_extra=openapi.create(FIELDS, EXAMPLE, "pbxDeviceId"))
async def create_device(
    domain: DomainId, request: Request, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Create a device; its configuration has its credentials, and it registers from the trusted networks."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        columns = read_columns(params, FIELDS)
        name, address = columns["device_name"], columns["mac"]
        row = await devices.create_device(session, actor, customer, name, address, parts.vault)
        return Done(row.id, Change(phones=(row.oid,)))

    done = await carry_out(parts, actor, work)
    return created(request, pbxDeviceId=str(done.id))


@routes.post("/{device}", summary="Rename a device", openapi_extra=openapi.update((NAME_FIELD,), NEW_NAME))
async def update_device(
    domain: DomainId, device: DeviceId, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Change the name of a device; its address cannot change."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await find_below(session, SipPhone, customer, device, lock=True)
        columns = read_columns(params, (NAME_FIELD,))
        await devices.rename_device(session, actor, row, columns["device_name"])
        return Done()

    await carry_out(parts, actor, work, SHAPE.at(SipPhone.id == number(device)))
    return nothing()


@routes.delete("/{device}", summary="Delete a device", openapi_extra=openapi.delete())
async def delete_device(domain: DomainId, device: DeviceId, actor: ActorDep, parts: PartsDep) -> Response:
    """Delete a device; its registrations end."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await find_below(session, SipPhone, customer, device)
        return Done(change=Change(phones=(await delete_phone(session, actor, row.oid),)))

    await carry_out(parts, actor, work, SHAPE.at(SipPhone.id == number(device)))
    return nothing()
