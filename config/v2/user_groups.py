"""The routes below /config/v2/sip/domains/{domain}/users/{user}/groups."""

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
from .lists import list_answer
from .params import ParamsDep
from .places import DomainId, UserId, find_below, find_domain, find_named, number
from .rows import Shape, moment, text, whole
from .users import SHAPE as USER_SHAPE
from .work import Done, carry_out

SOURCE: Final = join(SipGroupMember, SipGroup, SipGroup.id == SipGroupMember.group_id).join(
    Extension, Extension.id == SipGroupMember.extension_id
)
SHAPE: Final = Shape(
    "SIP user group",
    (
        whole("groupId", SipGroup.id, "Number of the group"),
        text("groupName", SipGroup.name, "Name of the group", "sales"),
        whole("userId", Extension.id, "Number of the user", "11"),
        text("user", Extension.sip_user, "SIP user name", "joe.blogs"),
        text("displayName", SipGroup.display_name, "Name of the group that phones show", "Sales Dept"),
        text("extensionNumber", SipGroup.number, "Number of the group", "600"),
        moment("updateDatetime", SipGroupMember.updated_at, "Since when the user is a member"),
    ),
    SOURCE,
    (SipGroup.id,),
)
GROUPS: Final = "groupSpec"

routes = APIRouter(prefix=f"{DOMAIN}/users/{{user}}/groups", tags=["SIP users"])


@routes.get("", summary="List the groups of a user", openapi_extra=openapi.rows(SHAPE))
async def list_user_groups(
    domain: DomainId, user: UserId, request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """List the groups that the user is a member of."""

    async def scoped(session: AsyncSession) -> list[ColumnElement[bool]]:
        customer = await find_domain(session, caller, domain)
        row = await find_below(session, Extension, customer, user)
        return [SipGroupMember.extension_id == row.id]

    return await list_answer(request, parts, params, SHAPE, scoped)


@routes.post(
    "", summary="Add a user to groups", openapi_extra=openapi.ids(GROUPS, "Numbers of the groups to join")
)
async def add_user_groups(
    domain: DomainId, user: UserId, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Add the user to groups; it stays in its others, which `DELETE .../groups/{group}/users` ends."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await find_below(session, Extension, customer, user)
        for group in await find_named(session, SipGroup, customer, params.many(GROUPS), GROUPS, lock=True):
            await groups.add_members(session, actor, group, [row.id])
        return Done(change=Change(dial_plan=customer.oid))

    await carry_out(parts, actor, work, USER_SHAPE.at(Extension.id == number(user)))
    return nothing()
