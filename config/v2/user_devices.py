"""The routes below /config/v2/sip/domains/{domain}/users/{user}/devices."""

from typing import Final

from fastapi import APIRouter, Request, Response
from sqlalchemy import ColumnElement, func
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAIN
from ..database import reading
from ..deps import ActorDep, CallerDep, PartsDep
from ..operations import devices
from ..tables import Customer, Extension, SipPhone
from . import openapi
from .answers import created, nothing, row_answer
from .asking import read_one
from .devices import NAME, SOURCE
from .fields import whole as whole_field
from .lists import list_answer
from .params import ParamsDep
from .places import (
    MAX_DIGITS,
    DeviceId,
    DomainId,
    UserId,
    find_below,
    find_device_of,
    find_domain,
    find_named,
    number,
)
from .rows import Shape, moment, read_row, text, whole
from .users import SHAPE as USER_SHAPE
from .work import Done, carry_out

SHAPE: Final = Shape(
    "PBX user device",
    (
        whole("userId", SipPhone.extension_id, "Number of the user"),
        whole("pbxDeviceId", SipPhone.id, "Number of the device"),
        text("user", Extension.sip_user, "SIP user name", "user.name"),
        moment(
            "updateDatetime",
            func.coalesce(SipPhone.linked_at, SipPhone.updated_at),
            "Since when the device is the user's",
        ),
        text("pbxDeviceName", NAME, "Name of the device", "deviceName 1"),
    ),
    SOURCE,
    (SipPhone.id,),
    (SipPhone.version, Extension.version),
)
DEVICE: Final = "pbxDeviceId"
FIELDS: Final = (
    whole_field(DEVICE, "id", 0, 10**MAX_DIGITS, "Number of a device of the domain", required=True),
)
TOKEN: Final = "pbxDeviceToken"  # noqa: S105  # the name of a property

routes = APIRouter(prefix=f"{DOMAIN}/users/{{user}}/devices", tags=["SIP users"])


@routes.get("", summary="List the devices of a user", openapi_extra=openapi.rows(SHAPE))
async def list_user_devices(
    domain: DomainId, user: UserId, request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """List the devices of the user."""

    async def scoped(session: AsyncSession) -> list[ColumnElement[bool]]:
        customer = await find_domain(session, caller, domain)
        row = await find_below(session, Extension, customer, user)
        return [SipPhone.extension_id == row.id]

    return await list_answer(request, parts, params, SHAPE, scoped)


@routes.get("/{device}", summary="Show a device of a user", openapi_extra=openapi.row(SHAPE))
async def show_user_device(
    domain: DomainId,
    user: UserId,
    device: DeviceId,
    request: Request,
    caller: CallerDep,
    params: ParamsDep,
    parts: PartsDep,
) -> Response:
    """Return one device of the user; its token is never shown."""
    async with reading(parts.read_engine) as session:
        customer = await find_domain(session, caller, domain)
        row = await _device(session, customer, user, device)
        asked = read_one(params, SHAPE)
        shown, edition = await read_row(session, SHAPE, asked.part, SipPhone.id == row.id)
    return row_answer(request, asked, shown, edition)


@routes.post(
    "",
    summary="Give a device to a user",
    openapi_extra=openapi.create(FIELDS, {DEVICE: 1}, DEVICE, "userId", TOKEN),
)
async def create_user_device(
    domain: DomainId, user: UserId, request: Request, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Assign a device to the user; return a new token for its configuration, which is shown only once.

    The same request again makes a new token.
    """

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        owner = await find_below(session, Extension, customer, user, lock=True)
        named = params.many(DEVICE)[-1:]
        (row,) = await find_named(session, SipPhone, customer, named, DEVICE, lock=True)
        token = await devices.link_device(session, actor, row, owner)
        return Done(row.id, Change(phones=(row.oid,)), token)

    done = await carry_out(parts, actor, work, USER_SHAPE.at(Extension.id == number(user)))
    return created(request, pbxDeviceId=str(done.id), userId=str(int(user)), pbxDeviceToken=done.secret)


@routes.delete("/{device}", summary="Take a device from a user", openapi_extra=openapi.delete())
async def delete_user_device(
    domain: DomainId, user: UserId, device: DeviceId, actor: ActorDep, parts: PartsDep
) -> Response:
    """Take a device from the user; the device stays without a user, and its token is void."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await _device(session, customer, user, device, lock=True)
        return Done(change=await devices.unlink_device(session, actor, row))

    await carry_out(parts, actor, work, SHAPE.at(SipPhone.id == number(device)))
    return nothing()


async def _device(
    session: AsyncSession, customer: Customer, user: str, device: str, *, lock: bool = False
) -> SipPhone:
    owner = await find_below(session, Extension, customer, user, lock=lock)
    return await find_device_of(session, owner, device, lock=lock)
