"""The routes below /config/v2/sip/domains/{domain}/groups, except for their users."""

from typing import Final

from fastapi import APIRouter, Request, Response
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAIN
from ..database import reading
from ..deps import ActorDep, CallerDep, PartsDep
from ..operations import numbered
from ..tables import SipGroup
from . import openapi
from .answers import created, nothing, row_answer
from .asking import read_one
from .fields import caller_name_format, extension_number
from .fields import flag as flag_field
from .fields import text as text_field
from .lists import list_answer
from .params import ParamsDep
from .places import DomainId, GroupId, find_below, find_domain, number
from .rows import Shape, flag, moment, read_row, text, whole
from .work import Done, carry_out, read_columns

SHAPE: Final = Shape(
    "SIP group",
    (
        whole("groupId", SipGroup.id, "Number of the group"),
        whole("domainId", SipGroup.customer_id, "Number of the SIP domain"),
        text("groupName", SipGroup.name, "Name of the group", "sales"),
        text("displayName", SipGroup.display_name, "Name that phones show", "Sales Dept"),
        text("extensionNumber", SipGroup.number, "Number in the domain", "600"),
        flag("ringRetry", SipGroup.ring_retry, "Ring again if the call was not answered"),
        flag("ringExclusive", SipGroup.ring_exclusive, "Calls queue for the group"),
        text("callerNameFormat", SipGroup.caller_name_format, "How the caller is shown", "{displayName}"),
        moment("createDatetime", SipGroup.created_at, "When it was made"),
        moment("updateDatetime", SipGroup.updated_at, "When it was changed"),
    ),
    SipGroup.__table__,
    (SipGroup.id,),
    (SipGroup.revision,),
)
FIELDS: Final = (
    text_field("groupName", "name", "Name of the group", required=True),
    text_field("displayName", "display_name", "Name that phones show", required=True),
    extension_number(),
    flag_field("ringRetry", "ring_retry", "Ring again if the call was not answered"),
    flag_field("ringExclusive", "ring_exclusive", "Calls queue for the group"),
    caller_name_format(),
)
EXAMPLE: Final = {"groupName": "sales", "displayName": "Sales Dept", "extensionNumber": "600", "ringRetry": 1}

routes = APIRouter(prefix=f"{DOMAIN}/groups", tags=["SIP groups"])


@routes.get("", summary="List groups", openapi_extra=openapi.rows(SHAPE))
async def list_groups(
    domain: DomainId, request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """List the groups of the domain."""

    async def scoped(session: AsyncSession) -> list[ColumnElement[bool]]:
        customer = await find_domain(session, caller, domain)
        return [SipGroup.customer_id == customer.id]

    return await list_answer(request, parts, params, SHAPE, scoped)


@routes.get("/{group}", summary="Show a group", openapi_extra=openapi.row(SHAPE))
async def show_group(
    domain: DomainId, group: GroupId, request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Return one group."""
    async with reading(parts.read_engine) as session:
        customer = await find_domain(session, caller, domain)
        row = await find_below(session, SipGroup, customer, group)
        asked = read_one(params, SHAPE)
        shown, edition = await read_row(session, SHAPE, asked.part, SipGroup.id == row.id)
    return row_answer(request, asked, shown, edition)


@routes.post("", summary="Create a group", openapi_extra=openapi.create(FIELDS, EXAMPLE, "groupId"))
async def create_group(
    domain: DomainId, request: Request, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Create a group without users."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await numbered.create(session, actor, SipGroup, customer, read_columns(params, FIELDS))
        return Done(row.id, Change(dial_plan=customer.oid))

    done = await carry_out(parts, actor, work)
    return created(request, groupId=str(done.id))


@routes.post("/{group}", summary="Change a group", openapi_extra=openapi.update(FIELDS, EXAMPLE))
async def update_group(
    domain: DomainId, group: GroupId, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Change the properties that are sent."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await find_below(session, SipGroup, customer, group, lock=True)
        await numbered.update(session, actor, row, read_columns(params, FIELDS, row))
        return Done(change=Change(dial_plan=customer.oid))

    await carry_out(parts, actor, work, SHAPE.at(SipGroup.id == number(group)))
    return nothing()


@routes.delete("/{group}", summary="Delete a group", openapi_extra=openapi.delete())
async def delete_group(domain: DomainId, group: GroupId, actor: ActorDep, parts: PartsDep) -> Response:
    """Delete a group; its users stay, and queues lose it as a member."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        await numbered.delete(session, actor, await find_below(session, SipGroup, customer, group, lock=True))
        return Done(change=Change(dial_plan=customer.oid))

    await carry_out(parts, actor, work, SHAPE.at(SipGroup.id == number(group)))
    return nothing()
