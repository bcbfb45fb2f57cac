"""Groups: extensions that ring together, and the extensions that control them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from .. import clock
from ..auth import Caller
from ..tables import Customer, SipGroup, SipGroupController, SipGroupMember
from .audit import Actor, record
from .checks import Value
from .customers import lock_owned
from .ids import parse_oid
from .revisions import revise

TABLE: Final = SipGroup.__tablename__

Columns = Mapping[str, Value]
"""Checked values by column."""
Link = TypeVar("Link", SipGroupMember, SipGroupController)


async def find_group(session: AsyncSession, caller: Caller, oid: object) -> tuple[SipGroup, Customer]:
    """Return the group, locked against other writers, and its customer. Raise Refused (404)."""
    return await lock_owned(session, caller, SipGroup, oid, "Group")


async def read_groups(session: AsyncSession, customer: Customer, sent: Iterable[object]) -> dict[str, int]:
    """Return those of the ids `sent` that belong to groups of this customer: id -> primary key."""
    wanted = {oid for item in sent if (oid := parse_oid(item))}
    statement = select(SipGroup.oid, SipGroup.id).where(
        SipGroup.oid.in_(wanted), SipGroup.customer_id == customer.id
    )
    return dict((await session.execute(statement)).all())


async def add_members(
    session: AsyncSession, actor: Actor, group: SipGroup, extension_ids: Sequence[int]
) -> None:
    """Make these extensions of the same customer members; those that are members already do not change."""
    await _link(session, SipGroupMember, group, extension_ids)
    await _changed(session, actor, group)


async def remove_members(
    session: AsyncSession, actor: Actor, group: SipGroup, extension_ids: Sequence[int]
) -> None:
    """Remove these extensions from the members; an extension that is not a member is ignored."""
    await _unlink(session, SipGroupMember, group, extension_ids)
    await _changed(session, actor, group)


async def set_members(session: AsyncSession, group: SipGroup, extension_ids: Sequence[int]) -> None:
    """Make these extensions of the same customer the only members."""
    await _set(session, SipGroupMember, group, extension_ids)


async def set_controllers(session: AsyncSession, group: SipGroup, extension_ids: Sequence[int]) -> None:
    """Make these extensions of the same customer the only controllers of the group."""
    await _set(session, SipGroupController, group, extension_ids)


async def _set(session: AsyncSession, table: type[Link], group: SipGroup, wanted: Sequence[int]) -> None:
    there = set(await session.scalars(select(table.extension_id).where(table.group_id == group.id)))
    await _unlink(session, table, group, there - set(wanted))
    await _link(session, table, group, wanted)


async def _link(session: AsyncSession, table: type[Link], group: SipGroup, wanted: Sequence[int]) -> None:
    there = set(await session.scalars(select(table.extension_id).where(table.group_id == group.id)))
    fresh = [extension for extension in dict.fromkeys(wanted) if extension not in there]
    session.add_all(table(group_id=group.id, extension_id=extension) for extension in fresh)
    await session.flush()


async def _unlink(session: AsyncSession, table: type[Link], group: SipGroup, gone: Iterable[int]) -> None:
    ids = list(gone)
    if ids:
        await session.execute(delete(table).where(table.group_id == group.id, table.extension_id.in_(ids)))


async def _changed(session: AsyncSession, actor: Actor, group: SipGroup) -> None:
    _touch(group)
    record(session, actor, "update", TABLE, group.oid)
    await session.flush()


def _touch(group: SipGroup) -> None:
    group.updated_at = clock.utc_now()
    revise(group)
