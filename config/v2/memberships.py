"""The routes for the users of a group, and for the groups of a user."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter
from sqlalchemy import ColumnElement, join
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAIN
from ..auth import Caller
from ..operations import groups
from ..preconditions import Target
from ..tables import Customer, Extension, SipGroup, SipGroupMember
from . import openapi
from .groups import GROUP
from .places import find_named, number
from .resource import Done, Path, Work, add_change, add_list, owned
from .rows import Shape, moment, text, whole
from .users import SHAPE as USER_SHAPE

SOURCE: Final = join(SipGroupMember, SipGroup, SipGroup.id == SipGroupMember.group_id).join(
    Extension, Extension.id == SipGroupMember.extension_id
)
IDS: Final = (
    whole("groupId", SipGroup.id, "Number of the group"),
    text("groupName", SipGroup.name, "Name of the group", "sales"),
    whole("userId", Extension.id, "Number of the user", "11"),
    text("user", Extension.sip_user, "SIP user name", "joe.blogs"),
)
SINCE: Final = moment("updateDatetime", SipGroupMember.updated_at, "Since when the user is a member")
GROUP_USER: Final = Shape(
    "SIP group user",
    (
        *IDS,
        text("displayName", Extension.name, "Name of the user", "Joe Blogs"),
        text("extensionNumber", Extension.number, "Number of the user", "200"),
        SINCE,
    ),
    SOURCE,
    Extension.id,
)
USER_GROUP: Final = Shape(
    "SIP user group",
    (
        *IDS,
        text("displayName", SipGroup.display_name, "Name of the group that phones show", "Sales Dept"),
        text("extensionNumber", SipGroup.number, "Number of the group", "600"),
        SINCE,
    ),
    SOURCE,
    SipGroup.id,
)
USERS: Final = "userSpec"
GROUPS: Final = "groupSpec"

_group = owned(SipGroup, "group")
_user = owned(Extension, "user")


async def _of_group(session: AsyncSession, caller: Caller, path: Path) -> Sequence[ColumnElement[bool]]:
    _, group = await _group(session, caller, path, False)
    return [SipGroupMember.group_id == group.id]


async def _of_user(session: AsyncSession, caller: Caller, path: Path) -> Sequence[ColumnElement[bool]]:
    _, user = await _user(session, caller, path, False)
    return [SipGroupMember.extension_id == user.id]


async def _named(work: Work) -> tuple[Customer, SipGroup, list[int]]:
    """Return the customer, the group of the path, and the users that the body names."""
    customer, group = await _group(work.session, work.caller, work.path, True)
    users = await find_named(work.session, Extension, customer, work.params.many(USERS), USERS)
    return customer, group, [user.id for user in users]


async def _add(work: Work) -> Done:
    customer, group, users = await _named(work)
    await groups.add_members(work, group, users)
    return Done(Change(dial_plan=customer.oid))


async def _remove(work: Work) -> Done:
    customer, group, users = await _named(work)
    await groups.remove_members(work, group, users)
    return Done(Change(dial_plan=customer.oid))


async def _join(work: Work) -> Done:
    customer, user = await _user(work.session, work.caller, work.path, False)
    wanted = work.params.many(GROUPS)
    for group in await find_named(work.session, SipGroup, customer, wanted, GROUPS, lock=True):
        await groups.add_members(work, group, [user.id])
    return Done(Change(dial_plan=customer.oid))


def _group_target(path: Path) -> Target:
    return GROUP.at(number(path["group"]))


def _user_target(path: Path) -> Target:
    return USER_SHAPE.at(number(path["user"]))


group_users = APIRouter(prefix=f"{DOMAIN}/groups/{{group}}/users", tags=["SIP groups"])
add_list(group_users, GROUP_USER, _of_group, "List the users of a group", "List the members of the group.")
add_change(
    group_users,
    "POST",
    "",
    "Add users to a group",
    "Add users; those that are members already stay. If a number is unknown, then nothing changes.",
    openapi.ids(USERS, "Numbers of the users to add"),
    _add,
    _group_target,
)
add_change(
    group_users,
    "DELETE",
    "",
    "Remove users from a group",
    "Remove users; those that are not members are ignored. If a number is unknown, then nothing changes.",
    openapi.ids(USERS, "Numbers of the users to remove"),
    _remove,
    _group_target,
)
user_groups = APIRouter(prefix=f"{DOMAIN}/users/{{user}}/groups", tags=["SIP users"])
add_list(
    user_groups,
    USER_GROUP,
    _of_user,
    "List the groups of a user",
    "List the groups that the user is a member of.",
)
add_change(
    user_groups,
    "POST",
    "",
    "Add a user to groups",
    "Add the user to groups; it stays in its others, which `DELETE .../groups/{group}/users` ends.",
    openapi.ids(GROUPS, "Numbers of the groups to join"),
    _join,
    _user_target,
)
