"""The people whose live state is shown: extensions with their phones and queues, as the database has them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from ..people import Seat
from ..tables import Extension, Queue, QueueMember, SipGroup, SipGroupMember, SipPhone

AT_ONCE: Final = 1_000
"""Extensions in one query, which has an argument for each."""


async def seats(session: AsyncSession, extensions: Sequence[Extension]) -> list[Seat]:
    """Return the seat of each extension, in order, with three queries for each 1,000 of them."""
    found: list[Seat] = []
    for start in range(0, len(extensions), AT_ONCE):
        found += await _seats(session, extensions[start : start + AT_ONCE])
    return found


async def _seats(session: AsyncSession, extensions: Sequence[Extension]) -> list[Seat]:
    ids = [extension.id for extension in extensions]
    phones: defaultdict[int, list[str]] = defaultdict(list)
    of_extensions = select(SipPhone.extension_id, SipPhone.oid).where(SipPhone.extension_id.in_(ids))
    for extension, phone in await session.execute(of_extensions.order_by(SipPhone.id)):
        if extension is not None:
            phones[extension].append(phone)
    queues: defaultdict[int | None, set[str]] = defaultdict(set)
    direct = (
        select(QueueMember.extension_id, Queue.oid)
        .join(Queue, Queue.id == QueueMember.queue_id)
        .where(QueueMember.extension_id.in_(ids))
    )
    through_groups = (
        select(SipGroupMember.extension_id, Queue.oid)
        .join(QueueMember, QueueMember.group_id == SipGroupMember.group_id)
        .join(Queue, Queue.id == QueueMember.queue_id)
        .where(SipGroupMember.extension_id.in_(ids))
    )
    for statement in (direct, through_groups):
        for extension, queue in await session.execute(statement):
            queues[extension].add(queue)
    return [
        Seat(
            one.oid,
            one.number,
            one.name,
            (*phones[one.id], *([f"u{one.id}"] if one.sip_ha1_md5 is not None else [])),
            tuple(sorted(queues[one.id])),
        )
        for one in extensions
    ]


async def seats_at(session: AsyncSession, place: SipGroup | Queue) -> list[Seat]:
    """Return the seats of the people whom a group or a queue rings, by number."""
    statement = select(Extension).where(_rings(place)).order_by(Extension.number)
    return await seats(session, (await session.scalars(statement)).all())


def place_of(row: SipGroup | Queue) -> str:
    """Return the name of a group or queue among the places where calls wait."""
    kind = "group" if isinstance(row, SipGroup) else "queue"
    return f"{kind}:{row.oid}"


def _rings(place: SipGroup | Queue) -> ColumnElement[bool]:
    if isinstance(place, SipGroup):
        members = select(SipGroupMember.extension_id).where(SipGroupMember.group_id == place.id)
        return Extension.id.in_(members)
    of_queue = QueueMember.queue_id == place.id
    direct = select(QueueMember.extension_id).where(of_queue, QueueMember.extension_id.is_not(None))
    through_groups = (
        select(SipGroupMember.extension_id)
        .join(QueueMember, QueueMember.group_id == SipGroupMember.group_id)
        .where(of_queue)
    )
    return Extension.id.in_(union(direct, through_groups))
