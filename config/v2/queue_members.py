"""The routes below /config/v2/sip/domains/{domain}/queues/{queue}/members."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, join
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAIN
from ..auth import Caller
from ..checks import Value
from ..errors import refused
from ..operations import queues
from ..preconditions import Target
from ..properties import Field, row_fields_of, whole_of
from ..tables import Customer, Queue, QueueMember, SipGroup
from . import openapi
from .groups import QUEUE
from .places import MAX_DIGITS, find_member, find_named, number
from .resource import Done, Path, Rows, Work, add_change, owned, routes_of
from .rows import Shape, columns_of, moment, text, whole

GROUP: Final = "groupId"
ORDER: Final = "queueMemberId"
SHAPE: Final = Shape(
    "SIP queue member",
    (
        whole(ORDER, QueueMember.id, "Number of the member"),
        whole("queueId", QueueMember.queue_id, "Number of the queue"),
        whole(GROUP, QueueMember.group_id, "Number of the group"),
        text("groupName", SipGroup.name, "Name of the group", "sales"),
        *columns_of(QueueMember),
        moment("updateDatetime", QueueMember.updated_at, "When it was changed"),
    ),
    join(QueueMember, SipGroup, SipGroup.id == QueueMember.group_id),
    QueueMember.id,
    (QueueMember.revision, SipGroup.revision),
)
FIELDS: Final = row_fields_of(QueueMember)
GROUP_FIELD: Final = Field(GROUP, "group_id", whole_of(0, 10**MAX_DIGITS), "Number of the group")

_queue = owned(Queue, "queue")


async def _scope(session: AsyncSession, caller: Caller, path: Path) -> Sequence[ColumnElement[bool]]:
    _, queue = await _queue(session, caller, path, False)
    return [QueueMember.queue_id == queue.id]


async def _find(
    session: AsyncSession, caller: Caller, path: Path, lock: bool
) -> tuple[Customer, QueueMember]:
    customer, queue = await _queue(session, caller, path, lock)
    return customer, await find_member(session, queue, path["member"], lock=lock)


async def _create(work: Work) -> Done:
    customer, queue = await _queue(work.session, work.caller, work.path, True)
    member = await queues.add_member(work, queue, await _read(work, customer))
    return Done(Change(dial_plan=customer.oid), {ORDER: str(member.id)})


async def _update(work: Work, customer: Customer, member: QueueMember) -> Change:
    await queues.update_member(work, member, await _read(work, customer, member))
    return Change(dial_plan=customer.oid)


async def _delete(work: Work, customer: Customer, member: QueueMember) -> Change:
    await queues.delete_member(work, member)
    return Change(dial_plan=customer.oid)


async def _order(work: Work) -> Done:
    customer, queue = await _queue(work.session, work.caller, work.path, True)
    named = work.params.many(ORDER)
    if not all(text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS for text in named):
        raise refused(ORDER, f"{ORDER} must be numbers of members", "format", 400)
    await queues.order_members(work, queue, [int(text) for text in named])
    return Done(Change(dial_plan=customer.oid))


async def _read(work: Work, customer: Customer, stored: QueueMember | None = None) -> dict[str, Value]:
    columns = work.columns(FIELDS, stored)
    group = work.params.one(GROUP)
    if group is not None or stored is None:
        named = (group,) if group else ()
        columns["group_id"] = (await find_named(work.session, SipGroup, customer, named, GROUP))[0].id
    return columns


def _target(path: Path) -> Target:
    return QUEUE.at(number(path["queue"]))


routes = routes_of(
    Rows(
        path=f"{DOMAIN}/queues/{{queue}}/members",
        id="member",
        tag="SIP queues",
        one="a member of a queue",
        many="the members of a queue",
        summaries={"Create": "Add a group to a queue", "Delete": "Remove a group from a queue"},
        about={
            "List": "List the groups that take the calls of the queue.",
            "Show": "Return one group of the queue.",
            "Create": "Add a group, which then takes calls of the queue.",
            "Change": "Change the properties that are sent.",
            "Delete": "Remove a group, which then takes no more calls of the queue.",
        },
        shape=SHAPE,
        scope=_scope,
        find=_find,
        create=_create,
        update=_update,
        delete=_delete,
        new=(GROUP_FIELD, *FIELDS),
        fields=(GROUP_FIELD, *FIELDS),
        example={GROUP: 1, "ringStrategy": "all", "ringAttempts": 3, "ringSecs": 20, "ringOrder": 0},
    )
)
add_change(
    routes,
    "PUT",
    "/order",
    "Order the members of a queue",
    "Order the members; every member is named once, and its ringOrder becomes its index.",
    openapi.ids(ORDER, "Numbers of all members, in the order in which they ring"),
    _order,
    _target,
)
