"""The routes below /config/v2/sip/domains/{domain}/groups/{group}/users."""

from typing import Final

from fastapi import APIRouter, Request, Response
from sqlalchemy import ColumnElement, join
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAIN
from ..deps import ActorDep, CallerDep, PartsDep
from ..operations import groups
from ..tables import Extension, SipGroup, SipGroupMember
from . import openapi
from .answers import nothing
from .groups import SHAPE as GROUP_SHAPE
from .lists import list_answer
from .params import ParamsDep
from .places import DomainId, GroupId, find_below, find_domain, find_named, number
from .rows import Shape, moment, text, whole
from .work import Done, carry_out

SOURCE: Final = join(SipGroupMember, SipGroup, SipGroup.id == SipGroupMember.group_id).join(
    Extension, Extension.id == SipGroupMember.extension_id
)
SHAPE: Final = Shape(
    "SIP group user",
    (
        whole("groupId", SipGroup.id, "Number of the group"),
        text("groupName", SipGroup.name, "Name of the group", "sales"),
        whole("userId", Extension.id, "Number of the user", "11"),
        text("user", Extension.sip_user, "SIP user name", "joe.blogs"),
        text("displayName", Extension.name, "Name of the user", "Joe Blogs"),
        text("extensionNumber", Extension.number, "Number of the user", "200"),
        moment("updateDatetime", SipGroupMember.updated_at, "Since when the user is a member"),
    ),
    SOURCE,
    (Extension.id,),
)
USERS: Final = "userSpec"

routes = APIRouter(prefix=f"{DOMAIN}/groups/{{group}}/users", tags=["SIP groups"])


@routes.get("", summary="List the users of a group", openapi_extra=openapi.rows(SHAPE))
async def list_group_users(
    domain: DomainId, group: GroupId, request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """List the members of the group."""

    async def scoped(session: AsyncSession) -> list[ColumnElement[bool]]:
        customer = await find_domain(session, caller, domain)
        row = await find_below(session, SipGroup, customer, group)
        return [SipGroupMember.group_id == row.id]

    return await list_answer(request, parts, params, SHAPE, scoped)


@routes.post(
    "", summary="Add users to a group", openapi_extra=openapi.ids(USERS, "Numbers of the users to add")
)
async def add_group_users(
    domain: DomainId, group: GroupId, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Add users; those that are members already stay. If a number is unknown, then nothing changes."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await find_below(session, SipGroup, customer, group, lock=True)
        users = await find_named(session, Extension, customer, params.many(USERS), USERS)
        await groups.add_members(session, actor, row, [user.id for user in users])
        return Done(change=Change(dial_plan=customer.oid))

    await carry_out(parts, actor, work, GROUP_SHAPE.at(SipGroup.id == number(group)))
    return nothing()


@routes.delete(
    "",
    summary="Remove users from a group",
    openapi_extra=openapi.ids(USERS, "Numbers of the users to remove"),
)
async def remove_group_users(
    domain: DomainId, group: GroupId, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Remove users; those that are not members are ignored. If a number is unknown, then nothing changes."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await find_below(session, SipGroup, customer, group, lock=True)
        users = await find_named(session, Extension, customer, params.many(USERS), USERS)
        await groups.remove_members(session, actor, row, [user.id for user in users])
        return Done(change=Change(dial_plan=customer.oid))

    await carry_out(parts, actor, work, GROUP_SHAPE.at(SipGroup.id == number(group)))
    return nothing()
