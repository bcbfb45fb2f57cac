"""The routes below /config/v2/sip/domains/{domain}/queues/{queue}/members."""

from typing import Final

from fastapi import APIRouter, Request, Response
from sqlalchemy import ColumnElement, join
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAIN
from ..database import reading
from ..deps import ActorDep, CallerDep, PartsDep
from ..errors import Problem, Refused
from ..operations import queues
from ..operations.checks import Value, one_of
from ..operations.fields import Field
from ..tables import Customer, Queue, QueueMember, SipGroup
from . import openapi
from .answers import created, nothing, row_answer
from .asking import read_one
from .fields import whole as whole_field
from .lists import list_answer
from .params import Params, ParamsDep
from .places import (
    MAX_DIGITS,
    DomainId,
    MemberId,
    QueueId,
    find_below,
    find_domain,
    find_member,
    find_named,
    number,
)
from .queues import SHAPE as QUEUE_SHAPE
from .rows import Shape, moment, read_row, text, whole
from .work import Done, carry_out, read_columns

SHAPE: Final = Shape(
    "SIP queue member",
    (
        whole("queueMemberId", QueueMember.id, "Number of the member"),
        whole("queueId", QueueMember.queue_id, "Number of the queue"),
        whole("groupId", QueueMember.group_id, "Number of the group"),
        text("groupName", SipGroup.name, "Name of the group", "sales"),
        text("ringStrategy", QueueMember.ring_strategy, "How the users of the group ring", "all"),
        whole("ringAttempts", QueueMember.ring_attempts, "How often, when all are busy", "3"),
        whole("ringSecs", QueueMember.ring_secs, "How long, until the next member rings", "20"),
        whole("ringOrder", QueueMember.ring_order, "The lowest rings first", "0"),
        moment("updateDatetime", QueueMember.updated_at, "When it was changed"),
    ),
    join(QueueMember, SipGroup, SipGroup.id == QueueMember.group_id),
    (QueueMember.id,),
    (QueueMember.revision, SipGroup.revision),
)
GROUP: Final = "groupId"
STRATEGIES: Final = " or ".join(queues.RING_STRATEGIES)
FIELDS: Final = (
    Field(
        "ringStrategy",
        "ring_strategy",
        "string",
        one_of(queues.RING_STRATEGIES, f"ringStrategy must be {STRATEGIES}"),
        f"How the users of the group ring: {STRATEGIES}",
        required=True,
    ),
    whole_field(
        "ringAttempts", "ring_attempts", 0, queues.MAX_ATTEMPTS, "How often, when all are busy", required=True
    ),
    whole_field(
        "ringSecs",
        "ring_secs",
        1,
        queues.MAX_RING_SECONDS,
        "How long, until the next member rings",
        required=True,
    ),
    whole_field("ringOrder", "ring_order", 0, queues.MAX_ORDER, "The lowest rings first", required=True),
)
GROUP_FIELD: Final = whole_field(GROUP, "group_id", 0, 10**MAX_DIGITS, "Number of the group")
EXAMPLE: Final = {"groupId": 1, "ringStrategy": "all", "ringAttempts": 3, "ringSecs": 20, "ringOrder": 0}
ORDER: Final = "queueMemberId"

routes = APIRouter(prefix=f"{DOMAIN}/queues/{{queue}}/members", tags=["SIP queues"])


@routes.get("", summary="List the members of a queue", openapi_extra=openapi.rows(SHAPE))
async def list_members(
    domain: DomainId, queue: QueueId, request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """List the groups that take the calls of the queue."""

    async def scoped(session: AsyncSession) -> list[ColumnElement[bool]]:
        customer = await find_domain(session, caller, domain)
        row = await find_below(session, Queue, customer, queue)
        return [QueueMember.queue_id == row.id]

    return await list_answer(request, parts, params, SHAPE, scoped)


@routes.put(
    "/order",
    summary="Order the members of a queue",
    openapi_extra=openapi.ids(ORDER, "Numbers of all members, in the order in which they ring"),
)
async def order_members(
    domain: DomainId, queue: QueueId, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Order the members; every member is named once, and its ringOrder becomes its index."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await find_below(session, Queue, customer, queue, lock=True)
        await queues.order_members(session, actor, row, _numbers(params))
        return Done(change=Change(dial_plan=customer.oid))

    await carry_out(parts, actor, work, QUEUE_SHAPE.at(Queue.id == number(queue)))
    return nothing()


@routes.get("/{member}", summary="Show a member of a queue", openapi_extra=openapi.row(SHAPE))
async def show_member(
    domain: DomainId,
    queue: QueueId,
    member: MemberId,
    request: Request,
    caller: CallerDep,
    params: ParamsDep,
    parts: PartsDep,
) -> Response:
    """Return one group of the queue."""
    async with reading(parts.read_engine) as session:
        customer = await find_domain(session, caller, domain)
        row = await find_member(session, await find_below(session, Queue, customer, queue), member)
        asked = read_one(params, SHAPE)
        shown, edition = await read_row(session, SHAPE, asked.part, QueueMember.id == row.id)
    return row_answer(request, asked, shown, edition)


@routes.post(
    "",
    summary="Add a group to a queue",
    openapi_extra=openapi.create((GROUP_FIELD, *FIELDS), EXAMPLE, "queueMemberId"),
)
async def create_member(
    domain: DomainId, queue: QueueId, request: Request, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Add a group, which then takes calls of the queue."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await find_below(session, Queue, customer, queue, lock=True)
        columns = await _read(session, customer, params)
        member = await queues.add_member(session, actor, row, columns)
        return Done(member.id, Change(dial_plan=customer.oid))

    done = await carry_out(parts, actor, work)
    return created(request, queueMemberId=str(done.id))


@routes.post(
    "/{member}",
    summary="Change a member of a queue",
    openapi_extra=openapi.update((GROUP_FIELD, *FIELDS), EXAMPLE),
)
async def update_member(
    domain: DomainId, queue: QueueId, member: MemberId, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Change the properties that are sent."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await find_below(session, Queue, customer, queue, lock=True)
        stored = await find_member(session, row, member, lock=True)
        await queues.update_member(session, actor, stored, await _read(session, customer, params, stored))
        return Done(change=Change(dial_plan=customer.oid))

    await carry_out(parts, actor, work, SHAPE.at(QueueMember.id == number(member)))
    return nothing()


@routes.delete("/{member}", summary="Remove a group from a queue", openapi_extra=openapi.delete())
async def delete_member(
    domain: DomainId, queue: QueueId, member: MemberId, actor: ActorDep, parts: PartsDep
) -> Response:
    """Remove a group, which then takes no more calls of the queue."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await find_below(session, Queue, customer, queue, lock=True)
        await queues.delete_member(session, actor, await find_member(session, row, member, lock=True))
        return Done(change=Change(dial_plan=customer.oid))

    await carry_out(parts, actor, work, SHAPE.at(QueueMember.id == number(member)))
    return nothing()


async def _read(
    session: AsyncSession, customer: Customer, params: Params, stored: QueueMember | None = None
) -> dict[str, Value]:
    columns = read_columns(params, FIELDS, stored)
    group = params.one(GROUP)
    if group is not None or stored is None:
        named = (group,) if group else ()
        columns["group_id"] = (await find_named(session, SipGroup, customer, named, GROUP))[0].id
    return columns


def _numbers(params: Params) -> list[int]:
    named = params.many(ORDER)
    if not all(text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS for text in named):
        raise Refused(Problem(400, ORDER, f"{ORDER} must be numbers of members", ORDER, "format"))
    return [int(text) for text in named]
