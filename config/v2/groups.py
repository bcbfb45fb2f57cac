"""The routes below .../groups and .../queues of a domain, with the users and members in them."""

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter
from sqlalchemy import join
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAIN
from ..auth import Caller
from ..errors import refused
from ..operations import dial_plan
from ..operations.dial_plan import Numbered
from ..properties import Field, row_fields_of, whole_of
from ..tables import Customer, Extension, Queue, QueueMember, SipGroup, SipGroupMember
from . import openapi
from .resource import (
    MAX_DIGITS,
    Columns,
    Done,
    Path,
    Rows,
    Work,
    add_list,
    below,
    changes,
    find_domain,
    find_row,
    owned,
    routes_of,
    target,
)
from .rows import Shape, columns_of, moment, shape_of, text, whole
from .users import USER, find_user

GROUP: Final = shape_of(
    "SIP group", SipGroup, "groupId", owner=SipGroup.customer_id, edition=(SipGroup.revision,)
)
QUEUE: Final = shape_of("SIP queue", Queue, "queueId", owner=Queue.customer_id, edition=(Queue.revision,))
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
GROUP_ID: Final = "groupId"
ORDER: Final = "queueMemberId"
MEMBER: Final = Shape(
    "SIP queue member",
    (
        whole(ORDER, QueueMember.id, "Number of the member"),
        whole("queueId", QueueMember.queue_id, "Number of the queue"),
        whole(GROUP_ID, QueueMember.group_id, "Number of the group"),
        text("groupName", SipGroup.name, "Name of the group", "sales"),
        *columns_of(QueueMember),
        moment("updateDatetime", QueueMember.updated_at, "When it was changed"),
    ),
    join(QueueMember, SipGroup, SipGroup.id == QueueMember.group_id),
    QueueMember.id,
    (QueueMember.revision, SipGroup.revision),
)
GROUP_FIELD: Final = Field(GROUP_ID, "group_id", whole_of(0, 10**MAX_DIGITS), "Number of the group")
MEMBER_FIELDS: Final = row_fields_of(QueueMember)
MEMBER_EXAMPLE: Final = {
    GROUP_ID: 1,
    "ringStrategy": "all",
    "ringAttempts": 3,
    "ringSecs": 20,
    "ringOrder": 0,
}

_group = owned(SipGroup, "group")
_queue = owned(Queue, "queue")


def _rows(
    table: type[Numbered], shape: Shape, id: str, about: Mapping[str, str], example: Mapping[str, object]
) -> Rows[Numbered]:
    return Rows(
        path=f"{DOMAIN}/{id}s",
        id=id,
        tag=f"SIP {id}s",
        one=f"a {id}",
        many=f"{id}s",
        about={"List": f"List the {id}s of the domain.", **about},
        shape=shape,
        scope=below(find_domain, table.customer_id),
        find=owned(table, id),
        create=lambda work, customer, columns: dial_plan.create(work, table, customer, columns),
        update=dial_plan.change,
        delete=dial_plan.remove,
        fields=row_fields_of(table),
        example=example,
    )


groups = routes_of(
    _rows(
        SipGroup,
        GROUP,
        "group",
        {
            "Create": "Create a group without users.",
            "Delete": "Delete a group; its users stay, and queues lose it as a member.",
        },
        {"groupName": "sales", "displayName": "Sales Dept", "extensionNumber": "600", "ringRetry": 1},
    )
)
queues = routes_of(
    _rows(
        Queue,
        QUEUE,
        "queue",
        {"Create": "Create a queue without members.", "Delete": "Delete a queue and its memberships."},
        {"queueName": "sales", "displayName": "Sales Dept", "extensionNumber": "700"},
    )
)


# Users of a group, and groups of a user


async def _named(work: Work) -> tuple[Customer, SipGroup, list[int]]:
    """Return the customer, the group of the path, and the users that the body names."""
    customer, group = await work.find(_group)
    users = await work.named(Extension, customer, USERS)
    return customer, group, [user.id for user in users]


group_users = APIRouter(prefix=f"{DOMAIN}/groups/{{group}}/users", tags=["SIP groups"])
add_list(
    group_users,
    GROUP_USER,
    below(_group, SipGroupMember.group_id),
    "List the users of a group",
    "List the members of the group.",
)


@changes(
    group_users,
    "POST",
    "Add users to a group",
    openapi.ids(USERS, "Numbers of the users to add"),
    target(GROUP, "group"),
)
async def _add(work: Work) -> Done:
    """Add users; those that are members already stay. If a number is unknown, then nothing changes."""
    customer, group, users = await _named(work)
    await dial_plan.add_members(work, group, users)
    return Done(Change(dial_plan=customer.oid))


@changes(
    group_users,
    "DELETE",
    "Remove users from a group",
    openapi.ids(USERS, "Numbers of the users to remove"),
    target(GROUP, "group"),
)
async def _remove(work: Work) -> Done:
    """Remove users; those that are not members are ignored. If a number is unknown, then nothing changes."""
    customer, group, users = await _named(work)
    await dial_plan.remove_members(work, group, users)
    return Done(Change(dial_plan=customer.oid))


user_groups = APIRouter(prefix=f"{DOMAIN}/users/{{user}}/groups", tags=["SIP users"])
add_list(
    user_groups,
    USER_GROUP,
    below(find_user, SipGroupMember.extension_id),
    "List the groups of a user",
    "List the groups that the user is a member of.",
)


@changes(
    user_groups,
    "POST",
    "Add a user to groups",
    openapi.ids(GROUPS, "Numbers of the groups to join"),
    target(USER, "user"),
)
async def _join(work: Work) -> Done:
    """Add the user to groups; it stays in its others, which `DELETE .../groups/{group}/users` ends."""
    customer, user = await work.find(find_user, lock=False)
    for group in await work.named(SipGroup, customer, GROUPS, lock=True):
        await dial_plan.add_members(work, group, [user.id])
    return Done(Change(dial_plan=customer.oid))


# Members of a queue


async def _find_member(
    session: AsyncSession, caller: Caller, path: Path, lock: bool
) -> tuple[Customer, QueueMember]:
    """Return a member that is a group; this dialect does not know the others (C11)."""
    customer, queue = await _queue(session, caller, path, lock)
    of_queue = QueueMember.queue_id == queue.id, QueueMember.group_id.is_not(None)
    return customer, await find_row(session, QueueMember, path, "member", *of_queue, lock=lock)


async def _update_member(work: Work, customer: Customer, member: QueueMember, columns: Columns) -> Change:
    return await dial_plan.update_member(work, customer, member, await _with_group(work, customer, columns))


async def _with_group(work: Work, customer: Customer, columns: Columns, *, required: bool = False) -> Columns:
    """Return the columns with the primary key of the group, if one was sent."""
    named = tuple(filter(None, [work.params.one(GROUP_ID)]))
    if not named and not required:
        return columns
    (group,) = await work.named(SipGroup, customer, GROUP_ID, named)
    return columns | {"group_id": group.id}


queue_members = routes_of(
    Rows(
        path=f"{DOMAIN}/queues/{{queue}}/members",
        id="member",
        tag="SIP queues",
        one="a member of a queue",
        many="the members of a queue",
        summaries={"Delete": "Remove a group from a queue"},
        about={
            "List": "List the groups that take the calls of the queue.",
            "Show": "Return one group of the queue.",
            "Delete": "Remove a group, which then takes no more calls of the queue.",
        },
        shape=MEMBER,
        scope=below(_queue, QueueMember.queue_id),
        find=_find_member,
        update=_update_member,
        delete=dial_plan.delete_member,
        fields=MEMBER_FIELDS,
        more=(GROUP_FIELD,),
        example=MEMBER_EXAMPLE,
    )
)


@changes(
    queue_members,
    "POST",
    "Add a group to a queue",
    openapi.create((GROUP_FIELD, *MEMBER_FIELDS), MEMBER_EXAMPLE, ORDER),
)
async def _create_member(work: Work) -> Done:
    """Add a group, which then takes calls of the queue."""
    customer, queue = await work.find(_queue)
    columns = await _with_group(work, customer, work.columns(MEMBER_FIELDS), required=True)
    member = await dial_plan.add_member(work, queue, columns)
    return Done(Change(dial_plan=customer.oid), {ORDER: str(member.id)})


@changes(
    queue_members,
    "PUT",
    "Order the members of a queue",
    openapi.ids(ORDER, "Numbers of all members, in the order in which they ring"),
    target(QUEUE, "queue"),
    path="/order",
)
async def _order(work: Work) -> Done:
    """Order the members; every member is named once, and its ringOrder becomes its index."""
    customer, queue = await work.find(_queue)
    named = work.params.many(ORDER)
    if not all(text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS for text in named):
        raise refused(ORDER, f"{ORDER} must be numbers of members", "format", 400)
    await dial_plan.order_members(work, queue, [int(text) for text in named])
    return Done(Change(dial_plan=customer.oid))
