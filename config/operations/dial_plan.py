"""The dial plan of a customer: its numbers, and its groups and queues with their members.

Members are rows of other tables, but are shown with their owner. So their changes give it a new revision.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeVar

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change
from registrar.rules.features import ReservedWords

from .. import clock
from ..errors import refused
from ..saved import note_saved
from ..tables import Customer, Number, Queue, QueueMember, SipGroup, SipGroupController, SipGroupMember
from ..tables.dial_plan import LAST_PRIORITY
from .audit import Work, new_oid
from .draft import Columns
from .phones.saved import pointing_to

Kind = Literal["extension", "group", "queue"]
Numbered = TypeVar("Numbered", SipGroup, Queue)
Link = type[SipGroupMember] | type[SipGroupController]

KINDS: Final[Mapping[type[SipGroup] | type[Queue], Kind]] = {SipGroup: "group", Queue: "queue"}
LINKS: Final[Mapping[str, Link]] = {"members": SipGroupMember, "controllers": SipGroupController}
"""Property of a group -> the table of its extensions."""
TARGETS: Final = ("group_id", "extension_id", "external_number")
"""The targets of a queue's member: it has exactly one of these."""


async def claim(
    session: AsyncSession, customer: int, number: str, kind: Kind, ref: str, reserved: ReservedWords
) -> None:
    """Give `number` to the row with the oid `ref`, in place of its former number.

    Raise Refused: 409 if another row has it, 422 if it is reserved; a row keeps the number that it has. The
    database requires that each row has a number.
    """
    statement = select(Number).where(Number.customer_id == customer, Number.number == number)
    owner = await session.scalar(statement.with_for_update())
    if owner is not None and owner.ref == ref:
        return
    if refusal := reserved.refusal(number):
        raise refused("number", refusal, "allowed", 422)
    if owner is not None:
        raise refused("number", f"The number {number} is in use by another {owner.kind}", "unique")
    await release(session, ref)
    session.add(Number(customer_id=customer, number=number, kind=kind, ref=ref))
    await session.flush()


async def release(session: AsyncSession, ref: str) -> None:
    """Free the number of the row with the oid `ref`."""
    await session.execute(delete(Number).where(Number.ref == ref))


async def revise_all(
    session: AsyncSession, table: type[SipGroup] | type[Queue], where: ColumnElement[bool]
) -> None:
    """Give a new revision to the rows that lose or get a part; `updated_at` stays, as they did not change."""
    statement = update(table).where(where).execution_options(synchronize_session=False)
    await session.execute(statement.values(revision=table.revision + 1, updated_at=table.updated_at))


async def _revise(work: Work, row: SipGroup | Queue) -> None:
    """Write a change of the row or of its members; the row gets a new revision in any case."""
    row.revision = type(row).revision + 1
    await work.update(row)


# Groups and queues


async def create(
    work: Work, table: type[Numbered], customer: Customer, columns: Columns
) -> tuple[Numbered, Change]:
    """Create a group or a queue; return it and what changed.

    Raise Refused: 409 if its number is taken, 422 if it is reserved.
    """
    row = table(oid=new_oid(), customer_id=customer.id)
    await _write(work, row, columns)
    await work.create(row)
    await _write_members(work.session, row, columns)
    return row, Change(dial_plan=customer.oid)


async def change(work: Work, customer: Customer, row: SipGroup | Queue, columns: Columns) -> Change:
    """Change the columns in `columns`; return what changed. Raise Refused as `create` does."""
    number = row.number
    await _write(work, row, columns)
    await _revise(work, row)
    await _write_members(work.session, row, columns)
    if row.number != number:
        await note_saved(work.session, *pointing_to(row))
    return Change(dial_plan=customer.oid)


async def remove(work: Work, customer: Customer, row: SipGroup | Queue) -> Change:
    """Delete the group or queue and its memberships; softkeys that point to it stop working."""
    await note_saved(work.session, *pointing_to(row))
    await release(work.session, row.oid)
    if isinstance(row, SipGroup):
        of_group = select(QueueMember.queue_id).where(QueueMember.group_id == row.id)
        await revise_all(work.session, Queue, Queue.id.in_(of_group))
    await work.delete(row)
    return Change(dial_plan=customer.oid)


async def _write(work: Work, row: SipGroup | Queue, columns: Columns) -> None:
    number = columns.get("number")
    if isinstance(number, str) and number != row.number:
        await claim(work.session, row.customer_id, number, KINDS[type(row)], row.oid, work.reserved)
    for column, value in columns.items():
        if column not in LINKS:
            setattr(row, column, value)


async def _write_members(session: AsyncSession, row: SipGroup | Queue, columns: Columns) -> None:
    """Replace the members of each kind that `columns` has."""
    if isinstance(row, SipGroup):
        for name, table in LINKS.items():
            if isinstance(ids := columns.get(name), list):
                await _link(session, table, row, ids, only=True)
    elif isinstance(members := columns.get("members"), list):
        await _set_members(session, row, members)


# Members of groups


async def add_members(work: Work, group: SipGroup, extension_ids: Sequence[int]) -> None:
    """Make these extensions of the same customer members; those that are members already do not change."""
    await _link(work.session, SipGroupMember, group, extension_ids)
    await _revise(work, group)


async def remove_members(work: Work, group: SipGroup, extension_ids: Sequence[int]) -> None:
    """Remove these extensions from the members; an extension that is not a member is ignored."""
    await _unlink(work.session, SipGroupMember, group, extension_ids)
    await _revise(work, group)


async def _link(
    session: AsyncSession, table: Link, group: SipGroup, wanted: Sequence[int], *, only: bool = False
) -> None:
    """Link these extensions of the same customer to the group, and with `only` no others."""
    there = set(await session.scalars(select(table.extension_id).where(table.group_id == group.id)))
    if only:
        await _unlink(session, table, group, there - set(wanted))
    fresh = (extension for extension in dict.fromkeys(wanted) if extension not in there)
    session.add_all(table(group_id=group.id, extension_id=extension) for extension in fresh)
    await session.flush()


async def _unlink(session: AsyncSession, table: Link, group: SipGroup, gone: Iterable[int]) -> None:
    await session.execute(delete(table).where(table.group_id == group.id, table.extension_id.in_(gone)))


# Members of queues


async def add_member(work: Work, queue: Queue, columns: Columns) -> QueueMember:
    """Create a member and return it. Raise Refused (422) unless it has exactly one target."""
    member = _new_member(queue, columns)
    await work.create(member)
    await revise_all(work.session, Queue, Queue.id == queue.id)
    return member


async def update_member(work: Work, customer: Customer, member: QueueMember, columns: Columns) -> Change:
    """Change the columns in `columns`; return what changed.

    Raise Refused (422) unless the member then has exactly one target.
    """
    _refuse_targets({target: columns.get(target, getattr(member, target)) for target in TARGETS})
    for column, value in columns.items():
        setattr(member, column, value)
    await revise_all(work.session, Queue, Queue.id == member.queue_id)
    await work.update(member)
    return Change(dial_plan=customer.oid)


async def delete_member(work: Work, customer: Customer, member: QueueMember) -> Change:
    """Delete the member, so that it takes no more calls of the queue; return what changed."""
    await revise_all(work.session, Queue, Queue.id == member.queue_id)
    await work.delete(member)
    return Change(dial_plan=customer.oid)


async def order_members(work: Work, queue: Queue, member_ids: Sequence[int]) -> None:
    """Ring the groups of the queue in this order; its other members keep their place.

    That is because the API that orders members knows only groups (C11). Raise Refused (400) unless every
    group member is named exactly once.
    """
    members = {member.id: member for member in await _members_of(work.session, queue) if member.group_id}
    if sorted(member_ids) != sorted(members):
        message = "Every member of the queue must be named exactly once"
        raise refused("queueMemberId", message, "allowed", 400)
    for position, number in enumerate(member_ids):
        members[number].ring_order = position
        members[number].updated_at = clock.utc_now()
    await _revise(work, queue)


def priority(ring_order: int) -> int:
    """Return the place of a member on the scale from 1 to 20."""
    return min(max(ring_order, 1), LAST_PRIORITY)


async def _set_members(session: AsyncSession, queue: Queue, wanted: Sequence[Columns]) -> None:
    """Replace the members of the queue; a member whose target stays keeps its id.

    A place that equals the stored one on the scale from 1 to 20 stays. Raise Refused (422) unless each has
    exactly one target.
    """
    there: dict[tuple[object, ...], list[QueueMember]] = defaultdict(list)
    for member in await _members_of(session, queue):
        there[tuple(getattr(member, target) for target in TARGETS)].append(member)
    for columns in wanted:
        same = there[tuple(columns.get(target) for target in TARGETS)]
        if not same:
            session.add(_new_member(queue, columns))
            continue
        member = same.pop(0)
        for column, value in columns.items():
            if column != "ring_order" or value != priority(member.ring_order):
                setattr(member, column, value)
    for gone in (member for members in there.values() for member in members):
        await session.delete(gone)
    await session.flush()


async def _members_of(session: AsyncSession, queue: Queue) -> Sequence[QueueMember]:
    """Return all members of a queue in the order in which they ring, locked against other writers."""
    statement = select(QueueMember).where(QueueMember.queue_id == queue.id).with_for_update()
    return (await session.scalars(statement.order_by(QueueMember.ring_order, QueueMember.id))).all()


def _new_member(queue: Queue, columns: Columns) -> QueueMember:
    _refuse_targets(columns)
    return QueueMember(oid=new_oid(), queue_id=queue.id, **columns)


def _refuse_targets(columns: Columns) -> None:
    if sum(columns.get(target) is not None for target in TARGETS) != 1:
        message = "A member is exactly one of a group, an extension and a number"
        raise refused("members", message, "allowed", 422)
