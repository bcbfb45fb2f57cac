"""Queues: calls that wait, and the members that take them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from .. import clock
from ..checks import Value
from ..errors import refused
from ..tables import Queue, QueueMember
from ..tables.dial_plan import LAST_PRIORITY
from .audit import Work
from .draft import Columns
from .ids import new_oid
from .revisions import revise, revise_all

TARGETS: Final = ("group_id", "extension_id", "external_number")
"""The targets of a member: it has exactly one of these."""

Target = tuple[Value, ...]


async def add_member(work: Work, queue: Queue, columns: Columns) -> QueueMember:
    """Create a member and return it. Raise Refused (422) unless it has exactly one target."""
    member = _new_member(queue, columns)
    await work.create(member)
    await _revise_queue(work.session, member)
    return member


async def update_member(work: Work, member: QueueMember, columns: Columns) -> None:
    """Change the columns in `columns`. Raise Refused (422) unless the member then has exactly one target."""
    _refuse_targets({target: columns.get(target, getattr(member, target)) for target in TARGETS})
    for column, value in columns.items():
        setattr(member, column, value)
    await _revise_queue(work.session, member)
    await work.update(member)


async def delete_member(work: Work, member: QueueMember) -> None:
    """Delete the member, so that it takes no more calls of the queue."""
    await _revise_queue(work.session, member)
    await work.delete(member)


async def order_members(work: Work, queue: Queue, member_ids: Sequence[int]) -> None:
    """Ring the groups of the queue in this order; its other members keep their place.

    That is because the API that orders members knows only groups (C11). Raise Refused (400) unless every
    group member is named exactly once.
    """
    members = {member.id: member for member in await members_of(work.session, queue) if member.group_id}
    if sorted(member_ids) != sorted(members):
        message = "Every member of the queue must be named exactly once"
        raise refused("queueMemberId", message, "allowed", 400)
    for position, number in enumerate(member_ids):
        members[number].ring_order = position
        members[number].updated_at = clock.utc_now()
    revise(queue)
    work.record("update", Queue.__tablename__, queue.oid)
    await work.session.flush()


async def set_members(session: AsyncSession, queue: Queue, wanted: Sequence[Columns]) -> None:
    """Replace the members of the queue; a member whose target stays keeps its id.

    Raise Refused (422) unless each has exactly one target.
    """
    there: dict[Target, list[QueueMember]] = defaultdict(list)
    for member in await members_of(session, queue):
        there[tuple(getattr(member, target) for target in TARGETS)].append(member)
    for columns in wanted:
        same = there[tuple(columns.get(target) for target in TARGETS)]
        if same:
            _keep(same.pop(0), columns)
        else:
            session.add(_new_member(queue, columns))
    for gone in there.values():
        for member in gone:
            await session.delete(member)
    await session.flush()


async def members_of(session: AsyncSession, queue: Queue) -> Sequence[QueueMember]:
    """Return all members of a queue in the order in which they ring, locked against other writers."""
    statement = select(QueueMember).where(QueueMember.queue_id == queue.id).with_for_update()
    return (await session.scalars(statement.order_by(QueueMember.ring_order, QueueMember.id))).all()


def priority(ring_order: int) -> int:
    """Return the place of a member on the scale from 1 to 20."""
    return min(max(ring_order, 1), LAST_PRIORITY)


async def _revise_queue(session: AsyncSession, member: QueueMember) -> None:
    await revise_all(session, Queue, Queue.id == member.queue_id)


def _new_member(queue: Queue, columns: Columns) -> QueueMember:
    _refuse_targets(columns)
    return QueueMember(oid=new_oid(), queue_id=queue.id, **columns)


def _keep(member: QueueMember, columns: Columns) -> None:
    """Change the columns of a member; a place that equals the stored one on the scale from 1 to 20 stays."""
    for column, value in columns.items():
        if column != "ring_order" or value != priority(member.ring_order):
            setattr(member, column, value)


def _refuse_targets(columns: Columns) -> None:
    if sum(columns.get(target) is not None for target in TARGETS) != 1:
        message = "A member is exactly one of a group, an extension and a number"
        raise refused("members", message, "allowed", 422)
